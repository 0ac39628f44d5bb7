"""Sections as unconstrained numbers, held against the transfer function itself."""

import numpy as np
import pytest
from scipy.signal import sosfreqz

from earfilt.arrays import Floats
from earfilt.synthesis.biquads.quadratics import (
    LARGEST_RADIUS,
    level_db,
    sections,
    slopes,
    warped,
    within_circle,
    without_one,
)

FS = 48000.0
FREQS = np.geomspace(20.0, 23000.0, 50)


def chains(count: int, rows: int = 3) -> Floats:
    """Random numbers of some chains, allowed ones."""
    random = np.random.default_rng(count)
    pairs = random.uniform(-9.0, 1.0, (rows, 2 * count, 1))
    numbers = np.concatenate([2 * pairs, pairs + random.uniform(-2.0, 1.0, pairs.shape)], axis=2)
    gains = random.uniform(-20.0, 20.0, (rows, 1))
    return within_circle(np.concatenate([numbers.reshape(rows, -1), gains], axis=1))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_level_is_that_of_the_biquads(count: int) -> None:
    for numbers in chains(count):
        _, response = sosfreqz(sections(numbers), FREQS, fs=FS)
        expected = 20 * np.log10(np.abs(response))
        np.testing.assert_allclose(
            level_db(numbers[None], warped(FREQS, FS))[0], expected, atol=1e-6
        )


def test_slopes_are_differences() -> None:
    numbers, u = chains(3), warped(FREQS, FS)
    found = slopes(numbers, u)
    for index in range(numbers.shape[1]):
        step = np.zeros(numbers.shape[1])
        step[index] = 1e-6
        difference = (level_db(numbers + step, u) - level_db(numbers - step, u)) / 2e-6
        np.testing.assert_allclose(found[:, index], difference, rtol=1e-4, atol=1e-5)


def test_all_poles_and_zeros_stay_within_the_radius() -> None:
    wild = np.random.default_rng(1).uniform(-60.0, 60.0, (200, 9))
    for numbers in within_circle(wild):
        for row in sections(numbers):
            # a double root is known to the square root of the rounding only
            assert np.abs(np.roots(row[:3])).max() <= LARGEST_RADIUS + 1e-6
            assert np.abs(np.roots(row[3:])).max() <= LARGEST_RADIUS + 1e-6


def test_what_lies_within_is_left_alone() -> None:
    numbers = chains(4)
    np.testing.assert_array_equal(within_circle(numbers), numbers)


def test_coefficients_suit_fixed_point() -> None:
    for numbers in chains(5):
        rows = sections(numbers)
        assert (rows[:, 3] == 1.0).all()
        assert (rows[1:, 0] == 1.0).all()
        assert np.abs(rows[1:, [1, 4]]).max() < 2.0
        assert np.abs(rows[1:, [2, 5]]).max() < 1.0


def test_without_one_leaves_the_others() -> None:
    (numbers,) = chains(3, rows=1)
    whole = level_db(numbers[None], warped(FREQS, FS))
    for left in without_one(numbers):
        assert len(left) == len(numbers) - 4
        assert not np.allclose(level_db(left[None], warped(FREQS, FS)), whole)
