"""docs/from-the-amt.md: its calls give what the Auditory Modeling Toolbox gives, within what is
said, and its recipe for MATLAB gives the samples of `apply`.
"""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import earfilt
from earfilt.chains.request import parse_command
from tests.conftest import ROOT, reference
from tests.tools import need

GUIDE = (ROOT / "docs" / "from-the-amt.md").read_text("utf-8")
RATES = (16000, 44100, 48000)


def figures(file: str, name: str, fs: int) -> np.ndarray:
    """(N, 2) Hz and dB: those of the AMT itself have a column more."""
    rows = [row for row in reference(file) if row[0] == name and int(float(row[1])) == fs]
    return np.array([(float(row[-2]), float(row[-1])) for row in rows])


def of_octave(name: str, fs: int) -> np.ndarray:
    return figures("amt_filters.csv", name, fs)


def of_the_amt(name: str, fs: int) -> np.ndarray:
    return figures("amt_fir_magnitude.csv", name, fs)


def counted(points: np.ndarray, fs: float, top: float) -> np.ndarray:
    freqs, level = points.T
    return points[(freqs >= 100) & (freqs <= min(top, 0.45 * fs)) & (level > level.max() - 60)]


def level_db(call: str, freqs: np.ndarray, fs: float) -> np.ndarray:
    """Magnitude of a filter as the guide writes it, without its `-f`."""
    assert f"`-f {call}`" in GUIDE
    request = parse_command(call)
    assert request is not None
    fir = earfilt.design(request.name, fs=fs, **request.given())
    return 20 * np.log10(np.abs(fir.response(freqs)))


HEADPHONE = "headphone --order 512"
GOODE = "middle-ear:goode1994 --order 512 --no-normalize-gain"
JEPSEN = "middle-ear:jepsen2008 --order 512 --no-normalize-gain"


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize(
    ("figures_of", "name", "call", "within", "top"),
    [
        (of_octave, "headphone", HEADPHONE, 0.09, 1e6),
        (of_the_amt, "headphone", HEADPHONE, 0.09, 1e6),
        (of_the_amt, "middle_ear_lopezpoveda2001_goode_minimum", GOODE, 0.24, 1e6),
        (of_the_amt, "middle_ear_lopezpoveda2001_goode_linear", GOODE, 0.04, 1e6),
        (of_octave, "jepsen2008", JEPSEN, 0.1, 10_000),
        (of_the_amt, "middle_ear_jepsen2008_linear", JEPSEN, 0.1, 10_000),
        *(
            (of_octave, name, f"{ear} --phase native", within, 1e6)
            for name, ear, within in [
                ("verhulst2012", "verhulst2012-middle", 1e-4),
                ("verhulst2015", "verhulst2015-middle", 1e-4),
                ("verhulst2018", "verhulst2018-middle", 1e-4),
                ("zilany2009", "zilany2014-human-middle", 1e-4),
                ("zilany2009cat", "zilany2006-cat-middle", 3e-4),
            ]
        ),
    ],
)
def test_magnitudes(
    figures_of: Any, name: str, call: str, within: float, top: float, fs: int
) -> None:
    freqs, wanted = counted(figures_of(name, fs), fs, top).T
    assert len(freqs) > 20
    np.testing.assert_allclose(level_db(call, freqs, fs), wanted, rtol=0, atol=within)


def test_the_aliasing_of_its_minimum_phase() -> None:
    assert "by up to 0.15, 0.25 and 0.24 dB at 16, 44.1 and 48 kHz" in GUIDE
    for fs, db in zip(RATES, (0.15, 0.25, 0.24), strict=True):
        linear, aliased = (
            of_the_amt(f"middle_ear_lopezpoveda2001_goode_{kind}", fs)
            for kind in ("linear", "minimum")
        )
        points = counted(linear, fs, 1e6)[:, 0]
        off = np.abs(linear - aliased)[np.isin(linear[:, 0], points), 1]
        assert off.max() == pytest.approx(db, abs=0.006)


def test_loudness_models_of_1997_and_2002() -> None:
    call = "outer-middle-ear:1997-free --order 4096 --convention amt"
    freqs, wanted = of_octave("glasberg2002", 32000).T
    got = level_db(call, 20 + 0.99875 * freqs, 32000)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=0.002)
    off = np.abs(level_db(call, freqs, 32000) - wanted)
    assert off[freqs >= 1000].max() == pytest.approx(0.55, abs=0.05)
    assert off[freqs >= 100].max() == pytest.approx(4.7, abs=0.1)


def test_loudness_model_of_2016() -> None:
    call = "iso532-free+iso532-middle"
    rows = [(float(f), float(db)) for f, db in reference("ears/iso532_3_fir_df_32000.csv")]
    freqs, wanted = np.array([row for row in rows if 60 <= row[0] <= 0.45 * 32000]).T
    diffuse = earfilt.design(call.replace("free", "diffuse"), fs=32000)
    got = 20 * np.log10(np.abs(diffuse.response(freqs)))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=0.1)
    assert np.isfinite(level_db(call, freqs, 32000)).all()


@pytest.mark.parametrize("frames", [1, 2, 50, 3000])
@pytest.mark.parametrize(
    "filter", ["headphone", "outer-middle-ear --tolerance 1", "headphone+middle-ear --phase zero"]
)
def test_the_recipe_for_matlab_gives_the_samples_of_apply(
    filter: str, frames: int, tmp_path: Path
) -> None:
    octave = need("octave")
    found = re.search(r"^```matlab\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert found is not None
    request = parse_command(filter)
    assert request is not None
    earfilt.design(request.name, fs=16000, **request.given()).save(tmp_path / "fir.mat")
    x = np.random.default_rng(frames).standard_normal(frames)
    np.savetxt(tmp_path / "x.txt", x, fmt="%.17g")
    script = (
        f"1;\n{found[1]}\nx = load('x.txt'); y = apply_fir(load('fir.mat'), x);\n"
        "file = fopen('y.txt', 'w'); fprintf(file, '%.17g\\n', y); fclose(file);\n"
    )
    (tmp_path / "recipe.m").write_text(script)
    command = shlex.split(f"{shlex.quote(octave)} -qf --no-gui recipe.m")
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert (tmp_path / "y.txt").exists(), run.stderr
    got = np.loadtxt(tmp_path / "y.txt", ndmin=1)
    wanted = earfilt.apply(x, request.name, fs=16000, **request.given())
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10 * max(1, np.abs(wanted).max()))
