"""The documented design of a target: frequency sampling with a Hamming window, in one causal pass
of minimum phase or forwards and backwards.
"""

import math
from typing import Generic, NamedTuple

import numpy as np

from earfilt.arrays import Array, Floats, square_root
from earfilt.ears.options import choice
from earfilt.ears.target import Target
from earfilt.errors import UsageError
from earfilt.synthesis.phase import forward_backward, minimum_phase
from earfilt.synthesis.sampling import firwin2
from earfilt.synthesis.spectrum import peak

PHASE_TYPES = ("minimum", "zero")


class Passes(NamedTuple, Generic[Array]):
    """One design, without gain normalisation: float64 taps of one pass, and of all passes in one
    convolution.
    """

    one_pass: Array
    effective: Array


# Numbers whose ratios leave the range of float64 become zero or inf, and no warning.
@np.errstate(all="ignore")
def passes(target: Target, order: int, phase: str, freqs: Array, numbers: Array) -> Passes[Array]:
    """Design the FIR of a target from numbers on its grid.

    Parameters
    ----------
    target : Target
    order : int
        Number of taps − 1 of one pass, ≥ 2; even unless the curve is zero at fs/2.
    phase : {'minimum', 'zero'}
        One causal pass of a minimum-phase FIR, or forwards and backwards with the square root of
        the amplitude.
    freqs, numbers : (N,) float64
        Hz, and what stands for ``target.numbers``; of numpy or torch.

    Returns
    -------
    Passes
        order + 1 taps of one pass, and the effective ones: order + 1 causal taps (minimum phase),
        or 2·order + 1 taps centred on time zero (zero phase).

    Raises
    ------
    UsageError
        An order below 2, an odd one that the curve forbids, or an unknown phase.
    """
    check_design(order, phase)
    nodes, amplitude = target.nodes(freqs, numbers)
    if phase == "zero":
        amplitude = square_root(amplitude)
        one_pass = scaled(target, firwin2(order, nodes, amplitude, target.fs), 0.5)
        return Passes(one_pass, forward_backward(one_pass))
    one_pass = scaled(target, minimum_phase(firwin2(order, nodes, amplitude, target.fs)), 1.0)
    return Passes(one_pass, one_pass)


def scaled(target: Target, one_pass: Array, share: float) -> Array:
    """A pass that brings its share of the fixed peak."""
    return one_pass if target.peak is None else one_pass * (target.peak**share / peak(one_pass))


def taps(target: Target, order: int, phase: str) -> Floats:
    """Taps of all that the audio gets in one convolution, gain normalisation included: those of the
    published numbers.
    """
    effective = passes(target, order, phase, target.freqs, target.numbers).effective
    return effective * 10.0 ** (normalization_db(target, effective) / 20.0)


def normalization_db(target: Target, effective: Floats) -> float:
    """Gain normalisation of effective taps in dB; 0 where the target asks for none."""
    return -20.0 * math.log10(peak(effective)) if target.normalize_gain else 0.0


def lookahead(order: int, phase: str) -> int:
    """Index of the tap at time zero among the effective ones: 0, or the order for zero phase."""
    return order if phase == "zero" else 0


def check_design(order: int, phase: str) -> None:
    """Refuse an order below 2 or an unknown phase with a UsageError."""
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or order < 2:
        raise UsageError(f"order is {order!r}; it must be an integer of 2 or more")
    choice("phase_type", phase, PHASE_TYPES)
