"""Conversions between gains and decibels."""

import math


def db_to_gain(db: float) -> float:
    """Linear amplitude gain of a level in dB.

    >>> db_to_gain(20.0)
    10.0
    """
    return float(10.0 ** (db / 20.0))


def gain_to_db(gain: float) -> float:
    """Level in dB of a linear amplitude gain; −inf for zero.

    >>> gain_to_db(10.0)
    20.0
    >>> gain_to_db(0.0)
    -inf
    """
    return 20.0 * math.log10(gain) if gain > 0.0 else -math.inf
