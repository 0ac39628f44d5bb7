"""EqualizerAPO's configuration.

References
----------
EqualizerAPO, configuration reference: ``Preamp``, ``Filter``, ``GraphicEQ``, ``Convolution``,
``If``.
``IIR Order 2 Coefficients`` takes b0 b1 b2 a0 a1 a2 with the signs of
H(z) = (b0 + b1/z + b2/z²)/(a0 + a1/z + a2/z²); the example there has numerator and denominator
exchanged. The shelves LSC and HSC take their centre and a Q, as the cookbook's do.
"""

from earfilt.files.presets.graphic import points
from earfilt.files.presets.preset import Graphic, Impulse, Preset, plain
from earfilt.synthesis.biquads.sections import Sections

_WORDS = {"peaking": "PK", "low-shelf": "LSC", "high-shelf": "HSC"}


def write(preset: Preset) -> str:
    """The text of a ``.txt`` that ``Include:`` takes."""
    return "\n".join([f"# {preset.comment}", *_lines(preset), ""])


def _lines(preset: Preset) -> list[str]:
    content = preset.content
    if isinstance(content, Graphic):
        return [f"GraphicEQ: {points(content)}"]
    if isinstance(content, Impulse):
        convolution = f"Convolution: {content.path}"
        # the channels of the file in turn, to those that are chosen
        return [convolution] if content.ears == 1 else ["Channel: L R", convolution, "Channel: all"]
    return _bands(content) if content.bands else _sections(content)


def _bands(sections: Sections) -> list[str]:
    return [
        f"Preamp: {sections.preamp_db:.1f} dB",
        *(
            f"Filter {n}: ON {_WORDS[band.kind]} Fc {band.hz:g} Hz Gain {band.gain_db:.1f} dB "
            f"Q {band.q:.2f}"
            for n, band in enumerate(sections.bands, start=1)
        ),
    ]


def _sections(sections: Sections) -> list[str]:
    """Coefficients hold for one rate alone."""
    rows = [" ".join(map(plain, row)) for row in sections.sos.tolist()]
    return [
        f"If: sampleRate == {sections.fs:.12g}",
        *(f"Filter {n}: ON IIR Order 2 Coefficients {row}" for n, row in enumerate(rows, start=1)),
        "EndIf:",
    ]
