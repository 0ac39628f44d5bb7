"""The page of a batch: the values of its rows, safe from names, and right in a real browser."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earfilt.cli import run
from earfilt.report.views import report_page
from tests.report.browser import attributes, browser, texts, wait_until
from tests.report.test_page import data_of

NASTY = "<img src=x onerror=alert(1)>.wav"
BELL = "bell\x07\u202egnp.wav"
LEVELS = ("peak_in_dbfs", "rms_in_dbfs", "peak_out_dbfs", "rms_out_dbfs")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch of every kind: two rates, one and two channels, silence, clipping, failures, and
    names that would like to be more.
    """
    folder = tmp_path_factory.mktemp("batch")
    corpus = folder / "corpus"
    (corpus / "<").mkdir(parents=True)  # "</script>" is a path
    rng = np.random.default_rng(8)
    for i in range(12):
        shape = (800, 2) if i % 2 else (800,)
        soundfile.write(
            corpus / f"f{i}.wav", 0.04 * i * rng.standard_normal(shape), (16000, 44100)[i % 3 == 0]
        )
    for name in (NASTY, BELL):
        soundfile.write(corpus / name, 0.1 * rng.standard_normal(500), 16000)
    for name in ("broken.wav", "torn.wav", "</script><b>.wav"):
        (corpus / name).write_bytes(b"RIFF")
    (corpus / "empty.wav").write_bytes(b"")
    words = ["apply", str(corpus), str(folder / "out"), "-f", "middle-ear", "--gain", "20", "-q"]
    assert run([*words, "--report", str(folder / "report.html")]) == 1
    return folder


def rows_of(made: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (made / "report.jsonl").read_text().splitlines()]


def column(told: dict[str, Any], name: str) -> list[Any]:
    """Values of a column, as the script reads them."""
    stored = told["columns"][name]
    if "texts" in stored:
        return list(stored["texts"])
    if "words" in stored:
        return [stored["words"][k] for k in stored["values"]]
    return [
        None if v is None else -np.inf if v == told["silence"] else v / 10 ** stored["decimals"]
        for v in stored["values"]
    ]


def test_values_are_those_of_the_rows(made: Path) -> None:
    told, rows = data_of((made / "report.html").read_text()), rows_of(made)
    assert column(told, "status") == [row["status"] for row in rows]
    assert column(told, "said") == [row["error"] or "" for row in rows]
    assert column(told, "reason") == [row["reason"] or "" for row in rows]
    assert len(set(column(told, "reason"))) == 3  # two kinds of failure, and none
    for name in LEVELS:
        for found, row in zip(column(told, name), rows, strict=True):
            levels = [-np.inf if level is None else level for level in row[name]]
            assert found == (pytest.approx(max(levels), abs=0.0051) if levels else None)
    assert -np.inf in column(told, "rms_in_dbfs")  # f0 is silent
    done = [row for row in rows if row["status"] == "ok"]
    clipped = [value for value in column(told, "clipped") if value is not None]
    assert clipped == [sum(row["clipped"]) for row in done]
    assert max(clipped) > 0
    deviations = {(one["fs"], one["files"], one["deviation_db"]) for one in told["filters"]}
    rates = [row["fs"] for row in done]
    assert deviations == {
        (row["fs"], rates.count(row["fs"]), row["parameters"]["deviation_db"]) for row in done
    }


def test_the_curves_are_those_of_the_filter(made: Path) -> None:
    from earfilt.chains.members import resolve
    from earfilt.synthesis.response import respond

    told = data_of((made / "report.html").read_text())
    assert len(told["curves"]) == 2
    for curve in told["curves"]:
        fs = float(curve["name"].split(", ")[1].removesuffix(" Hz"))
        freqs = np.array(told["freqs"])
        inside = freqs <= fs / 2
        expected = respond(resolve("middle-ear").at(fs), freqs[inside]).magnitude_db
        drawn = np.array(curve["magnitude_db"], float)
        np.testing.assert_allclose(drawn[inside], expected, atol=1e-3)
        assert np.isnan(drawn[~inside]).all()


def test_nothing_of_a_name_is_markup(made: Path) -> None:
    page = (made / "report.html").read_text()
    told = data_of(page)
    assert NASTY not in page
    assert NASTY in told["columns"]["name"]["texts"]
    assert "bell\\x07\\u202egnp.wav" in told["columns"]["name"]["texts"]
    assert "</script><b>.wav" in told["columns"]["name"]["texts"]
    assert page.count("<script") == page.count("</script") == 2
    assert "default-src 'none'" in page


def test_in_a_browser(made: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    rows = rows_of(made)
    done = [row for row in rows if row["status"] == "ok"]
    with browser(tmp_path) as driver:
        driver.get((made / "report.html").as_uri())

        def find(selector: str) -> Any:
            return driver.find_element(By.CSS_SELECTOR, selector)

        def cells(key: str) -> list[str]:
            place = attributes(driver, "#rows th", "data-key").index(key) + 1
            return texts(driver, f"#rows tr[data-row] td:nth-child({place})")

        assert texts(driver, "#totals dd")[:4] == ["18", "14", "0", "4"]
        assert texts(driver, "#reasons tr td:first-child") == ["3", "1"]
        assert NASTY in cells("name")
        assert not driver.find_elements(By.CSS_SELECTOR, "img, b")
        assert len(driver.find_elements(By.CSS_SELECTOR, "#figure path.curve")) == 2

        # each histogram holds every file that was done
        for svg in driver.find_elements(By.CSS_SELECTOR, "#drawings svg"):
            bars = svg.find_elements(By.CSS_SELECTOR, "rect.bar")
            assert sum(int(bar.get_attribute("data-count")) for bar in bars) == len(done)

        # sorted by level, what has none at the end, both ways
        button = "#rows th[data-key=rms_out_dbfs] button"
        levels = sorted(
            max(-np.inf if v is None else v for v in row["rms_out_dbfs"]) for row in done
        )
        shown = ["-∞" if level == -np.inf else f"{level:.2f}" for level in levels]
        find(button).click()
        assert cells("rms_out_dbfs") == [*shown, *[""] * 4]
        assert find("#rows th[data-key=rms_out_dbfs]").get_attribute("aria-sort") == "ascending"
        find(button).click()
        assert cells("rms_out_dbfs") == [*reversed(shown), *[""] * 4]

        # chosen by what is clipped, by a reason, by words
        find("#clipped").click()
        assert len(cells("name")) == sum(any(row["clipped"]) for row in done)
        find("#all").click()
        find("#reasons button").click()
        assert sorted(cells("name")) == ["</script><b>.wav", "broken.wav", "torn.wav"]
        find("#all").click()
        Select(find("#status")).select_by_index(1)
        assert len(cells("name")) in (4, 14)
        find("#all").click()
        find("#search").send_keys("BROKEN")
        wait_until(driver, lambda: texts(driver, "#count") == ["1 of 18 files"])
        assert cells("name") == ["broken.wav"]
        assert all(line["level"] not in ("SEVERE", "WARNING") for line in driver.get_log("browser"))


def test_on_a_telephone(made: Path, tmp_path: Path) -> None:
    with browser(tmp_path, width=360) as driver:
        driver.get((made / "report.html").as_uri())
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 360


def test_of_many_rows_those_seen_are_in_the_document(made: Path, tmp_path: Path) -> None:
    """And the last of them is reached by scrolling."""
    from selenium.webdriver.common.by import By

    row = next(row for row in rows_of(made) if row["status"] == "ok")
    page = report_page(row | {"name": f"file-{i}.wav"} for i in range(20_000))
    assert len(page) < 20_000 * 100 + 50_000
    (tmp_path / "many.html").write_text(page)
    with browser(tmp_path) as driver:
        driver.get((tmp_path / "many.html").as_uri())
        assert len(driver.find_elements(By.CSS_SELECTOR, "#rows tr")) < 100
        driver.execute_script("frame.scrollTop = 1e9")

        def last(name: str) -> str | None:
            return attributes(driver, "#rows tr[data-row]", name)[-1]

        wait_until(driver, lambda: last("data-row") == "19999")
        assert last("aria-rowindex") == "20001"
        assert len(driver.find_elements(By.CSS_SELECTOR, "#rows tr")) < 100


def test_warnings_are_grouped_by_kind(made: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By

    row = next(row for row in rows_of(made) if row["status"] == "ok")
    warned = [
        row | {"name": f"{i}.wav", "warnings": [f"{i} samples", *more], "warning_kinds": kinds}
        for i, (more, kinds) in enumerate(
            [([], ["… samples"]), (["<b>old"], ["… samples", "<b>old"]), ([], ["… samples"])]
        )
    ]
    (tmp_path / "warned.html").write_text(report_page([row, *warned]))
    with browser(tmp_path) as driver:
        driver.get((tmp_path / "warned.html").as_uri())

        assert texts(driver, "#warnings td.number") == ["3", "1"]
        assert texts(driver, "#warnings button") == ["… samples", "<b>old"]
        driver.find_elements(By.CSS_SELECTOR, "#warnings button")[1].click()
        assert texts(driver, "#rows tr[data-row] td:first-child") == ["1.wav"]
        assert texts(driver, "#count") == ["1 of 4 files, warned: <b>old"]


def test_a_batch_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.html").write_text(report_page([]))
    with browser(tmp_path) as driver:
        driver.get((tmp_path / "empty.html").as_uri())
        assert driver.execute_script("return document.getElementById('count').textContent") == (
            "0 of 0 files"
        )
        assert not driver.get_log("browser")
