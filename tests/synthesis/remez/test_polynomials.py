"""Cosine polynomials, against numpy's."""

import numpy as np

from earfilt.synthesis.remez.exchange import chebyshev_points
from earfilt.synthesis.remez.polynomials import barycentric_weights, sample


def test_sample_is_the_cosine_series() -> None:
    cosines = np.random.default_rng(3).standard_normal(12)
    angles = np.linspace(0.0, np.pi, 33)
    np.testing.assert_allclose(
        sample(cosines, 32), np.polynomial.chebyshev.chebval(np.cos(angles), cosines), atol=1e-12
    )


def test_barycentric_weights_against_plain_products() -> None:
    nodes = chebyshev_points(20) ** 1.02 * np.pi**-0.02
    x = np.cos(nodes)
    plain = np.array([1 / np.prod(abs(x[k] - np.delete(x, k))) for k in range(len(x))])
    weights = barycentric_weights(nodes)
    np.testing.assert_allclose(weights / weights.max(), plain / plain.max(), rtol=1e-11)
