"""A headless browser, driven through WebDriver (https://www.w3.org/TR/webdriver2/): what a page looks like to it."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import pytest

LONGEST_WAIT_S = 15.0
BROWSERS, DRIVER = ("chromium", "chromium-browser", "google-chrome"), "chromedriver"
_STARTED = re.compile(rb"started successfully on port (\d+)")


class Browser:
    """One session; `open` loads a page at a width of the window."""

    def __init__(self, address: str, program: str) -> None:
        options = {"binary": program, "args": ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self._address = f"{address}/session"
        self._address += "/" + self._post("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def open(self, address: str, *, width: int, dark: bool = False) -> None:
        """Load a page in a window of `width` pixels, of a reader who prefers light or dark pages."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]}
        for command, values in (("setDeviceMetricsOverride", metrics), ("setEmulatedMedia", scheme)):
            self._post("/goog/cdp/execute", {"cmd": f"Emulation.{command}", "params": values})
        self._post("/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script of the page returns."""
        return self._post("/execute/sync", {"script": script, "args": arguments})

    def text(self, selector: str) -> str:
        """The text of the first element that the selector finds."""
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def type(self, selector: str, keys: str) -> None:
        """Type into that element; a field for files takes a path."""
        (element,) = self._post("/element", {"using": "css selector", "value": selector}).values()
        self._post(f"/element/{element}/value", {"text": keys})

    def press(self, key: str) -> None:
        """Press a key, whatever has the focus."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._post("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for the page; fails after a while."""
        end = time.monotonic() + LONGEST_WAIT_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.02)

    def messages(self) -> list[str]:
        """What the console said since the last call."""
        return [f"{one['level']}: {one['message']}" for one in self._post("/se/log", {"type": "browser"})]

    def close(self) -> None:
        """End the session."""
        urlopen(Request(self._address, method="DELETE"), timeout=30).close()

    def _post(self, place: str, body: dict[str, Any]) -> Any:
        request = Request(self._address + place, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]


@contextmanager
def headless_browser() -> Iterator[Browser]:
    """A browser for the block. Skips the test where there is none."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    driver = shutil.which(DRIVER)
    if program is None or driver is None:
        pytest.skip(f"needs {DRIVER} and one of {', '.join(BROWSERS)} on the path")
    with subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            found = next(found for line in process.stdout if (found := _STARTED.search(line)))
            browser = Browser(f"http://127.0.0.1:{int(found[1])}", program)
            try:
                yield browser
            finally:
                browser.close()
        finally:
            process.terminate()
