"""Directions as unit vectors: x ahead, y to the left, z up, as AES69 has them.

Azimuths count counterclockwise from ahead (90° is the left), elevations from the horizontal plane
up.

References
----------
AES69-2022. AES standard for file exchange - Spatial acoustic data file format.
"""

import numpy as np

from earfilt.arrays import Floats

_SMALL = 1e-12


def unit_vectors(azimuth: "Floats | float", elevation: "Floats | float") -> Floats:
    """Unit vectors (…, 3) of azimuths and elevations in degrees.

    >>> unit_vectors(90.0, 0.0).round(6).tolist()
    [0.0, 1.0, 0.0]
    """
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e) + 0.0 * a], -1)


def angles_of(vectors: Floats) -> tuple[Floats, Floats]:
    """Azimuths in [0, 360) and elevations in [−90, 90], degrees, of vectors (…, 3) of any length.

    >>> [round(float(angle), 6) for angle in angles_of(np.array([0.0, -2.0, 0.0]))]
    [270.0, 0.0]
    """
    x, y, z = np.moveaxis(vectors, -1, 0)
    azimuth = np.degrees(np.arctan2(y, x)) % 360.0
    # a tiny negative angle would come out as 360
    return np.where(azimuth >= 360.0, 0.0, azimuth), np.degrees(np.arctan2(z, np.hypot(x, y)))


def angles_between(vectors: Floats, direction: Floats) -> Floats:
    """Degrees from unit vectors (…, 3) to one (3,); exact for small angles too."""
    return np.degrees(2.0 * np.arcsin(np.clip(norms(vectors - direction) / 2.0, 0.0, 1.0)))


def norms(vectors: Floats) -> Floats:
    """Lengths (…,) of vectors (…, 3)."""
    return np.sqrt(np.sum(vectors * vectors, axis=-1))


def seen_by(vectors: Floats, view: Floats, up: Floats) -> Floats:
    """Vectors (M, 3) in the axes of a listener who looks along ``view`` with ``up`` over the head,
    (M or 1, 3) each.

    Raises
    ------
    ValueError
        The two have no length, or point the same way.
    """
    left = np.cross(up, view)
    upward = np.cross(view, left)
    axes = np.stack(np.broadcast_arrays(view, left, upward), axis=-2)
    lengths = norms(axes)
    if not (lengths > _SMALL).all():
        raise ValueError("the listener's view and up vectors define no axes")
    return np.einsum(
        "maj,mj->ma", np.broadcast_to(axes / lengths[..., None], (len(vectors), 3, 3)), vectors
    )


def between(first: Floats, second: Floats, part: float) -> Floats:
    """The unit vector a part of the way (0 … 1) along the great circle from one to another.

    >>> between(unit_vectors(350.0, 0.0), unit_vectors(10.0, 0.0), 0.5).round(6) + 0.0
    array([1., 0., 0.])
    """
    angle = float(np.radians(angles_between(first, second)))
    if angle < _SMALL:
        return second if part >= 1.0 else first
    if angle > np.pi - 1e-6:  # opposite: over the head, or, from there, ahead
        third = (
            np.array([0.0, 0.0, 1.0]) if abs(first[2]) < 1.0 - 1e-6 else np.array([1.0, 0.0, 0.0])
        )
        third = third - first * (first @ third)
        third = third / norms(third)
        return np.cos(part * np.pi) * first + np.sin(part * np.pi) * third
    found = (np.sin((1.0 - part) * angle) * first + np.sin(part * angle) * second) / np.sin(angle)
    return found / norms(found)
