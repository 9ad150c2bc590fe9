<<<<<<< HEAD
"""A headless browser, driven through WebDriver (https://www.w3.org/TR/webdriver2/): what a page looks like to it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import pytest

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

    def run(self, script: str) -> Any:
        """What a script of the page returns."""
        return self._post("/execute/sync", {"script": script, "args": []})

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
=======
"""A real headless browser, driven by plain WebDriver commands."""

import base64
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
WAIT_S = 15.0


def missing_browser() -> str | None:
    """Why there is none, or None where there is one."""
    found = [name for name in ("chromedriver",) if shutil.which(name) is None]
    if not any(map(shutil.which, ("chromium", "google-chrome", "chrome"))):
        found.append("chromium")
    return f"{' and '.join(found)} not on the path" if found else None


@dataclass(kw_only=True)
class Browser:
    """One window."""

    client: httpx.Client
    session: str

    def command(self, method: str, path: str, body: Any = None) -> Any:
        """A WebDriver command on the session; its value."""
        found = self.client.request(method, f"/session/{self.session}/{path}", json=body)
        assert found.status_code == 200, found.text
        return found.json()["value"]

    def open(self, url: str, *, width: int = 1280, height: int = 900) -> None:
        self.command("POST", "window/rect", {"width": width, "height": height})
        self.command("POST", "url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script in the page."""
        return self.command("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def keys(self, selector: str, keys: str) -> None:
        """Type into an element."""
        found = self.command("POST", "element", {"using": "css selector", "value": selector})
        self.command("POST", f"element/{found[ELEMENT]}/value", {"text": keys})

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for the page; fails after a while."""
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.02)

    def log(self) -> list[str]:
        """What the page complained about: errors of scripts, refusals of the content security policy."""
        return [one["message"] for one in self.command("POST", "se/log", {"type": "browser"})]

    def screenshot(self) -> bytes:
        return base64.b64decode(self.command("GET", "screenshot"))


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A browser that is closed at the end of the block."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert driver.stdout is not None
        port = next(line.rpartition(" ")[2].strip(".\n") for line in driver.stdout if "successfully on port" in line)
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            made = client.post("/session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
            browser = Browser(client=client, session=made["sessionId"])
            yield browser
            client.delete(f"/session/{browser.session}")
    finally:
        driver.terminate()
        driver.wait(10)
        if driver.stdout is not None:
            driver.stdout.close()
>>>>>>> cca34ff (trimoe serve; the page driven in a real browser; the server's OpenAPI checked by fuzzing)
