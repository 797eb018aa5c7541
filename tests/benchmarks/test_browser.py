"""The browser's pipe, against a program that answers as a browser does. Must not know Chromium."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from benchmarks.browser import Browser, BrowserGoneError, launched

# It answers with the command, in another order where it is asked to, and sends events in between.
PROGRAM = f"""#!{sys.executable}
import json, os
orders, answers, kept = open(3, "rb", buffering=0), open(4, "wb", buffering=0), []
rest = b""
def say(message):
    answers.write(json.dumps(message).encode() + b"\\0")
while True:
    rest += orders.read(1 << 16) or os._exit(0)
    while b"\\0" in rest:
        text, rest = rest.split(b"\\0", 1)
        order = json.loads(text)
        method, number = order["method"], order["id"]
        say({{"method": "Something.happened", "params": {{}}}})
        if method == "Keep":
            kept.append(number)
        elif method == "Refuse":
            say({{"id": number, "error": {{"message": "no"}}}})
        elif method == "Die":
            os._exit(1)
        elif method == "Runtime.evaluate":
            threw = "throw" in order["params"]["expression"]
            details = {{"exceptionDetails": {{"text": "Uncaught"}}}} if threw else {{}}
            say({{"id": number, "result": {{"result": {{"value": order["params"]["expression"]}}, **details}}}})
        else:
            say({{"id": number, "result": {{**order["params"], "session": order.get("sessionId"), "sessionId": "s1",
                                            "targetId": "t1", "data": "cG5n"}}}})
            for one in kept:
                say({{"id": one, "result": {{"kept": one}}}})
            kept.clear()
        if method == "Browser.close":
            os._exit(0)
"""


@pytest_asyncio.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    program = tmp_path / "browser"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    async with launched(program, ["--flag"]) as started:
        yield started


async def test_answers_reach_their_commands_in_any_order(browser: Browser):
    kept = asyncio.create_task(browser.command("Keep"))
    await asyncio.sleep(0)
    said = await browser.command("Some.thing", "s7", one=1)
    assert said["one"] == 1 and said["session"] == "s7"
    assert "kept" in await kept


async def test_a_refusal_and_the_end_of_the_browser_raise(browser: Browser):
    with pytest.raises(RuntimeError, match="Refuse: no"):
        await browser.command("Refuse")
    waiting = asyncio.create_task(browser.command("Keep"))
    with pytest.raises(BrowserGoneError):
        await browser.command("Die")
    with pytest.raises(BrowserGoneError):
        await waiting
    with pytest.raises(BrowserGoneError):
        await browser.command("Some.thing")


async def test_a_page_evaluates_functions_and_raises_when_they_throw(browser: Browser):
    page = await browser.open("http://nowhere/", 640, 480, "0")
    assert await page.evaluate(" (x) => x ", {"a": [1]}) == '((x) => x)({"a": [1]})'
    with pytest.raises(RuntimeError, match="Uncaught"):
        await page.evaluate("() => { throw 1 }")
    assert await page.screenshot() == b"png"


async def test_a_closed_browser_leaves_no_process_and_no_profile(tmp_path: Path):
    program = tmp_path / "browser"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    files, children = len(os.listdir("/proc/self/fd")), len(psutil.Process().children())
    async with launched(program, []) as started:
        assert (await started.command("Some.thing"))["session"] is None
        await started.close()
    await asyncio.sleep(0)
    assert len(psutil.Process().children()) == children
    assert len(os.listdir("/proc/self/fd")) <= files + 1, "asyncio's own watch of children may be one"
