"""How rows look."""

import dataclasses
import pickle
import re
from typing import Any

import pytest

from earfilt.errors import AudioError, Note
from earfilt.render.record import Row
from earfilt.report.rows import Totals, duration, summary, table
from earfilt.synthesis.provenance import Provenance
from tests.conftest import ROOT

CORPUS = ROOT / "docs" / "corpus.md"

TOLD = Provenance(
    variant="1997-free",
    options={"convention": "published"},
    order=4096,
    phase="zero",
    deviation_db=0.123,
    deviation_hz=500.0,
)


def done(name: str = "a.wav", **facts: Any) -> Row:
    row = Row(
        f"in/{name}",
        f"out/{name}",
        name,
        "ok",
        format="WAV",
        subtype="PCM_16",
        fs=8000,
        channels=2,
        frames=80_000,
    )
    row.filter, row.provenance = "outer-middle-ear", TOLD
    row.peak_in_dbfs, row.peak_out_dbfs, row.clipped = [-6.0, None], [1.5, None], [0, 0]
    row.device, row.precision = "cpu", "float32"
    return dataclasses.replace(row, **facts)


def failed(name: str, error: str, reason: str | None = None) -> Row:
    return Row(f"in/{name}", f"out/{name}", name, "failed", error=error, reason=reason)


def test_one_of_a_thing_is_no_plural() -> None:
    said = summary(done(frames=1, channels=1, clipped=[1], fitting_gain_db=-1.5))
    assert "1 channel, 1 frame (" in said
    assert "1 sample (1 in channel 0)" in said


def test_summary_says_what_was_done() -> None:
    said = summary(done(clipped=[3, 0], fitting_gain_db=-1.5, warnings=["be warned"]))
    for words in (
        "in/a.wav -> out/a.wav",
        "outer-middle-ear, variant 1997-free, published convention, order 4096, zero phase",
        "0.123 dB at most from the published points, at 500 Hz",
        "8000 Hz, 2 channels, 80000 frames (10.0 s)",
        "WAV PCM_16, computed in float32 on cpu",
        "in -6.00 / −inf, out 1.50 / −inf dBFS",
        "3 samples (3 in channel 0); --gain -1.50 fits",
        "be warned",
    ):
        assert words in said


def test_a_summary_calls_dB_SPL_what_is_sound_pressure() -> None:
    levels = {"spl_in_db": [70.0], "spl_out_db": [60.0]}
    for quantity, words in (
        (None, "in 70.00, out 60.00 dB SPL"),
        ("sound pressure", "in 70.00, out 60.00 dB SPL"),
        ("A-weighted sound pressure", "in 70.00 dB SPL, out 60.00 dB(A)"),
        ("stapes velocity", "in 70.00 dB SPL, out 60.00 dB (stapes velocity: "),
    ):
        assert words in summary(done(**levels, provenance=Provenance(quantity=quantity)))


def test_rescaled_files_are_told_with_the_gain_that_fits_all() -> None:
    totals = Totals()
    for name, gain in (("a.wav", -3.904), ("b.wav", -7.404)):
        totals.add(done(name, gain_db=gain, rescaled_db=gain))
    totals.add(done("c.wav"))
    assert "2  rescaled by -7.40 to -3.90 dB" in table(totals, 1.0)
    assert "--gain -7.41 without --clip rescale fits them" in table(totals, 1.0)


def test_names_cannot_drive_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\n.wav"
    rows = [done(evil), failed(evil, f"in/{evil} is empty")]
    totals = Totals()
    for row in rows:
        totals.add(row)
    for said in (*map(summary, rows), table(totals, 1.0)):
        assert "\x1b" not in said
        assert "\x07" not in said


def test_equal_reasons_are_one_line() -> None:
    totals = Totals(passed_over=7)
    for i in range(1500):
        error = AudioError.about(
            f"in/{i}.wav",
            "{subject} is cut short: its header promises {promised} frames, {there} are there",
            promised=7 * i,
            there=i,
        )
        totals.add(failed(f"{i}.wav", str(error), reason=error.reason))
    totals.add(failed("x.wav", "in/x.wav is empty (0 bytes)"))
    said = table(totals, 2.0)
    assert (
        "1,500    is cut short: its header promises … frames, … are there (e.g. in/0.wav)" in said
    )
    assert "1    in/x.wav is empty (0 bytes)" in said.splitlines()[-1]
    assert "1,501  failed" in said
    assert "7  ignored" in said


def test_numbers_that_are_part_of_a_word_stay() -> None:
    totals = Totals()
    for name in ("a.wav", "b.wav"):
        totals.add(failed(name, "FLAC cannot hold PCM_32: add --subtype PCM_24"))
    assert "2    FLAC cannot hold PCM_32: add --subtype PCM_24 (e.g. in/a.wav)" in table(
        totals, 1.0
    )


def test_one_of_a_kind_is_told_as_it_is() -> None:
    totals = Totals()
    totals.add(failed("a.wav", "the decoder gave up after 17 frames"))
    totals.add(done("b.wav", warnings=[Note.of("{count} samples were read as 0", count=17)]))
    said = table(totals, 1.0)
    assert "1    in/a.wav: the decoder gave up after 17 frames" in said
    assert "1  warned: in/b.wav: 17 samples were read as 0" in said
    totals.add(
        done(
            "c.wav",
            warnings=[Note.of("{count} samples were read as 0", count=3)],
            provenance=Provenance(),
        )
    )
    assert "2  warned: … samples were read as 0 (e.g. in/b.wav)" in table(totals, 1.0)


def test_a_batch_says_how_far_its_filter_is_from_the_points() -> None:
    totals = Totals()
    totals.add(failed("a.wav", "x"))
    assert "deviation" not in table(totals, 1.0)
    totals.add(done(provenance=Provenance()))
    assert "deviation" not in table(totals, 1.0)
    for fs, deviation in ((8000, 0.123), (192_000, 9.2), (48_000, 2.0)):
        told = Provenance(deviation_db=deviation, deviation_hz=500.0)
        totals.add(done(fs=fs, provenance=told))
    assert (
        "  deviation: 9.2 dB at most from the published points, at 500 Hz "
        "(sampling rate 192000 Hz)" in table(totals, 1.0)
    )


def test_totals_and_one_line_of_clipping() -> None:
    totals = Totals()
    for row in (
        done(),
        done("b.wav", clipped=[5, 1], fitting_gain_db=-2.25),
        done("c.wav", clipped=[0, 4], fitting_gain_db=-0.5),
        Row("in/d.wav", "out/d.wav", "d.wav", "skipped"),
    ):
        totals.add(row)
    said = table(totals, 2.0)
    assert "3  done: 30.0 s of audio in 2.0 s, 15 × real time" in said
    assert "1  skipped" in said
    assert (
        "2  clipped: 10 samples; --gain -2.25 fits all of them (the loudest is out/b.wav)" in said
    )
    assert said.count("clipped") == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_every_field_of_a_row_is_documented() -> None:
    """The table of docs/corpus.md: its first column names every field, and no other."""
    table = CORPUS.read_text("utf-8").partition("| field | ")[2].partition("\n\n")[0]
    documented = [
        name
        for line in table.splitlines()[2:]
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    ]
    assert sorted(documented) == sorted(done().to_dict())


def test_notes_of_one_kind_are_counted_together_also_from_another_process() -> None:
    totals = Totals()
    for name, count in [("a.wav", 8), ("b.wav", 12), ("c.wav", 12)]:
        note = Note.of("{count} of {name} are left, {why}", count=count, name="it", why="so")
        totals.add(pickle.loads(pickle.dumps(done(name, warnings=[note]))))
    assert "3  warned: … of it are left, so (e.g. in/a.wav)" in table(totals, 1.0)


def test_a_verbose_summary_of_one_ear_and_of_two() -> None:
    one = summary(done(gain_1khz_db=-3.214, latency=256), verbose=True)
    assert "256 samples, -3.21 dB at 1 kHz" in one
    two = summary(done(gain_1khz_db=[0.5, None], latency=0), verbose=True)
    assert "0 samples, +0.50 / −inf dB at 1 kHz" in two
    assert " at 1 kHz" not in summary(done(), verbose=True)
