"""A real browser, where there is one, and clips to look at."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ssl_skel.data.store import Store
from ssl_skel.view.draw.clips import RenderableClip


def until(page: Any, condition: str, argument: Any = None) -> None:
    """Wait until a JavaScript expression holds; Playwright's own way wants eval, which pages forbid."""
    deadline = time.monotonic() + 10
    while not page.evaluate(condition, argument):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


_DRAWN = """() => [...document.querySelectorAll("canvas[data-clip]")]
    .filter((one) => one.getBoundingClientRect().top < innerHeight)
    .every((one) => one.width !== 300)"""


@pytest.fixture(scope="session")
def evil() -> str:
    """A name that would act if it were not escaped."""
    return "<script>document.title='hurt'</script><img src=x onerror=alert(1)>\"'&</article>"


@pytest.fixture(scope="session")
def shown(motions: Path) -> list[RenderableClip]:
    """Built-in motions, one and two persons in turn."""
    store = Store.open(motions)
    single, double = ([row for row in range(len(store)) if store.persons[row] == count] for count in (1, 2))
    rows = [row for pair in zip(single, double, strict=False) for row in pair]
    return [
        RenderableClip(
            str(store.name[row]), store.clip(row), store.layout, {"class": store.class_names[store.label[row]]}
        )
        for row in rows
    ]


@pytest.fixture(scope="session", name="until")
def until_() -> Callable[..., None]:
    """``until``, for tests."""
    return until


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Headless Chromium; tests are skipped where none is found."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open HTML from disk; at the end, nothing may have been complained of or fetched."""
    contexts, complaints, fetched = [], [], []

    def visit(html: str, **options: Any) -> Any:
        path = tmp_path / "page.html"
        path.write_text(html, "utf-8")
        context = chromium.new_context(viewport={"width": 1200, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(path.as_uri())
        until(page, _DRAWN)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []
    assert all(url.startswith("file://") and url.endswith("/page.html") for url in fetched)
