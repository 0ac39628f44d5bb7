"""A FIR in words: what the legend of a figure and the summary of a command say of it."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from earfilt.errors import counted, printable
from earfilt.synthesis.provenance import PRESSURE

if TYPE_CHECKING:
    from earfilt.synthesis.fir import Fir
    from earfilt.synthesis.provenance import FileUse, Provenance


_MOST_TOLD = 10


def short_citation(citation: str) -> str:
    """Author and year of a full citation; of a standard, its number.

    >>> short_citation("Pralong, D. & Carlile, S. (1996). The role of individualized headphone calibration. J. Acoust. Soc. Am. 100.")
    'Pralong & Carlile 1996'
    >>> short_citation("Goode, R. L., Killion, M., Nakamura, K. & Nishihara, S. (1994). New knowledge. Am. J. Otol. 15.")
    'Goode et al. 1994'
    >>> short_citation("ANSI S3.4-2007. Procedure for the computation of loudness.")
    'ANSI S3.4-2007'
    """
    found = re.match(r"(?P<authors>[^()]+) \((?P<year>\d{4})[a-z]?\)", citation)
    if found is None:
        return re.split(r"\.\s", citation.strip())[0].rstrip(".")
    # 'Surname, I. I.' repeated: what stands before each first comma of a pair.
    names = re.findall(r"([^,&]+),(?: ?[A-Z][\w.-]*\.)+", found["authors"]) or [found["authors"]]
    names = [name.strip() for name in names]
    authors = " & ".join(names) if len(names) <= 2 else f"{names[0]} et al."
    return f"{authors} {found['year']}"


def design_words(fir: "Fir") -> str:
    """Filter, order (or the number of taps where none is known), phase, and convention.

    >>> import numpy as np
    >>> from earfilt.synthesis.fir import Fir
    >>> from earfilt.synthesis.provenance import Provenance
    >>> told = Provenance(filter="headphone", order=512, phase="minimum")
    >>> design_words(Fir(np.ones(3), 48000.0, provenance=told))
    'headphone, order 512, minimum phase'
    """
    told = fir.provenance
    words = [told.filter or "FIR"]
    words += [
        counted(fir.numtaps, "tap") if told.order is None else f"order {together(told.order)}"
    ]
    words += [f"{together(told.phase)} phase"] if told.phase else []
    words += gain_words(told)
    convention = told.options.get("convention")
    words += [f"{together(convention)} convention"] if convention else []
    return printable(", ".join(words))


def gain_words(told: "Provenance") -> list[str]:
    """What the level is, where it is not the normalised one.

    >>> from earfilt.synthesis.provenance import Provenance
    >>> gain_words(Provenance(options={"normalize_gain": False})), gain_words(Provenance())
    (['absolute gain'], [])
    """
    return ["absolute gain"] if told.options.get("normalize_gain") is False else []


def level_words(told: "Provenance") -> str:
    """What levels behind a filter are in, where those before it are in dB SPL.

    >>> from earfilt.synthesis.provenance import Provenance
    >>> level_words(Provenance()), level_words(Provenance(quantity="A-weighted sound pressure"))
    ('dB SPL', 'dB(A)')
    >>> level_words(Provenance(quantity="stapes velocity"))
    'dB (stapes velocity: dB SPL of the input plus the gain of the filter)'
    """
    gives = told.quantity
    if gives in (None, PRESSURE):
        return "dB SPL"
    if weighted := re.fullmatch(r"([AC])-weighted [a-z ]*", gives):
        return f"dB({weighted[1]})"
    return f"dB ({printable(gives)}: dB SPL of the input plus the gain of the filter)"


def legend(fir: "Fir") -> str:
    """Label of a curve: a line on the design, and one on its sources where there are any."""
    told = fir.provenance
    sources = "; ".join(told.citations(short_citation)) or told.adaptation
    # What was published needs no word in a picture; that it was applied four times does.
    design = design_words(fir).removesuffix(", published convention")
    return "\n".join(filter(None, (design, printable(sources))))


def deviation_words(told: "Provenance") -> str:
    """Largest deviation from the published points and where; empty where nothing was published.

    >>> from earfilt.synthesis.provenance import Provenance
    >>> deviation_words(Provenance(deviation_db=2.0532, deviation_hz=125.0))
    '2.05 dB at most from the published points, at 125 Hz'
    """
    if told.deviation_db is None or told.deviation_hz is None:
        return ""
    if _is_of_the_amt(told):
        points = "points as the AMT applies them, four times the published dB"
    else:
        points = "published points"
    return f"{told.deviation_db:.3g} dB at most from the {points}, at {told.deviation_hz:g} Hz"


def points_words(told: "Provenance") -> str:
    """What the points are that a design is held to, as a figure calls them.

    >>> from earfilt.synthesis.provenance import Provenance
    >>> points_words(Provenance()), points_words(Provenance(options={"convention": "amt"}))
    ('published', "the AMT's, four times the published dB")
    """
    return "the AMT's, four times the published dB" if _is_of_the_amt(told) else "published"


def _is_of_the_amt(told: "Provenance") -> bool:
    """Whether a member takes its numbers four times (ruling 6)."""
    convention = told.options.get("convention")
    return "amt" in (convention if isinstance(convention, list) else [convention])


def ears_words(told: "Provenance", lookahead: int) -> str:
    """What is said of a filter with a chain for each ear: their deviations, and that nothing comes
    between them; empty of all others.

    >>> from earfilt.synthesis.provenance import Provenance
    >>> ears = Provenance(deviation_db=0.0512), Provenance()
    >>> ears_words(Provenance(ears=ears), 512)
    'deviation left 0.0512 dB, right unknown; both look ahead by 512 samples, which adds an interaural delay of 0 samples'
    """
    if not told.ears:
        return ""
    off = [
        "unknown" if ear.deviation_db is None else f"{ear.deviation_db:.3g} dB" for ear in told.ears
    ]
    aligned = (
        f"both look ahead by {counted(lookahead, 'sample')}" if lookahead else "both are causal"
    )
    return (
        f"deviation left {off[0]}, right {off[1]}; {aligned}, which adds an interaural delay of 0 "
        "samples"
    )


def range_words(told: "Provenance") -> str:
    """What the source covers, and the rule that holds beyond; empty where nothing was published.

    >>> from earfilt.synthesis.provenance import Provenance
    >>> range_words(Provenance(range_hz=(125.0, 10000.0), options={"beyond": "hold"}))
    'published from 125 to 10000 Hz, held beyond'
    >>> range_words(Provenance(range_hz=(125.0, 10000.0), held_to_hz=6300.0, led=True))
    'published from 125 to 10000 Hz, met up to 6300 Hz (none above 0.45 of the rate can be), continued smoothly beyond'
    """
    if told.range_hz is None:
        return ""
    rules = told.options.get("beyond")
    asked = rules if isinstance(rules, list) else [rules or "documented"]
    words = " and ".join(dict.fromkeys(_BEYOND_WORDS[rule] for rule in asked))
    words = "continued smoothly" if told.led else words
    low, high = told.range_hz
    held = (
        ""
        if told.held_to_hz is None
        else f", met up to {told.held_to_hz:g} Hz (none above 0.45 of the rate can be)"
    )
    return f"published from {low:g} to {high:g} Hz{held}, {words} beyond"


_BEYOND_WORDS = {
    "documented": "as documented",
    "hold": "held",
    "fall": "falling by 12 dB an octave",
}


def file_words(told: "Provenance") -> list[str]:
    """What each curve and FIR file of a filter was understood as: a line for each.

    >>> from earfilt.synthesis.provenance import FileUse, Provenance
    >>> ends = {"hz": (20.0, 2e4), "gain_db": (-9.0, 0.0)}
    >>> curve = FileUse(name="a.txt", sha256="", kind="curve", points=5, **ends)
    >>> fir = FileUse(name="h.wav", sha256="", kind="fir", numtaps=2047, latency=1023)
    >>> print("\\n".join(file_words(Provenance(files=(curve, fir)))))
    a.txt is read as a curve of 5 points, 20 to 20000 Hz, -9 to 0 dB
    h.wav is read as a FIR of 2047 taps, centred (latency 1023 samples)
    """
    return [printable(f"{file.name} is read as {use_words(file)}") for file in told.files]


def use_words(file: "FileUse") -> str:
    """What a file was understood as, and what was done to its values."""
    adapted = [f"adapted from {name}" for name in file.adapted]
    return "; ".join([_use_words(file), *adapted, *file.notes])


def _use_words(file: "FileUse") -> str:
    if file.hz is not None and file.gain_db is not None:
        (first, last), (lowest, highest) = file.hz, file.gain_db
        said = [file.dialect, " and ".join(map(repr, file.columns))]
        how = ", ".join(word for word in said if word)
        return (
            f"a curve of {counted(file.points or 0, 'point')}, {first:g} to {last:g} Hz, {lowest:g} to "
            f"{highest:g} dB{f' ({how})' if how else ''}"
        )
    if file.kind == "equaliser":
        return f"an equaliser of {counted(file.bands or 0, 'band')} ({file.dialect})"
    if file.kind == "curve":
        return "the target"
    if file.kind == "path":
        return "the path of the source"
    if file.kind == "sofa":
        return f"{counted(file.directions or 0, 'direction')} ({file.dialect})"
    numtaps, latency = file.numtaps or 0, file.latency or 0
    if file.sections is not None:
        sections, taps = counted(file.sections, "section"), counted(numtaps, "tap")
        return f"a filter of {sections}, applied as a FIR of {taps}"
    if latency == 0:
        aligned = "causal"
    elif abs(2 * latency - numtaps) <= 2:
        aligned = f"centred (latency {counted(latency, 'sample')})"
    else:
        aligned = f"latency {counted(latency, 'sample')}"
    what = {2: "a pair of FIRs (left, right)", 4: "a matrix of FIRs"}.get(file.rows or 1, "a FIR")
    return f"{what} of {counted(numtaps, 'tap')}, {aligned}"


def warnings(fir: "Fir") -> list[str]:
    """What a user must know: points that a tolerance missed, members that join with a reservation,
    where an inverse is limited.
    """
    told = fir.provenance
    return [*_missed(fir), *told.cautions, *_limits(told)]


def _missed(fir: "Fir") -> list[str]:
    told = fir.provenance
    if told.tolerance_met:
        return []
    missed = [f"{freq:g}" for freq in told.missed_points_hz]
    more = f" and {len(missed) - _MOST_TOLD} more points" if len(missed) > _MOST_TOLD else ""
    where = (
        f"missed at {', '.join(missed[:_MOST_TOLD])} Hz{more}"
        if missed
        else "missed between the points"
    )
    why = "; this is the best order found"
    if told.rounded_to is not None:
        why = f", rounded to {told.rounded_to}; FLOAT and DOUBLE keep what is small"
    return [f"{design_words(fir)}: the tolerance of {told.tolerance_db:g} dB is {where}{why}"]


def _limits(told: "Provenance") -> list[str]:
    """Where an inverse is not one.

    >>> from earfilt.synthesis.provenance import Provenance
    >>> _limits(Provenance(limited_hz=((20.0, 56.6),), options={"max_gain": 20.0}))
    ['the gain of the inverse is limited to 20 dB: it does not fully undo the filter at 20-57 Hz']
    """
    if not told.limited_hz:
        return []
    bands = [f"{low:.0f}-{high:.0f}" for low, high in told.limited_hz]
    more = f" and {len(bands) - _MOST_TOLD} more bands" if len(bands) > _MOST_TOLD else ""
    return [
        f"the gain of the inverse is limited to {told.options.get('max_gain'):g} dB: it does not "
        f"fully undo the filter at {', '.join(bands[:_MOST_TOLD])} Hz{more}"
    ]


def together(value: Any) -> str:
    """The members of a chain joined, or what they have in common."""
    return (
        "+".join(map(str, value))
        if isinstance(value, Sequence) and not isinstance(value, str)
        else str(value)
    )
