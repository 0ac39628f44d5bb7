"""Interpolation, against scipy and numpy, of arrays and of tensors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline, PchipInterpolator

from earfilt.ears import interpolation
from earfilt.ears.table import Table, shipped

TABLES = [
    (shipped("moore_middle_ear"), "middle_ear_1997_db"),
    (shipped("ansi2007_outer_ear"), "diffuse_field_db"),
    (shipped("pralong1996"), "gain"),
]
every_library = pytest.mark.parametrize(
    "array", [np.asarray, torch.from_numpy], ids=["numpy", "torch"]
)


def of(
    function: Callable[..., Any], array: Callable[[np.ndarray], Any], *arguments: np.ndarray
) -> np.ndarray:
    """A function of one library's arrays, from and to numpy; what it gives is of that library."""
    given = [array(argument) for argument in arguments]
    found = function(*given)
    assert type(found) is type(given[0])
    assert found.dtype == given[0].dtype
    return np.asarray(found)


@every_library
@pytest.mark.parametrize(("table", "column"), TABLES, ids=lambda value: getattr(value, "id", value))
def test_pchip_equals_scipy(table: Table, column: str, array: Any) -> None:
    xp, yp = np.array(table.frequencies), np.array(table.columns[column])
    x = np.linspace(xp[0], xp[-1], 20011)
    np.testing.assert_allclose(
        of(interpolation.pchip, array, x, xp, yp), PchipInterpolator(xp, yp)(x), atol=1e-12, rtol=0
    )


@every_library
@pytest.mark.parametrize(
    "yp",
    [
        [1.0, 5.0],
        [1.0, 5.0, 2.0],
        [0.0, 0.0, 0.0, 1.0],
        [3.0, 1.0, 1.0, 4.0, 9.0, 2.0],
        [1.0, 2.0, 30.0],
    ],
)
def test_pchip_shapes_of_few_points(yp: list[float], array: Any) -> None:
    xp = np.cumsum([1.0, 2.0, 0.5, 3.0, 1.0, 1.0][: len(yp)])
    x = np.linspace(xp[0], xp[-1], 501)
    np.testing.assert_allclose(
        of(interpolation.pchip, array, x, xp, np.array(yp)),
        PchipInterpolator(xp, yp)(x),
        atol=1e-12,
        rtol=0,
    )


@every_library
def test_both_hold_flat_beyond_the_ends(array: Any) -> None:
    xp, yp = np.array([1.0, 2.0, 4.0]), np.array([5.0, 7.0, 6.0])
    x = np.array([-3.0, 0.5, 4.5, 100.0])
    for function in (interpolation.linear, interpolation.pchip):
        assert of(function, array, x, xp, yp).tolist() == [5.0, 5.0, 6.0, 6.0]


@every_library
def test_linear_equals_numpy(rng: np.random.Generator, array: Any) -> None:
    xp, yp = np.sort(rng.uniform(0, 100, 40)), rng.normal(size=40)
    x = np.concatenate([rng.uniform(-10, 110, 1000), xp])
    np.testing.assert_allclose(
        of(interpolation.linear, array, x, xp, yp), np.interp(x, xp, yp), atol=1e-13, rtol=0
    )


@pytest.mark.parametrize("function", [interpolation.linear, interpolation.pchip])
def test_gradients(function) -> None:
    xp = torch.tensor([0.0, 1.0, 2.5, 3.0, 5.0, 6.0], dtype=torch.float64)
    yp = torch.tensor([0.0, 1.0, 0.5, 0.4, 2.0, 2.1], dtype=torch.float64, requires_grad=True)
    x = torch.linspace(0.1, 5.9, 37, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda y: function(x, xp, y), yp)


def test_flat_data_has_finite_gradients() -> None:
    yp = torch.ones(5, dtype=torch.float64, requires_grad=True)
    interpolation.pchip(
        torch.linspace(0, 4, 9).double(), torch.arange(5.0).double(), yp
    ).sum().backward()
    assert yp.grad is not None
    assert torch.isfinite(yp.grad).all()


@every_library
@pytest.mark.parametrize("n", [4, 5, 38])
def test_spline_equals_scipy_and_holds_its_ends(n: int, array: Any) -> None:
    rng = np.random.default_rng(n)
    xp = np.cumsum(rng.uniform(0.1, 2.0, n))
    yp = rng.normal(0.0, 10.0, n)
    x = np.linspace(xp[0] - 1.0, xp[-1] + 1.0, 10007)
    wanted = CubicSpline(xp, yp, bc_type="not-a-knot")(np.clip(x, xp[0], xp[-1]))
    got = interpolation.spline(array(x), array(xp), array(yp))
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())


def test_gradients_reach_the_values_of_a_spline() -> None:
    nodes = torch.linspace(0.0, 4.0, 9, dtype=torch.float64)
    values = torch.sin(nodes).requires_grad_()
    x = torch.linspace(-0.5, 4.5, 31, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: interpolation.spline(x, nodes, v), (values,))
