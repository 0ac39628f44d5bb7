"""SOFA files for tests: the rigid sphere, known exactly in every direction, written by sofar."""

from pathlib import Path

import numpy as np
import pytest
import sofar
from scipy.special import eval_legendre, spherical_jn, spherical_yn

KEMAR = Path("/usr/share/libmysofa/MIT_KEMAR_normal_pinna.sofa")
"""Gardner & Martin (1994), MIT Media Lab Technical Report 280; of the Debian package libmysofa1."""

FS, NUMTAPS = 44100.0, 256
_RADIUS, _DISTANCE, _SPEED = 0.0875, 1.5, 343.0
_START = 60  # samples before sound passes the middle of the head


def kemar() -> Path:
    """The set of Debian; skips the test where the package is missing."""
    if not KEMAR.exists():
        pytest.skip("needs program: libmysofa")
    return KEMAR


def sphere_ears(vectors: np.ndarray) -> np.ndarray:
    """Impulse responses (M, 2, NUMTAPS) of a rigid sphere with ears at ±90°.

    Duda, R. O. & Martens, W. L. (1998). Range dependence of the response of a spherical head model.
    J. Acoust. Soc. Am. 104, 3048-3058.
    """
    freqs = np.fft.rfftfreq(NUMTAPS, 1 / FS)[1:]
    mu, rho = 2 * np.pi * freqs * _RADIUS / _SPEED, _DISTANCE / _RADIUS
    cosines = np.stack([vectors[:, 1], -vectors[:, 1]], 1)
    orders = np.arange(70)[:, None]

    def hankel(x: np.ndarray, derivative: bool = False) -> np.ndarray:
        return spherical_jn(orders, x, derivative) + 1j * spherical_yn(orders, x, derivative)

    with np.errstate(all="ignore"):
        ratio = hankel(mu * rho) / hankel(mu, True)
    ratio[~np.isfinite(ratio)] = 0.0
    weights = (2 * orders + 1) * ratio
    summed = np.einsum("omr,of->mrf", eval_legendre(orders[:, :, None], cosines), weights)
    pressure = -rho / mu * np.exp(-1j * mu * rho) * summed
    spectra = np.concatenate([np.ones((*cosines.shape, 1)), pressure.conj()], axis=2)
    spectra = spectra * np.exp(-2j * np.pi * np.arange(NUMTAPS // 2 + 1) / NUMTAPS * _START)
    fade = np.clip((20500 - np.fft.rfftfreq(NUMTAPS, 1 / FS)) / 3500, 0, 1)  # no cut at fs/2
    return np.fft.irfft(spectra * np.sin(np.pi / 2 * fade) ** 2, NUMTAPS)


def grid(step: float, lowest: float = -90.0) -> np.ndarray:
    """Azimuth, elevation (M, 2) in degrees on rings, one direction at each pole."""
    rows = []
    for elevation in np.arange(lowest, 90.0 + step / 2, step):
        count = max(1, round(360 / step * np.cos(np.radians(elevation))))
        rows += [(360 * k / count, elevation) for k in range(count)]
    return np.array(rows)


def write_sofa(
    path: Path, taps: np.ndarray, positions: np.ndarray, convention: str = "SimpleFreeFieldHRIR"
) -> Path:
    """A set by sofar: taps (M, 2, N), positions (M, 3) of azimuth, elevation, metres."""
    sofa = sofar.Sofa(convention)
    sofa.Data_IR = taps
    sofa.Data_SamplingRate = FS
    sofa.SourcePosition, sofa.SourcePosition_Type = positions, "spherical"
    sofa.SourcePosition_Units = "degree, degree, metre"
    sofa.ReceiverPosition = np.array([[0, 0.09, 0], [0, -0.09, 0]])
    sofa.ReceiverPosition_Type, sofa.ReceiverPosition_Units = "cartesian", "metre"
    sofar.write_sofa(str(path), sofa)
    return path


def write_sphere(path: Path, step: float = 15.0, lowest: float = -45.0) -> Path:
    """The rigid sphere on a grid."""
    from earfilt.directions.geometry import unit_vectors

    angles = grid(step, lowest)
    taps = sphere_ears(unit_vectors(angles[:, 0], angles[:, 1]))
    return write_sofa(path, taps, np.column_stack([angles, np.full(len(angles), 1.5)]))
