"""An equaliser as its program runs it: sections in series, made for each rate, and a gain."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from earfilt.arrays import Complexes, Floats, floats, namespace
from earfilt.ears.biquads import Band, Coefficients, coefficients
from earfilt.ears.entry import Entry
from earfilt.ears.kinds.modelled import THIRD_OCTAVES, Phased
from earfilt.ears.kinds.own import COLUMN, DECIMAL
from earfilt.ears.options import BEYOND, PHASE
from earfilt.errors import DataError, UsageError

_RANGE_HZ = (20.0, 20_000.0)
_USUAL_FS = 48_000.0  # where no rate is asked for
_NEXT_TO_AN_END = 1e-5  # of the axis, re fs: there a section is still exact to 1e-5
_WITH_PEAK = ("peaking", "low-shelf", "high-shelf")


@dataclass(frozen=True, kw_only=True)
class Equaliser(Phased):
    """An equaliser of the user's own.

    Attributes
    ----------
    bands : tuple of Band
    gain_db : float
        Of its preamp.
    fs : float, optional
        Hz, the one rate of bands that are given as coefficients.
    dialect : str
        What its file was understood as.
    notes : tuple of str
    """

    bands: tuple[Band, ...] = ()
    gain_db: float = 0.0
    fs: float | None = None
    dialect: str = ""
    notes: tuple[str, ...] = ()

    kind = "equaliser"
    keys = frozenset()
    # Its own phase, so that what is heard is what its program does.
    declared = (PHASE.with_default("native"), BEYOND, COLUMN, DECIMAL)

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        raise DataError(entry.full_name, "an equaliser is read from a file of its own")

    @classmethod
    def of(cls, name: str, bands: tuple[Band, ...], **said: Any) -> Self:
        """The equaliser of a file: its path, its bands; ``gain_db``, ``fs``, ``dialect``,
        ``notes``.
        """
        entry = Entry(
            name=name, kind=cls.kind, summary="an equaliser of your own", range_hz=_RANGE_HZ
        )
        return cls(entry=entry, bands=bands, **said)

    def _nominal(self) -> tuple[float, ...]:
        low, high = self.range_hz
        centres = {band.hz for band in self.bands if band.kind in _WITH_PEAK}
        return tuple(sorted({float(f) for f in {*THIRD_OCTAVES, *centres} if low <= f <= high}))

    def sections(self, fs: float) -> tuple[Coefficients, ...]:
        """Its sections at a sampling rate in Hz, without the gain.

        Raises
        ------
        UsageError
            A band lies at or above fs/2, or is given for another rate.
        """
        if self.fs is not None and fs != self.fs:
            raise UsageError(
                f"{self.name} holds coefficients for {self.fs:g} Hz, and {fs:g} Hz is asked for"
            )
        return tuple(coefficients(band, fs) for band in self.bands)

    def response(self, freqs: Floats, fs: float | None = None) -> Complexes:
        fs = fs or self.fs or _USUAL_FS
        xp = namespace(freqs)
        with xp.errstate(divide="ignore", invalid="ignore", over="ignore"):
            found = self._response(freqs, fs)
            # Poles and zeros next to 0 Hz are rounded onto it, and their ratio to anything; what
            # can be heard of such a band is what it does just above.
            lost = ~xp.isfinite(found)
            nearby = xp.clip(freqs, _NEXT_TO_AN_END * fs, (0.5 - _NEXT_TO_AN_END) * fs)
            return xp.where(lost, self._response(nearby, fs), found) if lost.any() else found

    def _response(self, freqs: Floats, fs: float) -> Complexes:
        delay = namespace(freqs).exp(-2j * math.pi * freqs / fs)
        response = 10.0 ** (self.gain_db / 20.0) + 0.0 * delay
        for b, a in self.sections(fs):
            response = response * (b[0] + delay * (b[1] + delay * b[2]))
            response = response / (a[0] + delay * (a[1] + delay * a[2]))
        return response

    def native(self, fs: float, **options: Any) -> Callable[[int], Floats]:
        sections = self.sections(fs)

        def impulse(n: int) -> Floats:
            from scipy.signal import lfilter

            samples = floats([10.0 ** (self.gain_db / 20.0)] + [0.0] * (n - 1))
            for b, a in sections:
                samples = lfilter(b, a, samples)
            return samples

        return impulse


KINDS = (Equaliser,)
