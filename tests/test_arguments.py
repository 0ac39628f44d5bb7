"""Arguments of any type: one sentence says what is wrong, and numpy's own numbers are numbers."""

import enum
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import earfilt
from tests.batch.trees import write_tone

CURVE = "frequency_hz,gain_db\n100,-2\n1000,0\n8000,-4\n"
FS = 16000
NOISE = np.random.default_rng(0).standard_normal(3000)
api: Any = earfilt  # whose types mypy would hold to


def learner() -> Any:
    return earfilt.ear("headphone", FS, learnable=True)


def goal() -> earfilt.Goal:
    return earfilt.Goal([200.0, 1000.0], [0.0, 1.0])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(CURVE)
    (tmp_path / "in").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "call",
    [
        lambda path: earfilt.design(path, fs=FS).taps,
        lambda path: earfilt.apply(NOISE, path, fs=FS),
        lambda path: earfilt.response(path, fs=FS, freqs=[1000.0]).magnitude_db,
        lambda path: earfilt.ear(path, FS).taps().numpy(),
        lambda path: earfilt.stream(path, fs=FS, dtype="float64").push(NOISE[:, None]),
        lambda path: earfilt.design_sections(path, fs=FS, sections=2).sos,
        lambda path: earfilt.design("mine.csv", fs=FS, target=path).taps,
    ],
)
def test_a_path_is_a_filter(folder: Path, call: Callable[[Any], Any]) -> None:
    np.testing.assert_array_equal(call(folder / "mine.csv"), call(str(folder / "mine.csv")))


def test_files_are_named_by_paths_of_any_type(folder: Path) -> None:
    earfilt.ear("headphone", FS).save(os.fsencode(folder / "ear.json"))
    earfilt.design("headphone", fs=FS).save(os.fsencode(folder / "fir.json"))
    assert earfilt.ear(folder / "ear.json").fs == FS
    assert earfilt.design(folder / "fir.json", fs=FS).numtaps > 1


NO_RATES = [None, [48000], "48000", True, 1j, 10**400, 10**5000, float("nan"), float("inf"), -1, 0]
CALLS: dict[str, Callable[[], Any]] = {
    **{
        f"a rate like {type(fs).__name__} {index}": lambda fs=fs: api.design("headphone", fs=fs)
        for index, fs in enumerate(NO_RATES)
    },
    "stream's rate": lambda: api.stream("headphone", fs=None, latency_ms=5),
    "module's rate": lambda: api.HeadphoneFilter("16000"),
    "order": lambda: api.design("headphone", fs=FS, order="64"),
    "a part of an order": lambda: api.design("headphone", fs=FS, order=64.0),
    "a huge order": lambda: api.design("headphone", fs=FS, order=10**5000),
    "a true order": lambda: api.design("headphone", fs=FS, order=True),
    "tolerance": lambda: api.design("headphone", fs=FS, tolerance="0.5"),
    "max_gain": lambda: api.design("headphone", fs=FS, inverse=True, max_gain="3"),
    "inverse": lambda: api.design("headphone", fs=FS, inverse="no"),
    "phase": lambda: api.design("headphone", fs=FS, phase=["zero"]),
    "bytes": lambda: api.design(b"headphone", fs=FS),
    "no filter": lambda: api.design(None, fs=FS),
    "several": lambda: api.design(["headphone"], fs=FS),
    "latency_ms": lambda: api.stream("headphone", fs=FS, latency_ms="5"),
    "channels": lambda: api.stream("headphone", fs=FS, channels=True),
    "sections": lambda: api.design_sections("headphone", fs=FS, sections="3"),
    "form": lambda: api.design_sections("headphone", fs=FS, sections=3, form="x"),
    "band": lambda: api.design_sections("headphone", fs=FS, sections=3, band=5),
    "no signals": lambda: api.identify([], [], FS),
    "words for signals": lambda: api.identify("a", "b", FS),
    "no estimator": lambda: api.identify(np.ones(9), np.ones(9), FS, estimator="H2"),
    "no mean": lambda: api.identify(np.ones(9), np.ones(9), FS, mean="median"),
    "no samples": lambda: api.identify(np.zeros(0), np.zeros(0), FS),
    "words for frequencies": lambda: api.response("headphone", freqs=["a"]),
    "a table of frequencies": lambda: api.response("headphone", freqs=[[1, 2]]),
    "an ear beyond fs/2": lambda: earfilt.ear("headphone", FS).response([8000.1]),
    "an ear at nothing": lambda: api.ear("headphone", FS).response(None),
    "a part of nfft": lambda: api.HeadphoneFilter(FS).get_effective_response(1.5),
    "words for nfft": lambda: api.OuterMiddleEarFilter(FS, order=64).get_frequency_response("8"),
    "a dtype of numpy": lambda: api.ear("headphone", FS, dtype="f4"),
    "learnable": lambda: api.HeadphoneFilter(FS, learnable="no"),
    "flow": lambda: api.OuterMiddleEarFilter(FS, flow="20"),
    "a point": lambda: api.way(None, "eardrum"),
    "an entry": lambda: api.filters(5),
    "saved nowhere": lambda: api.ear("headphone", FS).save(None),
    "source": lambda: api.apply_file(None, "b.wav", "headphone"),
    "gain_db": lambda: api.apply_file("a.wav", "b.wav", "headphone", gain_db="3"),
    "dither": lambda: api.apply_file("a.wav", "b.wav", "headphone", dither="no"),
    "device": lambda: api.apply_file("a.wav", "b.wav", "headphone", device=3),
    "rate": lambda: api.apply_file("a", "b", "headphone", raw="s16le", rate="8", channels=1),
    "inputs": lambda: api.apply_files(None, "out", "headphone"),
    "jobs": lambda: api.apply_files("in", "out", "headphone", jobs="2"),
    "shard": lambda: api.apply_files("in", "out", "headphone", shard=3),
    "parts": lambda: api.apply_files("in", "out", "headphone", shard=("a", "b")),
    "steps": lambda: api.fit(learner(), goal(), steps="3"),
    "seed": lambda: api.fit(learner(), goal(), steps=1, seed="a"),
    "no module": lambda: api.fit(3, goal()),
    "no goal": lambda: api.fit(learner(), 3),
    "no loss": lambda: api.fit(learner(), loss=3),
    "no checkpoint": lambda: api.fit(learner(), goal(), checkpoint=3),
    "words for a goal": lambda: api.fit(learner(), earfilt.Goal(["a", "b"], [0, 1])),
    "smoothness": lambda: api.fit(learner(), api.Goal([200, 300], [0, 1], smoothness="a")),
}


@pytest.mark.parametrize("what", CALLS)
def test_what_is_of_another_type_is_refused_in_one_sentence(what: str) -> None:
    with pytest.raises(earfilt.UsageError) as refused:
        CALLS[what]()
    assert str(refused.value).isprintable()
    assert 10 < len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "call",
    [
        lambda x: earfilt.apply(x, "headphone", fs=FS),
        lambda x: earfilt.stream("headphone", fs=FS, dtype="float64").push(x[:, None]),
        lambda x: earfilt.identify(x, x, FS),
        lambda x: earfilt.response("headphone", freqs=x),
        lambda x: earfilt.ear("headphone", FS).response(x),
        lambda x: earfilt.fit(learner(), earfilt.Goal(x, x)),
    ],
)
def test_a_mask_is_not_lost_without_a_word(call: Callable[[Any], Any]) -> None:
    with pytest.raises(earfilt.UsageError, match="is a masked array, whose mask would be lost"):
        call(np.ma.masked_less(np.abs(NOISE), 0.1))


@pytest.mark.parametrize("as_number", [np.float32, np.int64, np.array, torch.tensor, Fraction])
def test_numbers_of_any_library_are_numbers(as_number: Callable[[int], Any]) -> None:
    wanted = earfilt.design("headphone", fs=FS, tolerance=1)
    found = api.design("headphone", fs=as_number(FS), tolerance=as_number(1))
    np.testing.assert_array_equal(found.taps, wanted.taps)
    assert len(earfilt.response("headphone", freqs=as_number(1000))) == 1
    assert tuple(earfilt.ear("headphone", FS).response(as_number(1000)).shape) == (1,)


class Word(enum.StrEnum):
    """A word as a user's program has it, of which workers do not know."""

    HEADPHONE = "headphone"
    PCM_24 = "PCM_24"


Word.__module__ = "__main__"


class Decibels(float):
    """A number, likewise."""


Decibels.__module__ = "__main__"


def test_equal_settings_of_any_type_are_one_setting_in_a_batch(folder: Path) -> None:
    write_tone(folder / "in" / "a.wav")
    settings: list[tuple[str, dict[str, Any]]] = [
        ("headphone", {"gain_db": 6.0, "max_gain": 20.0, "subtype": "PCM_24"}),
        ("headphone", {"gain_db": 6, "max_gain": 20, "subtype": "PCM_24"}),
        ("headphone", {"gain_db": np.float32(6), "max_gain": np.int16(20), "subtype": "PCM_24"}),
        (
            Word.HEADPHONE,
            {"gain_db": Decibels(6), "max_gain": Decibels(20), "subtype": Word.PCM_24},
        ),
    ]
    for n, (name, options) in enumerate(settings):
        for out, wanted in ((f"out{n}", "ok"), ("out0", "skipped")):
            (row,) = api.apply_files(
                "in", out, name, exists="resume", inverse=True, jobs=1, **options
            )
            assert (row.status, row.error) == (wanted, None)


def test_a_caller_keeps_the_frequencies_that_were_asked_for() -> None:
    asked = np.array([100.0, 1000.0])
    table = earfilt.response("headphone", freqs=asked)
    wanted = table.to_csv()
    asked /= 1000.0
    assert table.frequency_hz.tolist() == [100.0, 1000.0]
    assert table.to_csv() == wanted


def test_one_pattern_is_no_list_of_letters() -> None:
    rows = list(api.apply_files("in", "out", "headphone", include="*.flac", jobs=1))
    assert rows == []


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 0), (-1, 2), (1, -2), (0, 0)])
def test_no_part_outside_of_the_whole_is_asked_for(tmp_path, shard):
    with pytest.raises(earfilt.UsageError, match=r"with I from 1 to N"):
        list(earfilt.apply_files(tmp_path, tmp_path / "out", "headphone", shard=shard))
