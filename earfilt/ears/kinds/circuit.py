"""Ears that are filters themselves: Butterworth designs, analog circuits and one-pole sections.

An entry lists the stages of the model as its source states them. At a sampling rate the ear is the
digital filter that the source's program makes of them there; without one, or with ``--prototype``,
it is the analog filter behind it. Nothing is made into coefficients: a bilinear transform is an
analog response at a warped frequency, so that every stage is evaluated where it is asked for.

References
----------
Oppenheim, A. V. & Schafer, R. W. (2010). Discrete-time signal processing, 3rd ed., section 7.1.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from earfilt.arrays import Complexes, Floats, floats, namespace
from earfilt.ears.entry import Entry
from earfilt.ears.kinds.modelled import Phased
from earfilt.ears.options import BEYOND, NORMALIZE_GAIN, PHASE, Option
from earfilt.errors import DataError, UsageError
from earfilt.wording import option

Stage = Mapping[str, Any]
_NATIVE_FS = 48_000.0  # of a stage that has no analog filter behind it, where no rate is asked for


class Axis(NamedTuple):
    """Where a stage is evaluated: frequencies in Hz, and the rate; None for the analog filter."""

    freqs: Floats
    fs: float | None

    def s(self, exact_hz: float | None = None) -> Complexes:
        """jω; for a digital filter the one that the bilinear transform puts there, exact at
        ``exact_hz`` or near 0 Hz.
        """
        xp = namespace(self.freqs)
        if self.fs is None:
            return 2j * math.pi * self.freqs
        scale = 2.0 * self.fs
        if exact_hz is not None:
            scale = 2.0 * math.pi * exact_hz / math.tan(math.pi * exact_hz / self.fs)
        return 1j * scale * xp.tan(math.pi * self.freqs / self.fs)

    def delay(self) -> Complexes:
        """z^−1, of a digital filter."""
        assert self.fs is not None
        xp = namespace(self.freqs)
        return xp.exp(-2j * math.pi * self.freqs / self.fs)

    def corner(self, hz: float) -> float:
        """The frequency (rad/s) of the analog filter whose digital one has its corner at ``hz``, on
        the axis of ``s()``.

        Raises
        ------
        UsageError
            It lies at or above fs/2, where no such digital filter exists.
        """
        if self.fs is None:
            return 2.0 * math.pi * hz
        if hz >= self.fs / 2.0:
            raise UsageError(
                f"a corner at {hz:g} Hz lies at or above fs/2 = {self.fs / 2.0:g} Hz, where the "
                f"program has no filter; {option('prototype', True)} takes the analog one"
            )
        return 2.0 * self.fs * math.tan(math.pi * hz / self.fs)


# -- stages --------------------------------------------------------------------------------------


def _butterworth(axis: Axis, stage: Stage) -> Complexes:
    """A Butterworth design, pre-warped at each corner, as ``scipy.signal.butter``."""
    n, kind = stage["order"], stage["butterworth"]
    corners = [axis.corner(hz) for hz in stage["hz"]]
    s = axis.s()
    up: Complexes
    # H = up / Π (down − pole·over): powers of s cancel, and nothing is divided by zero.
    if kind == "lowpass":
        up, down, over = 1.0 + 0.0 * s, s / corners[0], 1.0 + 0.0 * s
    elif kind == "highpass":
        up, down, over = s / corners[0], 1.0 + 0.0 * s, s / corners[0]
    else:
        low, high = corners
        up = s * (high - low)
        down, over = s**2 + low * high, up
    response = 1.0 + 0.0 * s
    for k in range(n):
        angle = math.pi * (2 * k + n + 1) / (2 * n)
        response = response * up / (down - complex(math.cos(angle), math.sin(angle)) * over)
    return response


def _polynomials(axis: Axis, stage: Stage) -> Complexes:
    """Numerator over denominator in s, highest power first."""
    s = axis.s(stage.get("exact_hz"))
    return _polynomial(stage["numerator"], s) / _polynomial(stage["denominator"], s)


def _polynomial(coefficients: Sequence[float], s: Complexes) -> Complexes:
    value = 0.0 * s
    for coefficient in coefficients:
        value = value * s + coefficient
    return value


def _zeros_and_poles(axis: Axis, stage: Stage) -> Complexes:
    """Zeros in rad/s and poles in Hz; the analog filter has a gain of one at ``unity_hz``."""
    xp = namespace(axis.freqs)

    def at(s: Complexes) -> Complexes:
        value = 1.0 + 0.0 * s
        for zero in stage["zeros_rad_s"]:
            value = value * (s - zero)
        for real, imaginary in stage["poles_hz"]:
            value = value / (s - 2.0 * math.pi * complex(real, imaginary))
        return value

    unity = 2j * math.pi * xp.asarray([stage["unity_hz"]])
    return at(axis.s()) / abs(at(unity))[0]


def _one_pole(axis: Axis, stage: Stage) -> Complexes:
    """A low-pass (1 − q)/(1 − q/z) and a high-pass r·(1 − 1/z)/(1 − r/z), each 3 dB down at its
    corner.
    """
    response = 1.0 + 0.0j * axis.freqs
    for hz in stage.get("lowpass_hz", ()):
        if axis.fs is None:
            response = response / (1.0 + 1j * axis.freqs / hz)
        else:
            q = _pole(axis, hz)
            response = response * (1.0 - q) / (1.0 - q * axis.delay())
    for hz in stage.get("highpass_hz", ()):
        if axis.fs is None:
            response = response * (1j * axis.freqs / hz) / (1.0 + 1j * axis.freqs / hz)
        else:
            r, delay = _pole(axis, hz), axis.delay()
            response = response * r * (1.0 - delay) / (1.0 - r * delay)
    return response


def _pole(axis: Axis, hz: float) -> float:
    assert axis.fs is not None
    far = 2.0 - math.cos(2.0 * math.pi * hz / axis.fs)
    return far - math.sqrt(far**2 - 1.0)


def _leak(axis: Axis, stage: Stage) -> Complexes:
    """A one-pole low-pass whose pole is 1 − 2π·f/fs: (1 + a)/(1 + a/z)."""
    hz = stage["leak_hz"]
    if axis.fs is None:
        return 1.0 / (1.0 + 1j * axis.freqs / hz)
    a = 2.0 * math.pi * hz / axis.fs - 1.0
    return (1.0 + a) / (1.0 + a * axis.delay())


def _difference(axis: Axis, stage: Stage) -> Complexes:
    """A difference 1 − exp(−2π·f/fs)/z, with a gain of one at fs/4."""
    fs = _NATIVE_FS if axis.fs is None else axis.fs
    hz = stage["difference_hz"]
    keep = math.exp(-2.0 * math.pi * hz / fs)
    return (1.0 - keep * Axis(axis.freqs, fs).delay()) / math.hypot(1.0, keep)


def _parallel(axis: Axis, stage: Stage) -> Complexes:
    """What comes in, plus Butterworth band-passes of it, each with a gain."""
    response = 1.0 + 0.0j * axis.freqs
    for branch in stage["plus"]:
        response = response + 10.0 ** (branch["gain_db"] / 20.0) * _butterworth(axis, branch)
    return response


_BUTTERWORTH_KEYS = frozenset({"butterworth", "order", "hz"})
_STAGES: Mapping[str, tuple[Callable[[Axis, Stage], Any], frozenset[str]]] = {
    "butterworth": (_butterworth, _BUTTERWORTH_KEYS),
    "numerator": (_polynomials, frozenset({"numerator", "denominator", "exact_hz"})),
    "zeros_rad_s": (_zeros_and_poles, frozenset({"zeros_rad_s", "poles_hz", "unity_hz"})),
    "lowpass_hz": (_one_pole, frozenset({"lowpass_hz", "highpass_hz"})),
    "leak_hz": (_leak, frozenset({"leak_hz"})),
    "difference_hz": (_difference, frozenset({"difference_hz"})),
    "plus": (_parallel, frozenset({"plus"})),
}


# -- the kind ------------------------------------------------------------------------------------


class Circuit(Phased):
    """A model of filters in series, with a phase of its own."""

    kind = "circuit"
    keys = frozenset({"stages", "gain", "normalize"})
    declared = (
        PHASE,
        NORMALIZE_GAIN,
        Option(
            "prototype",
            False,
            "Use the analog filter of a model instead of its program's digital filter at the "
            "sampling rate.",
            bool,
        ),
        BEYOND,
    )

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        stages = entry.parameters.get("stages")
        if not isinstance(stages, list) or not stages or entry.range_hz is None:
            raise DataError(entry.full_name, "needs stages, and range_hz, what the source covers")
        for stage in stages:
            _check(entry.full_name, stage)
        return cls(entry=entry)

    def response(self, freqs: Floats, fs: float | None = None) -> Complexes:
        xp = namespace(freqs)
        axis = Axis(freqs, fs)
        response = (0.0j * freqs) + self.entry.parameters.get("gain", 1.0)
        with xp.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for stage in self.entry.parameters["stages"]:
                response = response * _function(stage)(axis, stage)
        return response

    def _level(self, freqs: Floats, fs: float | None, options: dict[str, Any]) -> Floats:
        return self.magnitude(freqs, None if options["prototype"] else fs)

    def native(self, fs: float, **options: Any) -> Callable[[int], Floats]:
        options = self.settings(options)
        if options["prototype"]:
            raise UsageError(
                f"{option('phase', 'native')} is the phase of the program's digital filter, and "
                f"{option('prototype')} the analog one; minimum phase goes with it"
            )
        offset = self.reference_db(fs, options) if options.get("normalize_gain") else 0.0
        gain = 10.0 ** (-offset / 20.0)

        def impulse(n: int) -> Floats:
            # What is longer than n folds back in time; callers take n twice as long as what is
            # heard.
            freqs = floats(k * fs / n for k in range(n // 2 + 1))
            return gain * namespace(freqs).fft.irfft(self.response(freqs, fs), n)

        return impulse


def _function(stage: Stage) -> Callable[[Axis, Stage], Complexes]:
    return next(function for name, (function, _) in _STAGES.items() if name in stage)


def _check(name: str, stage: Stage) -> None:
    """Refuse a stage that is none of those above, or has a key that it does not understand."""
    kinds = [keys for kind, (_, keys) in _STAGES.items() if kind in stage]
    if len(kinds) != 1:
        raise DataError(name, f"a stage has one of {', '.join(_STAGES)}, not {', '.join(stage)}")
    unknown = set(stage) - kinds[0]
    if unknown:
        raise DataError(name, f"a stage does not understand {', '.join(sorted(unknown))}")


KINDS = (Circuit,)
