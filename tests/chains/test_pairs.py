"""Filters of two ears by name: sides, chains that mix one ear and two, one look-ahead."""

import numpy as np
import pytest
import scipy.signal

from earfilt.chains.export import Export, export
from earfilt.chains.members import resolve
from earfilt.chains.request import parse_command
from earfilt.chains.sections import design as design_sections
from earfilt.errors import UsageError
from earfilt.files.firs import write_fir
from earfilt.render.job import Options
from earfilt.render.recipe import recipe_of
from earfilt.synthesis.fir import Fir

RNG = np.random.default_rng(6)
FS = 16000
CURVE = "frequency_hz,gain_db\n100,-2\n1000,0\n2700,6\n6000,-4\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(name: str, rows: int, numtaps: int = 9, lookahead: int = 0) -> np.ndarray:
    taps = RNG.standard_normal((rows, numtaps))
    taps = taps[0] if rows == 1 else taps
    write_fir(Fir(taps, FS, lookahead), name)
    return taps


@pytest.mark.parametrize("name", ["L=iso532-free,R=middle-ear", "R=middle-ear,L=iso532-free"])
@pytest.mark.parametrize("options", [{}, {"phase": "zero"}, {"order": 64}, {"tolerance": 0.5}])
def test_each_ear_gets_what_it_gets_alone(name, options):
    pair = resolve(name, **options).at(FS)
    for row, alone in enumerate(
        resolve(one, **options).at(FS) for one in ("iso532-free", "middle-ear")
    ):
        found = pair.row(row)
        freqs = np.linspace(20, 8000, 200)
        np.testing.assert_allclose(found.response(freqs), alone.response(freqs), rtol=0, atol=1e-12)
    assert pair.rows == resolve(name).rows == 2


def test_ears_of_unlike_phase_and_length_share_a_look_ahead():
    """Clicks through both ears stand at the same frame: the responses of both have time zero there."""
    centred, causal = saved("a.json", 1, 31, 15), saved("b.json", 1, 50)
    pair = resolve("L=a.json,R=b.json").at(FS)
    assert (pair.lookahead, pair.numtaps) == (15, 65)
    np.testing.assert_array_equal(pair.taps[0], np.append(centred, np.zeros(34)))
    np.testing.assert_array_equal(pair.taps[1], np.append(np.zeros(15), causal))
    told = pair.provenance.to_json()
    assert told["added_interaural_delay"] == 0
    assert told["ears"]["left"]["filter"] == "a.json"


def test_the_larger_deviation_is_reported_and_each_is_known():
    told = resolve("L=iso532-free,R=middle-ear").at(48000).provenance
    left, right = (resolve(one).at(48000).provenance for one in ("iso532-free", "middle-ear"))
    assert told.deviation_db == max(left.deviation_db, right.deviation_db)
    assert [ear.deviation_db for ear in told.ears] == [left.deviation_db, right.deviation_db]
    assert told.range_hz == (max(left.range_hz[0], right.range_hz[0]), 10_000.0)


@pytest.mark.parametrize("first", [1, 2, 4])
@pytest.mark.parametrize("second", [1, 2, 4])
def test_a_chain_of_any_rows_is_one_after_the_other(first, second):
    """By signals: stereo noise through one file and then through the other."""
    a, b = saved("a.json", first), saved("b.json", second)
    chain = resolve("a.json+b.json").at(FS)
    assert chain.rows == max(first, second)

    def through(x, taps):
        rows = np.atleast_2d(taps)
        if len(rows) < 4:
            return np.stack([np.convolve(c, rows[i % len(rows)]) for i, c in enumerate(x)])
        return np.stack(
            [np.convolve(x[0], rows[ear]) + np.convolve(x[1], rows[2 + ear]) for ear in range(2)]
        )

    x = RNG.standard_normal((2, 40))
    np.testing.assert_allclose(through(x, chain.taps), through(through(x, a), b), atol=1e-12)


def test_a_pair_joins_published_ears_and_gives_a_side_its_row():
    pair = saved("pair.wav", 2)
    ear = resolve("iso532-free").at(FS)
    chain = resolve("pair.wav+iso532-free").at(FS)
    sided = resolve("L=pair.wav+iso532-free,R=pair.wav").at(FS)
    for row in range(2):
        np.testing.assert_allclose(
            chain.taps[row], scipy.signal.convolve(pair[row], ear.taps), atol=1e-12
        )
    np.testing.assert_allclose(sided.taps[0], chain.taps[0], atol=1e-12)
    np.testing.assert_array_equal(sided.taps[1, : pair.shape[1]], pair[1])
    saved("matrix.json", 4)
    with pytest.raises(
        UsageError, match=r"matrix\.json is a matrix .* stand for the left one alone"
    ):
        resolve("L=matrix.json,R=pair.wav").at(FS)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("L=iso532-free", "says what the left ear gets, and not what the right one does"),
        ("R=iso532-free", "what the right ear gets, and not what the left one does"),
        ("L=iso532-free,L=middle-ear", "not what the right one"),
        ("L=,R=iso532-free", "with a name on both sides"),
        ("L=iso532-free,R=", "with a name on both sides"),
        ("L=iso532-free,R=nobody", "nobody"),
    ],
)
def test_a_pair_names_both_ears(name, words):
    with pytest.raises(UsageError, match=words):
        resolve(name)


def test_paths_with_commas_and_equals_signs(folder):
    for name in ("a,R=b.csv", "c=d,e.csv", "L=x.csv"):
        (folder / name).write_text(CURVE)
    members = resolve("L=a,R=b.csv,R=c=d,e.csv").members
    assert [one.name for one in members] == ["a,R=b.csv", "c=d,e.csv"]
    assert [one.ear_side for one in members] == ["left", "right"]
    assert resolve("L=x.csv").members[0].name == "L=x.csv"  # a file of that name


def test_an_option_reaches_the_side_that_has_it():
    pair = resolve("L=middle-ear,R=headphone", normalize_gain=False).at(FS)
    np.testing.assert_array_equal(
        np.trim_zeros(pair.taps[0], "b"), resolve("middle-ear", normalize_gain=False).at(FS).taps
    )
    with pytest.raises(UsageError, match="has no option flow"):
        resolve("L=middle-ear,R=headphone", flow=100.0)


def test_the_way_back_of_both_ears():
    pair = resolve("L=headphone,R=middle-ear", inverse=True).at(FS)
    freqs = np.array([500.0, 1000.0, 2000.0])
    for row, name in enumerate(("headphone", "middle-ear")):
        there = abs(resolve(name).at(FS).response(freqs)) * abs(pair.row(row).response(freqs))
        np.testing.assert_allclose(20 * np.log10(there), 0.0, atol=0.25)


def test_recipes_tell_the_ears_apart():
    one, other, plain = (
        recipe_of(resolve(name), Options()).name
        for name in ("L=headphone,R=middle-ear", "L=middle-ear,R=headphone", "headphone")
    )
    assert len({one, other, plain}) == 3
    assert recipe_of(resolve("R=middle-ear,L=headphone"), Options()).name == one


def test_a_fir_of_a_pair_that_says_what_it_is_opens_no_file(folder):
    assert parse_command("L=headphone,R=middle-ear --order 64") is not None
    (folder / "secret").write_text(CURVE)
    for name in ("L=secret,R=headphone", "L=headphone,R=secret", "R=headphone+secret,L=headphone"):
        assert parse_command(name) is None


def test_what_serves_one_ear_is_refused_with_what_helps():
    pair = resolve("L=headphone,R=middle-ear")
    with pytest.raises(UsageError, match=r"for two ears, .* -f headphone and -f middle-ear"):
        design_sections(pair, 48000.0, sections=3)
    with pytest.raises(UsageError, match="graphic equalisers are written for one"):
        export(pair, 48000.0, "a.txt", Export(program="wavelet"))


def test_presets_name_a_channel_for_each_ear(folder):
    pair = resolve("L=headphone,R=middle-ear")
    texts = {}
    for program in ("equalizerapo", "camilladsp", "pipewire", "easyeffects"):
        written = export(pair, 48000.0, f"{program}.txt", Export(program=program, form="fir"))
        texts[program] = written.files[0][1].decode()
        (folder / "ir.wav").write_bytes(written.files[1][1])
        assert resolve("ir.wav").at(48000.0).rows == 2
    lines = texts["equalizerapo"].splitlines()
    assert lines[-3:] == ["Channel: L R", "Convolution: equalizerapo.wav", "Channel: all"]
    assert "channels: [0]\n    names: [camilladsp_left]" in texts["camilladsp"]
    assert "channels: [1]\n    names: [camilladsp_right]" in texts["camilladsp"]
    assert '"left:In",' in texts["pipewire"]
    saved("matrix.json", 4)
    with pytest.raises(UsageError, match=r"is a matrix of four rows: write its \.wav alone"):
        export(resolve("matrix.json"), FS, "a.txt", Export(program="equalizerapo", form="fir"))
