"""A headless Chromium for pages that softrl writes; Debian's packages chromium and chromium-driver."""

import base64
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator["Browser"]:
    """A browser with a fresh profile; the test is skipped where there is none."""
    binary, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium: pip install -e .[dev]")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Browser(session)
    finally:
        session.quit()


class Browser:
    """A browser in the hands of a test."""

    def __init__(self, session: Any):
        """`session`: Selenium's."""
        self.session = session

    def open(self, page: Path, *, width: int, scheme: str = "light") -> None:
        """Loads a page as wide as this, phones as phones, with the network off."""
        metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.command("Emulation.setDeviceMetricsOverride", metrics)
        self.command("Emulation.setEmulatedMedia", media)
        self.command("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.command("Network.emulateNetworkConditions", offline)
        self.session.get(page.resolve().as_uri())

    def command(self, name: str, values: dict[str, Any]) -> Any:
        """A command of the DevTools protocol."""
        return self.session.execute_cdp_cmd(name, values)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.session.execute_script(script, *arguments)

    def click(self, selector: str, index: int = 0) -> None:
        """A click where the element is, as a pointer would."""
        element = self.session.find_elements("css selector", selector)[index]
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def texts(self, selector: str) -> list[str]:
        """The visible texts of all elements."""
        return [element.text for element in self.session.find_elements("css selector", selector)]

    def complaints(self) -> list[str]:
        """What the console says."""
        return [entry["message"] for entry in self.session.get_log("browser")]

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        picture = self.command("Page.captureScreenshot", {"captureBeyondViewport": True})
        return base64.b64decode(picture["data"])
