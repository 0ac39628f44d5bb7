"""Hostile files, the short form of ``make fuzz``."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earfilt.audio.reader import probe
from earfilt.errors import AudioError, DataError
from earfilt.files.curves import understand
from earfilt.files.firs import read_fir
from earfilt.files.saved_ears import read_fir_or_ear
from earfilt.files.sos import holds_sections, read_sections
from tests.robustness import crafted, fuzz, mutants, seeds, worker
from tests.robustness.judge import Ended, fault_of

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HEAVY = ("million", "64_mib", "bomb", "as_many", "100_mib")


def test_mutants_and_crafted_files_end_in_a_correct_output_or_in_one_line():
    light = [
        number
        for number, name in enumerate(crafted.MAKERS)
        if not any(word in name for word in HEAVY)
    ]
    table = fuzz.campaign(120, jobs=1, first=1_000_000, binary_every=10_000, crafted_files=light)
    assert table.violations == []
    assert table.tries >= 120 + len(light)


def test_no_pickle_is_loaded_and_no_code_run():
    for name in (
        "pickled_npy",
        "bare_pickle_as_npy",
        "code_in_the_npy_header",
        "npy_of_structures",
        "mat_of_objects",
    ):
        kind, make = crafted.MAKERS[name]
        with pytest.raises(DataError), crafted.in_a_folder(kind, make()) as path:
            read_fir(path)


def test_a_mutant_is_the_same_at_every_run():
    assert mutants.mutant("WAV", 5) == mutants.mutant("WAV", 5)
    assert len({mutants.mutant("WAV", number).data for number in range(50)}) > 40
    assert worker.made("FLAC", 3).suffix == ".flac"


def test_mutants_of_audio_ask_for_every_container_and_subtype():
    asked = {
        worker.target_of(mutants.Mutant("WAV", number, ".wav", b""))
        for number in range(2 * len(worker.OUTPUTS))
    }
    assert asked == {None, *worker.OUTPUTS}


def assert_read_or_refused(read, refusal):
    try:
        good = read()
    except refusal as error:
        good = str(error).isprintable()
    assert good


@QUICK
@given(st.sampled_from(seeds.FIRS).flatmap(mutants.mutants))
def test_fir_files_are_read_or_refused(tmp_path, hostile):
    path = tmp_path / f"a{hostile.suffix}"
    path.write_bytes(hostile.data)
    assert_read_or_refused(lambda: read_fir(path).numtaps > 0, DataError)


@QUICK
@given(mutants.mutants("ear.json"))
def test_saved_ears_are_read_or_refused(tmp_path, hostile):
    path = tmp_path / "a.json"
    path.write_bytes(hostile.data)
    assert_read_or_refused(lambda: read_fir_or_ear(path).numtaps > 0, DataError)


@QUICK
@given(st.sampled_from(seeds.SECTIONS).flatmap(mutants.mutants))
def test_sections_are_read_or_refused(tmp_path, hostile):
    path = tmp_path / f"a{hostile.suffix}"
    path.write_bytes(hostile.data)
    assert_read_or_refused(lambda: len(read_sections(path)) > 0, DataError)
    assert_read_or_refused(lambda: holds_sections(path) in (True, False), DataError)


def test_empty_sections_are_refused(tmp_path):
    path = tmp_path / "a.sos.csv"
    path.write_bytes(b"")
    for read in (read_sections, holds_sections):
        with pytest.raises(DataError, match="is empty"):
            read(path)


@QUICK
@given(st.sampled_from(seeds.CURVES).flatmap(mutants.mutants))
def test_curves_are_read_or_refused(tmp_path, hostile):
    path = tmp_path / f"a{hostile.suffix}"
    path.write_bytes(hostile.data)
    assert_read_or_refused(lambda: understand(path) is not None, DataError)


def test_every_dialect_is_damaged():
    for kind in seeds.CURVES:
        assert len(seeds.seeds(kind)) >= 2
    damaged = sum(len(seeds.seeds(kind)) for kind in seeds.CURVES)
    assert damaged == len(list(seeds.DIALECTS.iterdir())) + 2


@QUICK
@given(st.sampled_from(seeds.AUDIO).flatmap(mutants.mutants))
def test_audio_is_known_or_refused(tmp_path, hostile):
    path = tmp_path / f"a{hostile.suffix}"
    path.write_bytes(hostile.data)
    assert_read_or_refused(lambda: probe(str(path)).channels > 0, AudioError)


@pytest.mark.parametrize(
    "ended",
    [
        Ended(1, "", "Traceback (most recent call last):\n", 0, 0),
        Ended(1, "", "earfilt: one\nearfilt: two\n", 0, 0),
        Ended(1, "", "", 0, 0),
        Ended(1, "", "earfilt: unexpected KeyError: 3\n", 0, 0),
        Ended(1, "", "earfilt: \x1b[31mred\n", 0, 0),
        Ended(3, "", "earfilt: a\n", 0, 0),
        Ended(0, "", "", 11.0, 0),
        Ended(0, "", "", 0, 2 << 30),
        Ended(0, "", "x.py:3: RuntimeWarning: y\n", 0, 0),
    ],
)
def test_the_judge_sees_what_is_wrong(ended):
    assert fault_of(ended)


def test_the_judge_accepts_what_is_right():
    assert fault_of(Ended(0, "", "", 1.0, 1 << 20)) is None
    assert fault_of(Ended(2, "", "earfilt: a.json is no FIR\n", 1.0, 1 << 20)) is None
