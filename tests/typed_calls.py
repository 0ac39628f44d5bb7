"""What mypy thinks of calls (`make types`): a right one passes, and a wrong word is found, or the
remark that expects this is an error itself.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    import earfilt

    y = earfilt.apply(np.zeros(9), "headphone", fs=48000, phase="zero")
    n: int = earfilt.design("headphone", fs=48000).numtaps
    earfilt.design("headphone", fs=48000, phase="lineal")  # type: ignore[arg-type]
