"""Reports in headless Chromium: one with everything and hostile names, and the published one. Skipped without Chromium.

Whatever a test does, its pages must stay silent: no message on the console, no error, no dialog, no request but for the
file itself.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

from stages.tables.report.page import document
from tests.conftest import ROOT, made_once
from tests.reporting import EVERYTHING, make_up, planned

PUBLISHED = ROOT / "results/published/cifar10-jpeg-small/tables/report.html"
WITHOUT = ("/cutmix-", "svhn/lsp-", "logs/attack/cifar10/vanilla-")
Open = Callable[..., Page]
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium; `apt-get install chromium` has one")
    expect.set_options(timeout=30_000)  # milliseconds, on a machine that is busy with other tests
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield running
        running.close()


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The report of `tests/everything.yaml`, two of its runs missing."""

    def make(folder: Path) -> None:
        report = planned(folder, EVERYTHING)
        make_up(report, folder, images=200, without=WITHOUT)
        (folder / report.place).mkdir(parents=True, exist_ok=True)
        (folder / report.place / "report.html").write_text(document(report, folder), encoding="utf-8")

    (made,) = made_once(tmp_path_factory, worker_id, "everything", make).rglob("report.html")
    return made


@pytest.fixture(params=["everything", "published"])
def report(request: pytest.FixtureRequest) -> Path:
    """Each of the reports."""
    found: Path = PUBLISHED if request.param == "published" else request.getfixturevalue("everything")
    return found


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens a report at a width in pixels, light or dark; at the test's end every page must have been silent."""
    said: list[str] = []
    asked: list[tuple[str, str]] = []
    contexts = []

    def told(dialog: Dialog) -> None:
        said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open_report(path: Path, width: int = 1440, scheme: Scheme = "light", anchor: str = "") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()

        def note(message: ConsoleMessage) -> None:
            said.append(f"{message.type}: {message.text}")

        def count(request: Request) -> None:
            asked.append((request.url.partition("#")[0], path.as_uri()))

        page.on("console", note)
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("dialog", told)
        page.on("request", count)
        page.goto(path.as_uri() + anchor)
        return page

    yield open_report
    for context in contexts:
        context.close()
    assert not said
    assert asked
    assert [one for one, own in asked if one != own] == []
