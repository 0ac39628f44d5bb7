"""A C header: float and Q31 coefficients for CMSIS-DSP and the like.

References
----------
Arm, CMSIS-DSP, arm_biquad_cascade_df1_init_f32 and _q31: five coefficients a section,
{b0, b1, b2, a1, a2}, with y[n] = b0·x[n] + b1·x[n−1] + b2·x[n−2] + a1·y[n−1] + a2·y[n−2]; those of
Q31 are scaled down by 2^postShift.
"""

import numpy as np

from earfilt.errors import UsageError
from earfilt.files.presets.preset import Preset
from earfilt.synthesis.biquads.sections import Sections

_TEXT = """\
/* {comment}
 *
 * {count} biquads in series, at {fs:.12g} Hz only. Five coefficients each: b0, b1, b2, a1, a2, with
 * the signs of CMSIS-DSP (the opposite of scipy's and MATLAB's a1, a2):
 *   y[n] = b0*x[n] + b1*x[n-1] + b2*x[n-2] + a1*y[n-1] + a2*y[n-2]
 * float: arm_biquad_cascade_df1_init_f32(&s, {NAME}_SECTIONS, {name}_f32, state).
 * Q31, coefficients times 2^(31-{NAME}_POST_SHIFT):
 *   arm_biquad_cascade_df1_init_q31(&s, {NAME}_SECTIONS, {name}_q31, state, {NAME}_POST_SHIFT).
 * Rounding to float changes the magnitude by {f32:.2g} dB at most, to Q31 by {q31:.2g} dB.
 */
#ifndef {NAME}_H
#define {NAME}_H

#include <stdint.h>

#define {NAME}_SECTIONS {count}
#define {NAME}_SAMPLE_RATE {rate}
#define {NAME}_POST_SHIFT {shift}

static const float {name}_f32[5 * {NAME}_SECTIONS] = {{
{floats}
}};

static const int32_t {name}_q31[5 * {NAME}_SECTIONS] = {{
{integers}
}};

#endif
"""


def write(preset: Preset) -> str:
    """The text of a ``.h``."""
    sections = preset.content
    if not isinstance(sections, Sections):
        raise UsageError("a C header takes sections or bands")
    rows = sections.sos[:, [0, 1, 2, 4, 5]] * np.array([1.0, 1.0, 1.0, -1.0, -1.0])
    shift = sections.post_shift
    codes = np.rint(rows * 2.0 ** (31 - shift)).astype(np.int64)
    name = preset.identifier
    return _TEXT.format(
        comment=preset.comment.replace("*/", "* /"),
        count=len(rows),
        fs=sections.fs,
        rate=repr(sections.fs).removesuffix(".0"),
        name=name,
        NAME=name.upper(),
        shift=shift,
        f32=sections.float32_db,
        q31=sections.q30_db,
        floats=",\n".join("    " + ", ".join(map(_float, row)) for row in rows.tolist()),
        integers=",\n".join("    " + ", ".join(map(str, row)) for row in codes.tolist()),
    )


def _float(value: float) -> str:
    """A C constant of type float, to the digits that tell all floats apart."""
    return f"{np.float32(value):.8e}f"
