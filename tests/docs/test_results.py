"""The tables of figures in the pages are those of ``results/*.json``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "docs/generate"))
    import results

    yield results
    sys.modules.pop("results")


def test_pages_have_the_tables_that_the_files_make(results: ModuleType) -> None:
    """If this fails, run ``python docs/generate/results.py``."""
    for page in results.PAGES:
        assert results.filled(page.read_text("utf-8")) == page.read_text("utf-8"), page


def test_every_table_stands_on_a_page(results: ModuleType) -> None:
    text = "".join(page.read_text("utf-8") for page in results.PAGES)
    shown = re.findall(r"<!-- results: (\S+) -->", text)
    there = {f"tables/{name}" for name in results._specified()}
    for path in (ROOT / "results").glob("*.json"):
        there |= {f"{path.stem}/{name}" for name in json.loads(path.read_text("utf-8")).get("tables", {})}
    assert sorted(shown) == sorted(there)


def test_cells_show_spread_notes_and_the_largest(results: ModuleType, tmp_path: Path) -> None:
    rows = [
        {"name": "a", "commands": ["one"], "figures": [[{"mean": 2.0, "std": 0.5}, 3.0], None]},
        {
            "name": "b",
            "commands": ["one", "two"],
            "figures": [[1.5, {"mean": 4.0, "note": "seed 0"}], {"seeds": [1.0, 2.0]}],
        },
    ]
    spec = {"first": "x", "columns": ["p / q", "r"], "best": "column", "rows": rows}
    made = results._written(
        {"commands": {"one": ["ssl-skel one"], "two": ["ssl-skel two"]}, "tables": {"t": spec}}, "t"
    )
    lines = made.markdown().splitlines()
    assert lines[2:4] == ["| a | **2.0 ± 0.5** / 3.0 | - |", "| b | 1.5 / **4.0 (seed 0)** | **1.0, 2.0** |"]
    assert lines[8:12] == ["# all rows", "ssl-skel one", "# b", "ssl-skel two"]
