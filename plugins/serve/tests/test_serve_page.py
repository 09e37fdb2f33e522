"""The page at /, in a real browser: chat by keyboard alone, reasoning folded, settings, state, errors."""

from __future__ import annotations

import re

import pytest

from browser import CHROMIUM, Browser, Page
from serving import until

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

TURNS = "[...document.querySelectorAll('.assistant')]"
DONE = f"{TURNS}.length && !document.querySelector('[aria-busy]') && !document.getElementById('send').disabled"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def page(tiny, browser):
    page = Page(browser, f"{tiny.url}/")
    page.until("document.getElementById('model')?.value === 'tiny'")
    yield page
    wrong, asked = page.faults()
    page.close()
    assert not wrong
    assert all(url.startswith((tiny.url, "data:,", "about:")) for url in asked)


def test_one_talks_to_it_by_keyboard(page, tiny):
    assert page.run("document.activeElement.id") == "message"
    page.run("settings.elements.temperature.value = '0'")
    page.type("What is 2+2?")
    page.press("Enter", 13, "\r")
    page.until(DONE)
    assert page.run("document.querySelector('.assistant .text').textContent") == "2 + 2 = 4."
    reasoning = "document.querySelector('.assistant details.reasoning')"
    assert page.run(f"{reasoning}.open") is False
    assert page.run(f"{reasoning}.textContent").startswith("ReasoningI need to compute")
    assert re.search(r"\d+ tokens, [\d.]+ a second", page.run("document.querySelector('.figures').textContent"))
    assert page.run("document.activeElement.id") == "message"
    page.type("<b>And</b> 3+4?")
    page.press("Enter", 13, "\r")
    page.until(f"{TURNS}.length === 2 && {DONE}")
    assert page.run("document.querySelectorAll('.user')[1].textContent") == "<b>And</b> 3+4?"
    assert page.run("document.getElementById('health').textContent") == "Ready"
    page.until("document.querySelector('#state tbody').innerText.startsWith('tiny\\t1\\t0/')")


def test_settings_are_honoured_and_errors_are_shown(page):
    page.run("settings.elements.thinking.value = 'false'; settings.elements.temperature.value = '0'")
    page.type("What is 2+2?")
    page.press("Enter", 13, "\r")
    page.until(DONE)
    assert page.run("document.querySelector('.assistant details') === null")
    page.run("document.getElementById('new').click()")
    assert page.run("document.getElementById('chat').children.length") == 0
    page.run("document.querySelector('[name=max_tokens]').value = '-1'")
    page.type("Hello")
    page.press("Enter", 13, "\r")
    assert "max_tokens" in page.until("document.querySelector('.error')?.textContent")
    page.messages[:] = [m for m in page.messages if m.get("method") != "Log.entryAdded"]  # of the 400 that was meant


def test_an_answer_is_stopped_by_escape(page, tiny):
    page.type("Tell me a very long story.")
    page.run("document.querySelector('[name=temperature]').value = '2'")
    page.press("Enter", 13, "\r")
    page.press("Escape", 27)
    page.until("!document.getElementById('send').disabled")
    assert until(lambda: tiny.metric("pajamas_slots", state="busy") == 0)


def test_it_fits_a_phone(page):
    page.call("Emulation.setDeviceMetricsOverride", width=390, height=700, deviceScaleFactor=1, mobile=True)
    page.call("Page.reload")
    page.until("document.readyState === 'complete' && document.getElementById('model')?.value === 'tiny'")
    for number in range(1, 4):
        page.type("What is 2+2? " * 20)
        page.press("Enter", 13, "\r")
        page.until(f"{TURNS}.length === {number} && {DONE}")
    size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert page.run(size) == [390, 700]  # only the conversation scrolls
    assert page.run("document.getElementById('send').getBoundingClientRect().bottom") <= 700
    assert page.run("chat.scrollHeight > chat.clientHeight + 100")
    assert page.run("chat.scrollHeight - chat.scrollTop - chat.clientHeight") < 5
    assert page.run("[...document.querySelectorAll('aside details')].map((one) => one.open)") == [False, False]


def test_a_server_that_is_gone_is_said_and_nothing_is_lost(serve, tiny_gguf, browser):
    server = serve("--model", f"tiny={tiny_gguf}", "--threads", 1)
    page = Page(browser, f"{server.url}/")
    try:
        page.until("document.getElementById('model')?.value === 'tiny'")
        server.stop()
        page.type("Hello")
        page.press("Enter", 13, "\r")
        assert page.until("document.querySelector('.error')?.textContent") == "The server does not answer."
        assert page.run("document.getElementById('message').value") == "Hello"
        assert page.run("document.getElementById('send').disabled") is False
        page.until("document.getElementById('health').textContent === 'The server does not answer'")
    finally:
        page.close()


def test_it_can_be_used_without_seeing_it(page):
    unnamed = """[...document.querySelectorAll('input, select, textarea, button')].filter(
        (one) => !one.labels?.length && !one.textContent.trim() && !one.ariaLabel).length"""
    assert page.run(unnamed) == 0
    assert page.run("document.documentElement.lang") == "en"
    assert page.run("document.getElementById('chat').getAttribute('role')") == "log"
    seen = []
    for _ in range(20):
        page.press("Tab", 9)
        seen.append(
            page.run("document.activeElement.id || document.activeElement.name || document.activeElement.tagName")
        )
    assert {"model", "new", "chat", "message", "send", "temperature", "key"} <= set(seen)
