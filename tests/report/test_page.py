"""The page of compared ears: whole by itself, safe from names, and right in a real browser."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earfilt.cli import run
from tests.report.browser import browser

NASTY = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ears and a curve with a hostile name, as a page and as CSV."""
    folder = tmp_path_factory.mktemp("page")
    curve = folder / "mine.csv"
    curve.write_text("frequency_hz,gain_db\n100,-2\n1000,0\n8000,-4\n")
    words = ["response", "-f", "iso532-free", "-f", "headphone", "-f", str(curve), "--points", "60"]
    labels = [word for label in ("ISO", "Pralong", NASTY) for word in ("--label", label)]
    page, table = folder / "compare.html", folder / "compare.csv"
    assert run([*words, *labels, "-o", str(page), "-o", str(table), "-q"]) == 0
    return folder


def columns(path: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with path.open() as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            found.setdefault(row["filter"], []).append(float(row["magnitude_db"]))
    return found


def test_values_are_those_of_the_table(made: Path) -> None:
    told = data_of((made / "compare.html").read_text())
    tables = [*columns(made / "compare.csv").values()]
    for curve, table in zip(told["curves"], tables, strict=True):
        np.testing.assert_allclose(curve["magnitude_db"], table, atol=1e-6)


def test_nothing_of_a_name_is_markup_and_nothing_is_fetched(made: Path) -> None:
    page = (made / "compare.html").read_text()
    assert NASTY not in page
    assert data_of(page)["curves"][2]["name"] == NASTY
    assert page.count("<script") == 2
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert "default-src 'none'" in page
    assert "unsafe-inline'; img" in page.replace("style-src ", "")  # styles alone are inline
    assert "script-src 'unsafe-inline'" not in page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str, made: Path) -> None:
    """WCAG AA: 4.5 for text, 3 for lines, against the ground."""
    page = (made / "compare.html").read_text()
    blocks = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#\w+);", blocks[scheme == "dark"]))
    curves = re.search(rf"{scheme}: \[(.*?)\]", page)
    assert curves

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(a: str, b: str) -> float:
        high, low = sorted((luminance(a), luminance(b)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for ink in ("ink", "soft", "mark"):
        for ground in ("ground", "tint"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert contrast(colours["line"], colours["ground"]) >= 3.0
    for colour in re.findall(r"#\w{6}", curves[1]):
        assert contrast(colour, colours["ground"]) >= 3.0, colour


def test_in_a_browser(made: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    with browser(tmp_path) as driver:
        driver.get((made / "compare.html").as_uri())
        told = data_of((made / "compare.html").read_text())

        def paths() -> set[str]:
            drawn = driver.find_elements(By.CSS_SELECTOR, "path.curve")
            return {path.get_attribute("data-curve") for path in drawn}

        assert driver.title == "Ears compared"
        assert paths() == {"0", "1", "2"}
        assert NASTY in driver.find_element(By.ID, "ears").text
        assert not driver.find_elements(By.CSS_SELECTOR, "img")

        # choosing an ear changes the drawing, by the keyboard
        box = driver.find_element(By.CSS_SELECTOR, "#ears input[value='1']")
        box.send_keys(Keys.SPACE)
        assert paths() == {"0", "2"}
        assert "headphone" not in driver.find_element(By.ID, "command").text
        named = driver.find_elements(By.CSS_SELECTOR, "#values tr[data-curve]")  # the legend
        assert [row.text for row in named] == [told["curves"][k]["name"] for k in (0, 2)]

        # values by the keyboard are those of the data
        panel = driver.find_element(By.CSS_SELECTOR, "svg.panel")
        panel.send_keys(Keys.HOME)
        panel.send_keys(Keys.ARROW_RIGHT)
        cells = driver.find_elements(By.CSS_SELECTOR, "#values td.number")
        expected = [told["curves"][k]["magnitude_db"][1] for k in (0, 2)]
        assert [float(cell.text) for cell in cells] == pytest.approx(expected, abs=5e-4)

        # every panel, differences to the chosen one
        for name in ("difference", "phase", "delay"):
            driver.find_element(By.CSS_SELECTOR, f"[value={name}]").send_keys(Keys.SPACE)
        assert len(driver.find_elements(By.CSS_SELECTOR, "svg.panel")) == 4
        panel = driver.find_element(By.CSS_SELECTOR, "[data-panel=difference]")
        panel.send_keys(Keys.END)
        row = driver.find_elements(By.CSS_SELECTOR, "#values tr")[2]
        apart = told["curves"][2]["magnitude_db"][-1] - told["curves"][0]["magnitude_db"][-1]
        assert float(row.find_elements(By.CSS_SELECTOR, "td.number")[1].text) == pytest.approx(
            apart, abs=1e-3
        )

        # a chain is the sum of two
        driver.find_element(By.ID, "join").click()
        assert "3" in paths()
        assert all(line["level"] not in ("SEVERE", "WARNING") for line in driver.get_log("browser"))
        asked = [json.loads(line["message"])["message"] for line in driver.get_log("performance")]
        urls = {
            one["params"]["request"]["url"]
            for one in asked
            if one["method"] == "Network.requestWillBeSent"
        }
        # beside what the browser's own new tab asked itself
        fetched = {url for url in urls if not url.startswith(("chrome:", "data:"))}
        assert fetched == {(made / "compare.html").as_uri()}


def test_on_a_telephone(made: Path, tmp_path: Path) -> None:
    with browser(tmp_path, width=360) as driver:
        driver.get((made / "compare.html").as_uri())
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 360


def test_the_command_that_a_page_shows_runs(made: Path, tmp_path: Path) -> None:
    """With its curves chosen it is what made the page."""
    told = data_of((made / "compare.html").read_text())
    words = [word for curve in told["curves"] for word in ("-f", curve["command"])]
    line = " ".join(["earfilt response", *words, told["options"], "-o ears.csv"])
    program = Path(sys.executable).parent
    subprocess.run(
        ["bash", "-c", f"PATH={program}:$PATH; {line}"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )


def test_a_recording_is_heard_through_the_taps(tmp_path: Path) -> None:
    """The samples that the browser makes are those of the direct convolution."""
    import base64

    from selenium.webdriver.common.by import By

    from earfilt.chains.members import resolve
    from earfilt.report.lines import line_of
    from earfilt.report.page import PageCurve, Recording, compare_page
    from earfilt.synthesis.response import respond

    rng = np.random.default_rng(5)
    x = (3000 * rng.standard_normal(4000)).astype(np.int16)
    filter = resolve("headphone", phase="zero")
    fir = filter.at(16000.0)
    line = line_of(filter, fir, respond(fir, np.geomspace(20, 7000, 30)), label="headphone")
    page = compare_page(
        [PageCurve(line, "headphone", fir=fir)], fs=16000.0, recording=Recording(x, 16000, "noise")
    )
    (tmp_path / "page.html").write_text(page)
    with browser(tmp_path) as driver:
        driver.get((tmp_path / "page.html").as_uri())
        assert driver.find_element(By.ID, "after").get_attribute("src").startswith("blob:")
        read = """const done = arguments[0];
        const out = []; const real = URL.createObjectURL;
        URL.createObjectURL = (blob) => { out.push(blob); return real(blob); };
        hear();
        out[1].arrayBuffer().then((b) => done(btoa(String.fromCharCode(...new Uint8Array(b)))));"""
        heard = base64.b64decode(driver.execute_async_script(read))
    y = np.frombuffer(heard[44:], "<i2")
    # codes are rounded, and the taps in the page have seven digits
    expected = np.convolve(x / 32768, fir.taps)[fir.lookahead :][: len(x)] * 32768
    assert np.abs(y - expected).max() < 0.6
