"""miniDSP's text of biquads, as its advanced mode and REW have it.

References
----------
miniDSP, Advanced biquad programming: a1 and a2 have the opposite sign of the usual transfer
function. There are ten biquads to a block, at the processor's own rate.
"""

from earfilt.errors import UsageError
from earfilt.files.presets.preset import Preset, plain
from earfilt.synthesis.biquads.sections import Sections

MOST = 10


def write(preset: Preset) -> str:
    """``biquad1,`` and its coefficients, one a line."""
    if not isinstance(preset.content, Sections):
        raise UsageError("miniDSP takes sections or bands")
    sos = preset.content.sos
    if len(sos) > MOST:
        raise UsageError(f"a miniDSP block has {MOST} biquads, and these are {len(sos)} sections")
    lines = []
    for n, (b0, b1, b2, _, a1, a2) in enumerate(sos.tolist(), start=1):
        values = {"b0": b0, "b1": b1, "b2": b2, "a1": -a1, "a2": -a2}
        lines.append(f"biquad{n},")
        lines += [f"{name}={plain(value)}," for name, value in values.items()]
    return "\n".join(lines).removesuffix(",") + "\n"
