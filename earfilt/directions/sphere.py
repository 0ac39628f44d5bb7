"""Measured directions as a net of triangles on the sphere: which three lie around a direction, and
which part of the sphere each stands for.

The net is the convex hull of the unit vectors, which is their Delaunay triangulation on the sphere.
Where nothing was measured (below most heads) it has faces too, and these are told by their size:
the circle through the corners of such a face is much wider than those of the others.

A value between three directions is their mean by the barycentric weights b, f = Σ b_j f_j, which
cuts across what is curved. With the slopes g_j there (of a parabola through the neighbours) the mean
of what each would foretell errs by as much to the other side, so half of it makes
f = Σ b_j (f_j + g_j·(x − x_j) / 2) exact for every parabola. The slopes are weighted sums of values
too, so all that is kept of them is weights.

References
----------
Renka, R. J. (1997). Algorithm 772: STRIPACK: Delaunay triangulation and Voronoi diagram on the
surface of a sphere. ACM Trans. Math. Softw. 23, 416-434.
Caroli, M. et al. (2010). Robust and efficient Delaunay triangulations of points on or close to a
sphere. Experimental Algorithms, LNCS 6049, 462-473 (the Voronoi cells, as scipy has them).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from earfilt.arrays import Floats
from earfilt.directions.geometry import angles_between

SAME_DEG = 0.01
"""Directions that are closer than this are one."""

_WIDE_DEG, _WIDER = 20.0, 2.5  # a face around nothing: wider than both
_PLANE_DEG = 1.0
_EDGE = 1e-9

_NEIGHBOURS = 16  # of a direction, whose values tell the slope there
_FADE, _OWN = 1.05, 1e3  # weights of the fit: less with the angle, and of the direction itself
_WORST = 50.0  # condition of a fit that is believed
_FAR_DEG = 70.0  # neighbours that are farther say nothing of a slope


@dataclass(frozen=True)
class Place:
    """Where a direction lies: measured ones (1 to 3) and the weight of each; the weights are
    positive and add up to 1. The slopes there add further weights, of their neighbours too, which
    add up to 0.
    """

    indices: tuple[int, ...]
    weights: tuple[float, ...]
    slopes: Mapping[int, float] = field(default_factory=dict)

    @property
    def summed(self) -> dict[int, float]:
        """The weight of each direction in a value between them."""
        found = dict(zip(self.indices, self.weights, strict=True))
        for index, weight in self.slopes.items():
            found[index] = found.get(index, 0.0) + weight
        return found


@dataclass(frozen=True, eq=False)
class Net:
    """A net over measured directions.

    Parameters
    ----------
    vectors : (M, 3) float64
        Unit vectors, M ≥ 1; of equal ones the first counts.
    """

    vectors: Floats

    def nearest(self, direction: Floats) -> tuple[int, float]:
        """The measured direction that is nearest, and how far it is in degrees."""
        angles = angles_between(self.vectors, direction)
        index = int(np.argmin(angles))
        return index, float(angles[index])

    def place(self, direction: Floats) -> Place | None:
        """The measured directions around one, or the one that is it; None where it lies outside of
        what was measured.
        """
        index, angle = self.nearest(direction)
        if angle <= SAME_DEG:
            return Place((index,), (1.0,))
        if len(self._distinct) < 3:
            return None
        if self._plane is not None:
            return self._on_circle(direction)
        corners, inverses = self._triangles
        weights = np.einsum("fij,j->fi", inverses, direction)
        around = np.flatnonzero((weights >= -_EDGE).all(axis=1))
        if not len(around):
            return None
        face = around[int(np.argmax(weights[around].min(axis=1)))]
        return self._curved(_placed(corners[face], weights[face]), direction)

    def _curved(self, place: Place, direction: Floats) -> Place:
        """The place with what the slopes at its directions add."""
        added: dict[int, float] = {}
        for corner, weight in zip(place.indices, place.weights, strict=True):
            neighbours, slope = self._slope(corner)
            step = _on_plane(direction[None], self.vectors[corner])[0]
            for index, part in zip(neighbours, step @ slope, strict=True):
                added[int(index)] = added.get(int(index), 0.0) + 0.5 * weight * float(part)
        return replace(place, slopes=added)

    def _slope(self, corner: int) -> tuple[NDArray[np.intp], Floats]:
        """Directions (K,) and the weights (2, K) by which their values add up to the slope at one of
        them, per radian along the two axes of the plane there; none where they lie so that they say
        little of it (on one ring).
        """
        if corner in self._slopes:
            return self._slopes[corner]
        angles = angles_between(self.vectors[self._distinct], self.vectors[corner])
        near = np.argsort(angles, kind="stable")[: _NEIGHBOURS + 1]
        found = self._distinct[near], np.zeros((2, len(near)))
        reach = np.radians(angles[near[-1]])
        if len(near) > _NEIGHBOURS and angles[near[-1]] <= _FAR_DEG:
            x, y = _on_plane(self.vectors[found[0]], self.vectors[corner]).T / reach
            weights = _FADE - np.hypot(x, y)
            weights[0] = _OWN  # the parabola goes through the value itself
            parabola = np.stack([np.ones(len(x)), x, y, x**2, x * y, y**2], 1) * weights[:, None]
            if np.linalg.cond(parabola[1:, 1:]) < _WORST:
                found = found[0], np.linalg.pinv(parabola)[1:3] * weights / reach
        self._slopes[corner] = found
        return found

    @cached_property
    def _slopes(self) -> dict[int, tuple[NDArray[np.intp], Floats]]:
        return {}

    @cached_property
    def solid_angles(self) -> Floats:
        """The part of the sphere (its whole is 1) that each direction stands for, (M,): what is nearer
        to it than to any other. So the rim of a region where nothing was measured stands for that
        region. Of equal directions one counts.
        """
        parts = np.zeros(len(self.vectors))
        if self._plane is not None and len(self._distinct) > 2:
            order, angles = self._ring
            steps = np.diff(angles, append=angles[0] + 2.0 * np.pi)
            parts[order] = steps + np.roll(steps, 1)
        elif len(self._faces):
            from scipy.spatial import SphericalVoronoi

            parts[self._distinct] = SphericalVoronoi(self.vectors[self._distinct]).calculate_areas()
        else:
            parts[self._distinct] = 1.0
        return parts / parts.sum()

    @cached_property
    def firsts(self) -> NDArray[np.intp]:
        """For each direction the first one that equals it, (M,)."""
        rounded = np.round(self.vectors / np.radians(SAME_DEG))
        _, first, of = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
        return first[of.reshape(-1)]

    @cached_property
    def _distinct(self) -> NDArray[np.intp]:
        return np.unique(self.firsts)

    @cached_property
    def _plane(self) -> "Floats | None":
        """The axis of directions that lie in one plane through the head; None of others."""
        points = self.vectors[self._distinct]
        axis = np.linalg.svd(points, full_matrices=True)[2][-1]
        flat = np.abs(points @ axis).max() <= np.sin(np.radians(_PLANE_DEG))
        return axis if flat else None

    @cached_property
    def _ring(self) -> tuple[NDArray[np.intp], Floats]:
        """Directions in one plane, by their angle in it."""
        axis, first = self._plane, self.vectors[self._distinct[0]]
        assert axis is not None
        points = self.vectors[self._distinct]
        angles = np.arctan2(points @ np.cross(axis, first), points @ first)
        order = np.argsort(angles)
        return self._distinct[order], angles[order]

    def _on_circle(self, direction: Floats) -> Place | None:
        axis = self._plane
        assert axis is not None
        if abs(float(direction @ axis)) > np.sin(np.radians(_PLANE_DEG)):
            return None
        order, angles = self._ring
        first = self.vectors[self._distinct[0]]
        angle = float(np.arctan2(direction @ np.cross(axis, first), direction @ first))
        after = int(np.searchsorted(angles, angle)) % len(order)
        before = after - 1
        step = (angles[after] - angles[before]) % (2.0 * np.pi)
        if step > np.radians(max(_WIDE_DEG * 2.0, 360.0 * _WIDER / len(order))) or step == 0.0:
            return None
        part = ((angle - angles[before]) % (2.0 * np.pi)) / step
        return _placed(np.array([order[before], order[after]]), np.array([1.0 - part, part]))

    @cached_property
    def _faces(self) -> NDArray[np.intp]:
        """Corners (F, 3) of all faces; there are none where all directions lie on one circle."""
        from scipy.spatial import ConvexHull, QhullError  # which a set of directions alone needs

        try:
            hull = ConvexHull(self.vectors[self._distinct])
        except QhullError:
            return np.zeros((0, 3), np.intp)
        return self._distinct[hull.simplices]

    @cached_property
    def _triangles(self) -> tuple[NDArray[np.intp], Floats]:
        """Corners of the faces around which something was measured, and what turns a direction into
        the weights of the three.
        """
        corners = self.vectors[self._faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        areas = np.sqrt((normals**2).sum(1))
        whole = areas > 1e-12
        heights = np.abs(np.einsum("fj,fj->f", normals, corners[:, 0])) / np.where(
            whole, areas, 1.0
        )
        radii = np.degrees(np.arccos(np.clip(heights, 0.0, 1.0)))
        # Of a part of a sphere some faces look back at the head.
        inner = self.vectors[self._distinct].mean(axis=0)
        outward = np.sign(np.einsum("fj,fj->f", normals, corners[:, 0] - inner))
        ahead = outward * np.einsum("fj,fj->f", normals, corners[:, 0]) > 0.0
        limit = max(_WIDE_DEG, _WIDER * float(np.median(radii[whole]))) if whole.any() else 0.0
        used = whole & ahead & (radii <= limit)
        solved = np.linalg.inv(corners[used].transpose(0, 2, 1))
        return self._faces[used], solved


def _placed(corners: NDArray[np.intp], weights: Floats) -> Place:
    held = np.clip(weights, 0.0, None)
    held = held / held.sum()
    kept = held > 0.0
    return Place(tuple(map(int, corners[kept])), tuple(map(float, held[kept])))


def _on_plane(vectors: Floats, centre: Floats) -> Floats:
    """Unit vectors (K, 3) on the plane that touches the sphere at one, (K, 2) in radians: their angles
    from it and their bearings are kept.
    """
    first = np.cross(centre, np.eye(3)[np.argmin(np.abs(centre))])
    first = first / np.linalg.norm(first)
    flat = np.stack([vectors @ first, vectors @ np.cross(centre, first)], -1)
    sines = np.linalg.norm(flat, axis=-1, keepdims=True)
    angles = np.arctan2(sines, (vectors @ centre)[..., None])
    return flat * np.divide(angles, sines, out=np.ones_like(sines), where=sines > 0.0)
