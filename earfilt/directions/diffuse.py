"""What the ears do to a diffuse field: the mean energy over all directions, each weighted by the part
of the sphere that it stands for.

References
----------
Møller, H. (1992). Fundamentals of binaural technology. Applied Acoustics 36, 171-218, section 6.
Gardner, W. G. & Martin, K. D. (1994). HRTF measurements of a KEMAR dummy-head microphone. MIT Media
Lab Perceptual Computing technical report 280 (diffuse-field equalisation of their set).
"""

import numpy as np

from earfilt.arrays import Floats

_FLOOR = 1e-3  # re the largest: below −60 dB nothing was measured, and a division would lift noise
_BLOCK = 1 << 22  # complex numbers at once


def diffuse_magnitude(taps: Floats, solid_angles: Floats, n_fft: int) -> Floats:
    """The magnitude (2, n_fft//2 + 1) of the energy mean of responses (M, 2, N), where the parts of
    the sphere (M,) add up to 1.
    """
    power = np.zeros((2, n_fft // 2 + 1))
    step = max(1, _BLOCK // n_fft)
    for start in range(0, len(taps), step):
        spectra = np.abs(np.fft.rfft(taps[start : start + step], n_fft)) ** 2
        power += np.tensordot(solid_angles[start : start + step], spectra, 1)
    magnitude = np.sqrt(power)
    largest = magnitude.max(axis=1, keepdims=True)
    return np.maximum(magnitude, np.where(largest > 0.0, _FLOOR * largest, 1.0))
