"""Chains of biquads as numbers that can be searched without a constraint.

With the bilinear transform s = (1 − z⁻¹)/(1 + z⁻¹), on the unit circle s = jΩ with Ω = tan(ω/2), a
section is a quotient of two quadratics s² + b·s + a. Both roots of such a quadratic lie in the left
half plane exactly where a > 0 and b > 0, be they real or a conjugate pair: so ln a and ln b say
every stable, minimum-phase section, and only those, and run as a logarithmic frequency axis does.

The numbers of a chain of N sections are the 2·N pairs (ln a, ln b) of its zeros, then those of its
poles, and last the gain in dB where Ω is infinite, at fs/2: 4·N + 1 numbers. All functions take B
chains at once, (B, 4·N + 1), and squared warped frequencies u = Ω², (K,).
"""

import math

import numpy as np

from earfilt.arrays import Floats

LARGEST_RADIUS = 0.9999
"""How near to the unit circle a pole or zero may lie."""

_DB = 10.0 / math.log(10.0)  # of a squared magnitude, for each unit of its natural logarithm
# The smallest |s| of a real root within that radius, and the least b re 1 + a of a pair.
_LEAST_ROOT = (1.0 - LARGEST_RADIUS) / (1.0 + LARGEST_RADIUS)
_LEAST_DAMPING = (1.0 - LARGEST_RADIUS**2) / (1.0 + LARGEST_RADIUS**2)
_MARGIN = 1e-6  # re those, for the rounding of what follows


def warped(freqs: Floats, fs: float) -> Floats:
    """u = tan²(π·f/fs) of frequencies below fs/2."""
    return np.asarray(np.tan(np.pi * freqs / fs) ** 2)


def level_db(numbers: Floats, u: Floats) -> Floats:
    """Magnitude of B chains: (B, K) in dB."""
    count = numbers.shape[1] // 4
    pairs = numbers[:, :-1].reshape(len(numbers), 2 * count, 2)
    squared = (np.exp(pairs[..., 0, None]) - u) ** 2 + np.exp(2.0 * pairs[..., 1, None]) * u
    ratio = np.log(squared[:, :count] / squared[:, count:]).sum(1)
    return np.asarray(_DB * ratio + numbers[:, -1:])


def slopes(numbers: Floats, u: Floats) -> Floats:
    """Derivatives of the magnitude in dB for each number: (B, 4·N + 1, K)."""
    count = numbers.shape[1] // 4
    pairs = numbers[:, :-1].reshape(len(numbers), 2 * count, 2)
    a = np.exp(pairs[..., 0, None])
    damped = np.exp(2.0 * pairs[..., 1, None]) * u
    away = a - u
    weight = 2.0 * _DB / (away * away + damped)
    weight[:, count:] *= -1.0
    out = np.empty((*numbers.shape, len(u)))
    each = out[:, :-1].reshape(len(numbers), 2 * count, 2, len(u))
    each[:, :, 0] = away * a * weight
    each[:, :, 1] = damped * weight
    out[:, -1] = 1.0
    return out


def within_circle(numbers: Floats) -> Floats:
    """The same numbers with all poles and zeros moved within `LARGEST_RADIUS`."""
    numbers = numbers.copy()
    pairs = numbers[:, :-1].reshape(len(numbers), -1, 2)
    least = _LEAST_ROOT * (1.0 + _MARGIN)
    pairs[..., 0] = pairs[..., 0].clip(2.0 * math.log(least), -2.0 * math.log(least))
    a = np.exp(pairs[..., 0])
    # The quadratic is positive at the outermost real roots that are allowed, −least and −1/least.
    most = np.log(np.minimum(least + a / least, 1.0 / least + a * least))
    lowest = least_damping(pairs[..., 0])
    pairs[..., 1] = pairs[..., 1].clip(lowest, np.maximum(lowest, most))
    return numbers


def least_damping(log_a: Floats) -> Floats:
    """The least ln b with which a pair of roots lies within `LARGEST_RADIUS`."""
    return np.asarray(np.log(_LEAST_DAMPING * (1.0 + _MARGIN) * (1.0 + np.exp(log_a))))


def sections(numbers: Floats) -> Floats:
    """One chain, (4·N + 1,), as rows b0 b1 b2 1 a1 a2: (N, 6), the gain inside the first row's b.

    Each pole pair goes with the zeros nearest to it, the sharpest poles first, so that no section
    amplifies more than it must. The rows descend in frequency: a gain below 1 costs digits of the
    first row, and zeros near 0 Hz need all of theirs.
    """
    count = len(numbers) // 4
    pairs = numbers[:-1].reshape(2 * count, 2)
    found = rows(*_nearest(pairs[:count], pairs[count:]), float(numbers[-1]))
    # b0 = 1 but for the first: with zeros inside the circle |b1| < 2 and |b2| < 1, as fixed-point
    # processors want it, and the first b0 is the first sample of the impulse response.
    gain = np.prod(found[:, 0])
    found[:, :3] /= found[:, :1]
    found[0, :3] *= gain
    return found


def rows(zeros: Floats, poles: Floats, gain_db: float) -> Floats:
    """Zeros and poles, (N, 2) each and each with its partner, as rows b0 b1 b2 1 a1 a2.

    Every section has gain 1 at fs/2; the gain is inside the first row's b.
    """
    above, below = _coefficients(zeros), _coefficients(poles)
    found = np.concatenate([above, below], axis=1) / below[:, :1]
    found[0, :3] *= 10.0 ** (gain_db / 20.0)
    return found


def without_one(numbers: Floats) -> list[Floats]:
    """Chains of N − 1 sections: one of the N sections left out, each in turn."""
    count = len(numbers) // 4
    pairs = numbers[:-1].reshape(2 * count, 2)
    zeros, poles = _nearest(pairs[:count], pairs[count:])
    kept = [np.arange(count) != out for out in range(count)]
    return [
        np.concatenate([zeros[keep].ravel(), poles[keep].ravel(), numbers[-1:]]) for keep in kept
    ]


def _nearest(zeros: Floats, poles: Floats) -> tuple[Floats, Floats]:
    """Zeros and poles in pairs, descending in frequency."""
    left = list(range(len(zeros)))
    partner = np.zeros(len(poles), int)
    sharpness = poles[:, 1] - poles[:, 0] / 2.0
    for pole in np.argsort(sharpness, kind="stable"):
        best = min(left, key=lambda zero: float(np.abs(zeros[zero] - poles[pole]).sum()))
        left.remove(best)
        partner[pole] = best
    order = np.argsort(-poles[:, 0], kind="stable")
    return zeros[partner[order]], poles[order]


def _coefficients(pairs: Floats) -> Floats:
    """Quadratics in s as polynomials in z⁻¹ times (1 + z⁻¹)²: (N, 3)."""
    a, b = np.exp(pairs).T
    return np.stack([1.0 + b + a, 2.0 * (a - 1.0), 1.0 - b + a], axis=1)
