"""The architecture as a test: who may import whom, and how long a file or function may grow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for room in ("ssl_skel", "pretrain", "finetune") for path in (ROOT / room).rglob("*.py"))

# Room -> rooms it may import (beside itself). A room is a module or package directly below ssl_skel, or a verb.
GROUND = {"errors", "batch", "layouts", "config"}
ALLOWED = {
    "errors": set(),
    "console": set(),
    "batch": set(),
    "distributed": set(),
    "task": {"batch"},
    "config": {"errors"},
    "layouts": {"errors"},
    "files": {"errors"},
    "data": GROUND | {"console", "files"},
    "backbones": GROUND,
    "encoders": GROUND | {"backbones"},
    "embedding": GROUND | {"data", "encoders"},
    "pretexts": GROUND | {"data", "backbones", "encoders", "distributed", "task"},
    "training": {"errors", "batch", "config", "task"},
    "evaluation": GROUND | {"console", "data"},
    "retrieval": GROUND | {"data", "files", "encoders", "embedding", "evaluation"},
    "video": {"errors", "backbones"},
    "experiments": {"errors", "config", "console", "encoders", "training", "evaluation"},
    "view": GROUND | {"data", "backbones", "encoders", "embedding", "pretexts", "training", "evaluation", "retrieval"},
    "__main__": {"cli"},
    "cli": GROUND
    | {"console", "data", "backbones", "encoders", "embedding", "evaluation", "retrieval", "experiments", "view"},
    "pretrain": GROUND
    | {"task", "data", "backbones", "encoders", "embedding", "pretexts", "training", "evaluation", "cli"},
    "finetune": GROUND
    | {"task", "data", "backbones", "encoders", "embedding", "pretexts", "training", "evaluation", "cli"}
    | {"distributed", "video"},
}

# Former homes of names that 0.1 printed; they only pass on what moved.
FORMER = {"ssl_skel/embedder.py", "ssl_skel/backbones/card.py", "ssl_skel/evaluation/features.py"}


def room_of(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] in ("pretrain", "finetune"):
        return parts[0]
    return parts[1] if parts[0] == "ssl_skel" and len(parts) > 1 else None


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "ssl_skel"}
    return found


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a file but those that only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from runtime_nodes(node)


def module_graph(root: Path, files: list[Path]) -> dict[str, set[str]]:
    """Module -> modules it imports at any time, within functions too; ``a/b/__init__.py`` is ``a.b``."""
    name = {path: ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in files}
    graph: dict[str, set[str]] = {}
    for path in files:
        found = graph.setdefault(name[path], set())
        for node in runtime_nodes(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:  # a submodule, or a name that the module defines
                    inner = f"{node.module}.{alias.name}"
                    found.add(inner if inner in name.values() else str(node.module))
    return {module: found & graph.keys() for module, found in graph.items()}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches all others of its group."""

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            new = graph[ahead.pop()] - seen
            seen |= new
            ahead += new
        return seen

    reached = {module: reach(module) for module in graph}
    groups = {frozenset(other for other in reached[module] if module in reached[other]) for module in graph}
    return sorted(sorted(group) for group in groups if group)


def room_of_file(path: Path) -> str | None:
    return room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_table(path: Path) -> None:
    room = room_of_file(path)
    if room in (None, "__init__") or str(path.relative_to(ROOT)) in FORMER:
        return
    used = {room_of(module) for module in imports(path)} - {None, room, "__version__"}
    assert used <= ALLOWED[room], f"{room} must not import {used - ALLOWED[room]}"


def test_no_files_import_each_other() -> None:
    assert circles(module_graph(ROOT, FILES)) == []


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    """Two files that import each other, one of them within a function; a third does so for type checkers alone."""
    texts = {
        "room/__init__.py": "",
        "room/first.py": "from room import second\n",
        "room/second.py": "def late():\n    from room.first import name\n",
        "room/third.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import room.fourth\n",
        "room/fourth.py": "import room.third\n",
    }
    (tmp_path / "room").mkdir()
    for path, text in texts.items():
        (tmp_path / path).write_text(text)
    assert circles(module_graph(tmp_path, [tmp_path / path for path in texts])) == [["room.first", "room.second"]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sizes_stay_under_the_ceilings(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= (150 if path.name == "run.py" else 400)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, f"{node.name} is too long"


def test_no_room_is_a_drawer() -> None:
    assert not {path.stem for path in FILES} & {"utils", "helpers", "common", "misc"}
