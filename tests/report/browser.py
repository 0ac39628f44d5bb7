"""A real browser without a screen, for pages that run."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tools import need

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


@contextmanager
def browser(folder: Path, *, width: int = 1200) -> Iterator[Any]:
    """A Chromium of its own profile that keeps what its console says, and every request."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = need("chromium", "chromedriver")
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        # windows have a smallest width; what is laid out has not
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield driver
    finally:
        driver.quit()


def texts(driver: Any, selector: str) -> list[str]:
    """What is read at each place, in one step: a page may draw itself anew between two."""
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)"
    return list(driver.execute_script(script, selector))


def attributes(driver: Any, selector: str, name: str) -> list[str | None]:
    """An attribute at each place, in one step."""
    script = """return [...document.querySelectorAll(arguments[0])]
        .map((one) => one.getAttribute(arguments[1]))"""
    return list(driver.execute_script(script, selector, name))


def wait_until(driver: Any, holds: Callable[[], bool]) -> None:
    """Wait for what a page does in its own time, as after words typed or a scroll."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 60).until(lambda _: holds())
