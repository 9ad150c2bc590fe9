"""The page in a real headless browser: the map, the slider, the prompt box, by mouse, keyboard and on a phone."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.browser import Browser, headless_browser
from tests.support.http_server import Running
from tests.support.paths import DEMO

HOME, END, LEFT, TAB, CONTROL, ENTER = "\ue011", "\ue010", "\ue012", "\ue004", "\ue009", "\ue007"


def test_the_page_needs_nothing_else_and_forbids_it(client: httpx.Client) -> None:
    found = client.get("/")
    policy = found.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "sha256-" in policy
    assert not re.search(r"(src|href)=\"(?!#)", found.text) and not re.search(r"https?://(?!www.w3.org)", found.text)
    assert not re.search(r"\son\w+=|\sstyle=", found.text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless_browser() as found:
        yield found


@pytest.fixture
def page(browser: Browser, server: Running) -> Browser:
    browser.open(server.url, width=1280)
    browser.until(lambda: "b4-k4" in browser.text("#verdict"))
    return browser


def test_the_map_shows_every_variant_and_the_chosen_one(page: Browser) -> None:
    assert "3 variants of one molmoe model in float32" in page.text("#about")
    assert page.run(
        "return [...document.querySelectorAll('.point[data-variant]')].map(one => one.dataset.variant).sort()"
    ) == [
        "b2-k1",
        "b3-k2",
        "b4-k4",
    ]
    assert page.run("return document.querySelector('.point.chosen[data-variant]').dataset.variant") == "b4-k4"
    assert page.messages() == []


def test_the_slider_by_keyboard_changes_what_would_be_chosen_and_says_why(page: Browser) -> None:
    page.type("#budget", LEFT * 370)
    page.until(lambda: "b3-k2" in page.text("#verdict"))
    said = page.run("return document.getElementById('budget').getAttribute('aria-valuetext')")
    assert said == page.text("#budget-said") and said.endswith("ms")
    assert "48 ms are more than" in page.text("#reasons")
    assert page.run("return document.querySelectorAll('.limit').length") == 1
    page.type("#budget", HOME)
    page.until(lambda: "No variant fits" in page.text("#verdict"))
    assert "b2-k1 needs 12 ms" in page.text("#verdict")
    page.run("document.getElementById('effort').click()")
    page.until(lambda: "does not keep" in page.text("#verdict"))
    page.type("#budget", END)
    page.until(lambda: "b4-k4" in page.text("#verdict"))
    assert page.text("#budget-said") == "no limit"


def test_a_floor_needs_a_task(page: Browser, server: Running) -> None:
    assert page.run("return document.getElementById('floor').disabled")
    page.type("#task", "digits-r")
    page.until(lambda: not page.run("return document.getElementById('floor').disabled"))
    page.type("#floor", END)
    page.until(lambda: "No variant fits" in page.text("#verdict"))


def test_a_prompt_with_a_picture_is_answered_as_it_comes(page: Browser, server: Running) -> None:
    server.family.requests.clear()
    page.type("#picture", str((DEMO / "photo.png").resolve()))
    page.until(lambda: bool(page.run("return !document.getElementById('shown').classList.contains('hidden')")))
    page.type("#prompt", "Which digit?")
    page.type("#prompt", CONTROL + ENTER)
    page.until(lambda: page.text("#answer") == "the number is 0720")
    page.until(lambda: "b4-k4 in float32: 12.5 ms" in page.text("#account"))
    request = server.family.requests[-1]
    assert "Which digit?" in request.text and request.image is not None and request.image.size == (32, 16)
    page.until(lambda: "b4-k4" in page.text("#live"))
    assert page.messages() == []


def test_an_answer_can_be_stopped(page: Browser, server: Running) -> None:
    server.call(server.family.go.clear)
    cancels = server.family.cancels
    page.run("document.getElementById('send').click()")
    page.until(lambda: server.service.admission.in_progress > 0)
    page.run("document.getElementById('stop').click()")
    page.until(lambda: server.family.cancels > cancels and page.text("#account") == "Stopped.")
    server.call(server.family.go.set)


def test_a_refusal_is_shown(page: Browser) -> None:
    page.type("#budget", HOME)
    page.until(lambda: "No variant fits" in page.text("#verdict"))
    page.run("document.getElementById('send').click()")
    page.until(lambda: "no variant answers" in page.text("#answer"))


def test_everything_fits_on_a_phone_and_is_reached_by_keyboard(browser: Browser, server: Running) -> None:
    browser.open(server.url, width=390)
    browser.until(lambda: "b4-k4" in browser.text("#verdict"))
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.run(wide) == 0
    fields = "return [...document.querySelectorAll('input, select, textarea')]"
    unlabelled = f"{fields}.filter(one => !one.labels.length).map(one => one.id)"
    assert browser.run(unlabelled) == []
    reached = []
    for _ in range(10):
        browser.press(TAB)
        reached.append(browser.run("return document.activeElement.id"))
    assert [one for one in reached if one] == ["budget", "task", "tokens", "effort", "prompt", "picture", "send"]


def test_a_page_in_the_package_is_installed_with_it() -> None:
    project = (Path(__file__).parents[4] / "pyproject.toml").read_text("utf-8")
    assert '"runtime.serving.http.page" = ["*.html"]' in project
