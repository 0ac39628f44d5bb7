"""Every ear against figures made elsewhere: other programs, coefficients, the standards' tables."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from earfilt.chains.members import resolve
from earfilt.ears import catalogue
from earfilt.ears.kinds.contour import contour_db
from earfilt.ears.table import shipped
from earfilt.errors import UsageError

REFERENCE = Path(__file__).parents[1] / "reference"
MODELS = json.loads((REFERENCE / "ear_models.json").read_text("utf-8"))
RATES = (16_000, 44_100, 48_000, 96_000, 192_000)


def rows(name: str) -> np.ndarray:
    """Frequencies (Hz) and gains (dB) of a program that is not ours."""
    return np.loadtxt(
        REFERENCE / "ears" / f"{name}.csv", delimiter=",", comments=["#", "frequency_hz"]
    )


# -- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", MODELS["vectors"].values(), ids=MODELS["vectors"])
def test_magnitudes_of_models(case: dict) -> None:
    freqs = np.array([float(f) for f in case["response_db"]])
    wanted = np.array(list(case["response_db"].values())) + 20 * np.log10(case.get("re", 1.0))
    got = catalogue.ear(case["ear"]).magnitude(freqs, case["fs"])
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-4)


@pytest.mark.parametrize("case", MODELS["coefficients"].values(), ids=MODELS["coefficients"])
def test_coefficients_of_models(case: dict) -> None:
    fs = case["fs"]
    freqs = np.linspace(0.0, fs / 2, 501)[1:-1]
    wanted = np.ones(len(freqs), complex)
    for numerator, denominator in case["sections"]:
        wanted *= scipy.signal.freqz(numerator, denominator, freqs, fs=fs)[1]
    got = catalogue.ear(case["ear"]).response(freqs, fs)
    assert got is not None
    np.testing.assert_allclose(got, wanted, rtol=1e-9)


@pytest.mark.parametrize(
    ("program", "name", "fs", "within"),
    [
        ("amt_breebaart2001_44100", "breebaart2001", 44100, 1e-6),
        ("amt_dietz2011_middle_48000", "dietz2011-middle", 48000, 1e-6),
        ("amt_verhulst2018_48000", "verhulst2018-middle", 48000, 1e-6),
        ("amt_zilany2009_48000", "zilany2014-human-middle", 48000, 1e-6),
        ("clarity_haspi_middle_ear_24000", "kates2007-middle", 24000, 1e-6),
        ("cochlea_holmberg2007_outer_48000", "holmberg2007-outer", 48000, 1e-6),
        ("peaq_pqwome", "peaq", None, 1e-6),
        # The program has the six digits of the print.
        ("phonometry_ecma418_2_free_48000", "ecma418-free", 48000, 3e-4),
        # 1.9997 dB, where the program has 2.0000.
        ("pyfar_weighting_a", "a-weighting", None, 4e-4),
    ],
)
def test_programs_agree(program: str, name: str, fs: float | None, within: float) -> None:
    freqs, wanted = rows(program).T
    got = catalogue.ear(name).magnitude(freqs, fs)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=within)


def test_map_in_metres_per_pascal() -> None:
    freqs, wanted = rows("map1_14_ome_44100").T
    got = catalogue.ear("map1-14-ome").magnitude(freqs, 44100)
    np.testing.assert_allclose(got - 20 * np.log10(45e-9), wanted, rtol=0, atol=1e-6)


def test_the_fir_of_iso_532_3_is_a_spline_over_log_frequency() -> None:
    """Through the rows up to 16 kHz, with not-a-knot ends; its 2049 taps resolve 60 Hz."""
    freqs, wanted = rows("iso532_3_fir_df_32000").T
    got = sum(catalogue.ear(f"iso532-{part}").magnitude(freqs) for part in ("diffuse", "middle"))
    inside = (freqs >= 60.0) & (freqs <= 15_900.0)
    np.testing.assert_allclose(got[inside], wanted[inside], rtol=0, atol=0.005)


@pytest.mark.parametrize(
    ("program", "name", "offset", "within"),
    [
        ("sqat_a0_fastl2007", "fastl2007-a0", 0.0, 1.1),  # linear over Bark there
        ("gcfb234_free_outer", "iso532-free", -2.6, 0.61),  # linear over ERB number, 0 dB at 1 kHz
    ],
)
def test_other_interpolations_meet_at_the_points(
    program: str, name: str, offset: float, within: float
) -> None:
    ear = catalogue.ear(name)
    freqs, wanted = rows(program).T
    inside = freqs <= ear.range_hz[1]
    difference = ear.magnitude(freqs[inside]) + offset - wanted[inside]
    assert np.abs(difference).max() < within
    at_points = np.isin(freqs[inside], ear.points.freqs)
    assert at_points.sum() >= 2
    np.testing.assert_allclose(difference[at_points], 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("table", "column", "other"),
    [
        ("ansi2007_outer_ear", "free_field_db", "iso532_outer_free"),
        ("ansi2007_outer_ear", "diffuse_field_db", "iso532_outer_diffuse"),
        ("moore_middle_ear", "middle_ear_1997_db", "amt_1997_middle"),
        ("moore_middle_ear", "middle_ear_2007_db", "iso532_middle"),
    ],
)
def test_tables_that_stand_twice_agree(table: str, column: str, other: str) -> None:
    one, two = shipped(table), shipped(other)
    assert (one.frequencies, one.columns[column]) == (two.frequencies, two.columns["gain_db"])


# -- levels --------------------------------------------------------------------------------------

# ISO 226:2003, the contour of 40 phon at its 29 frequencies, dB SPL.
PHON_40 = [
    99.85, 93.94, 88.17, 82.63, 77.78, 73.08, 68.48, 64.37, 60.59, 56.70, 53.41, 50.40, 47.58,
    44.98, 43.05, 41.34, 40.06, 40.01, 41.82, 42.51, 39.23, 36.51, 35.61, 36.65, 40.01, 45.83,
    51.80, 54.28, 51.49,
]  # fmt: skip


def test_a_contour_of_the_older_edition() -> None:
    got = contour_db(shipped("iso226_2003"), 40.0, "2003")
    np.testing.assert_allclose(got, PHON_40, rtol=0, atol=0.006)


@pytest.mark.parametrize("edition", ["2003", "2023"])
@pytest.mark.parametrize("phon", [20.0, 40.0, 60.0, 80.0, 90.0])
def test_a_contour_is_as_loud_as_its_level_at_1_khz(phon: float, edition: str) -> None:
    table = shipped(f"iso226_{edition}")
    at_1_khz = contour_db(table, phon, edition)[table.frequencies.index(1000.0)]
    assert at_1_khz == pytest.approx(phon, abs=0.05)


def test_a_change_of_loudness() -> None:
    change = catalogue.ear("loudness-change:80:60")
    gain = dict(zip(change.points.freqs, change.points.gain_db, strict=True))
    assert gain[63.0] == pytest.approx(7.46, abs=0.005)
    assert gain[1000.0] == pytest.approx(0.0, abs=1e-6)
    back = catalogue.ear("loudness-change:60:80")
    np.testing.assert_allclose(np.add(change.points.gain_db, back.points.gain_db), 0, atol=1e-9)
    weighting = catalogue.ear("equal-loudness:60").points
    contour = contour_db(shipped("iso226_2023"), 60.0, "2023")
    np.testing.assert_allclose(np.add(weighting.gain_db, contour), 60.0, atol=1e-9)


def test_editions_are_chosen_by_name() -> None:
    new, old = (catalogue.ear(f"equal-loudness:60{edition}") for edition in ("", ":2003"))
    assert "226:2023" in new.sources[0].citation
    assert "226:2003" in old.sources[0].citation
    assert old.points.gain_db != new.points.gain_db
    assert catalogue.ear("equal-loudness:60:2023").points.gain_db == new.points.gain_db


@pytest.mark.parametrize(
    "name",
    ["equal-loudness:", "equal-loudness:loud", "equal-loudness:60:1987", "equal-loudness:5",
     "equal-loudness:101", "equal-loudness:-60", "equal-loudness:1e1", "loudness-change:80",
     "loudness-change:80:60:40", "equal-loudness:nan"],
)  # fmt: skip
def test_levels_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match=r"phon|no filter is called"):
        resolve(name)


def test_levels_beyond_the_standard_are_said() -> None:
    def last(name: str) -> str:
        return catalogue.ear(name).entry.caveats[-1]

    assert "information only" in last("equal-loudness:95")
    assert "above 4 kHz" in last("equal-loudness:85")
    assert len(catalogue.ear("equal-loudness:60").entry.caveats) == 1


@pytest.mark.parametrize(
    "name", ["glasberg1990-elc", "iso389-7-diffuse", "retspl-er2a", "terhardt1979"]
)
def test_levels_are_0_db_at_1_khz_unless_asked(name: str) -> None:
    ear, hz = catalogue.ear(name), np.array([1000.0])
    normal, raw = (ear.at(48000, normalize_gain=on).curve().aim(hz) for on in (True, False))
    assert normal == pytest.approx(1.0, abs=1e-6)
    assert 20 * np.log10(raw) == pytest.approx(ear.magnitude(hz), abs=1e-4)


def test_physical_units_are_0_db_at_the_peak_unless_asked() -> None:
    ear, hz = catalogue.ear("map1-14-ome"), np.geomspace(20, 20000, 5000)
    normal, raw = (ear.at(48000, normalize_gain=on).curve().aim(hz) for on in (True, False))
    assert normal.max() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(20 * np.log10(raw), ear.magnitude(hz, 48000), atol=1e-4)


@pytest.mark.parametrize("name", ["breebaart2001", "verhulst2015-middle", "iso532-middle"])
def test_dimensionless_ears_keep_their_level(name: str) -> None:
    ear = catalogue.ear(name)
    assert "normalize_gain" not in {option.name for option in ear.options}
    hz = np.geomspace(20, 16000, 1000)
    aim = ear.at(48000).curve().aim(hz)
    np.testing.assert_allclose(20 * np.log10(aim), ear.magnitude(hz, 48000), atol=1e-3)


# -- rates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fs", RATES)
def test_a_weighting_as_a_filter(fs: float) -> None:
    fir, hz = resolve("a-weighting").at(fs), np.geomspace(10.0, 0.45 * fs, 4000)
    off = 20 * np.log10(np.abs(fir.response(hz))) - catalogue.ear("a-weighting").magnitude(hz)
    assert np.abs(off).max() <= 0.1 + 1e-3


@pytest.mark.parametrize("fs", [16_000, 32_000, 44_100, 96_000, 192_000])
@pytest.mark.parametrize("name", ["ecma418-free", "ecma418-diffuse", "k-weighting"])
def test_filters_given_at_48_khz_are_the_same_at_every_rate(name: str, fs: float) -> None:
    ear, hz = catalogue.ear(name), np.geomspace(20.0, min(0.4 * fs, 20_000.0), 2000)
    np.testing.assert_allclose(ear.magnitude(hz, fs), ear.magnitude(hz, 48_000), rtol=0, atol=1e-9)


def test_the_design_of_holmberg_changes_at_74_khz() -> None:
    ear, hz = catalogue.ear("holmberg2007-outer"), np.array([8000.0, 12500.0])
    np.testing.assert_allclose(ear.magnitude(hz, 73_999), [7.1180, 1.2822], atol=1e-4)
    np.testing.assert_allclose(ear.magnitude(hz, 74_000), [7.8328, 3.1871], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "fs"), [("meddis-hewitt1991-middle", 16_000), ("kates2007-middle", 8000)]
)
def test_a_rate_without_such_a_filter_is_refused_and_the_prototype_is_not(
    name: str, fs: float
) -> None:
    with pytest.raises(UsageError, match=r"at or above fs/2.*prototype=True"):
        resolve(name).at(fs)
    assert resolve(name, prototype=True).at(fs).provenance.tolerance_met


def test_a_prototype_is_the_analog_filter() -> None:
    ear, hz = catalogue.ear("zilany2014-human-middle"), np.array([12_500.0])
    analog, digital = ear.magnitude(hz), ear.magnitude(hz, 48_000)
    assert analog[0] - digital[0] == pytest.approx(4.8, abs=0.05)
    aim = ear.at(48_000, prototype=True).curve().aim(hz)
    np.testing.assert_allclose(20 * np.log10(aim), analog, atol=1e-3)


# -- native phase --------------------------------------------------------------------------------


def test_native_phase_is_the_impulse_response_of_the_program() -> None:
    fir = resolve("dietz2011-middle", phase="native").at(48_000)
    impulse = np.zeros(fir.numtaps + 5000)
    impulse[0] = 1.0
    for order_hz, kind in ((2000, "low"), (500, "high")):
        impulse = scipy.signal.lfilter(*scipy.signal.butter(2, order_hz, kind, fs=48_000), impulse)
    np.testing.assert_allclose(fir.taps, impulse[: fir.numtaps], rtol=0, atol=1e-12)
    left = np.abs(impulse).sum() * 1e-8
    assert np.abs(impulse[fir.numtaps :]).sum() <= left < np.abs(impulse[fir.numtaps - 1 :]).sum()
    assert (fir.lookahead, fir.odd_ends) == (0, False)


def test_native_phase_of_coefficients_near_the_unit_circle() -> None:
    fir = resolve("holmberg2007-outer", phase="native").at(48_000)
    hz = np.geomspace(20, 20_000, 500)
    off = 20 * np.log10(np.abs(fir.response(hz))) - catalogue.ear("holmberg2007-outer").magnitude(
        hz
    )
    assert np.abs(off).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "fs", "words"),
    [
        ("headphone", 48_000, "phase is 'native'"),
        ("iso532-free", 48_000, "phase is 'native'"),
        ("k-weighting", 44_100, "has its own phase there alone"),
    ],
)
def test_where_there_is_no_native_phase(name: str, fs: float, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve(name, phase="native").at(fs)


# -- mistakes of other programs ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hz", "wanted"),
    [
        ("iso532-1-free", 3150, 5.4),
        ("iso532-1-free", 12500, -12.0),
        ("iso532-1-diffuse", 3150, 3.5),
        ("dlm-a0", 3400, 5.5),
        ("fastl2007-a0", 3400, 7.38),
        ("osses2016-a0", 9500, -5.19),
        ("p58-erp-to-drp", 3150, 10.3),
        ("iso532-middle", 100, -12.4),
        ("glasberg1990-elc", 20, -31.8),
        ("iso389-7-free", 1000, -2.4),
    ],
)
def test_signs(name: str, hz: float, wanted: float) -> None:
    """Sources tabulate gains, attenuations and levels; an ear is a gain."""
    assert catalogue.ear(name).magnitude(np.array([float(hz)])) == pytest.approx(wanted)


@pytest.mark.parametrize("weighting", ["a", "c"])
def test_weightings_as_printed(weighting: str) -> None:
    """At the exact third octaves that the nominal frequencies of the table stand for."""
    path = REFERENCE / f"iec61672_{weighting}.csv"
    table = np.loadtxt(path, delimiter=",", comments=["#", "frequency_hz"])
    exact = 1000.0 * 10.0 ** (np.arange(-20, 14) / 10.0)
    got = catalogue.ear(f"{weighting}-weighting").magnitude(exact)
    np.testing.assert_allclose(got, table[:, 1], rtol=0, atol=0.0501)
