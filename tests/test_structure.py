"""The architecture as a test: who may import whom, and how long a file or function may grow."""

from __future__ import annotations

import ast
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


def room_of_file(path: Path) -> str | None:
    return room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_table(path: Path) -> None:
    room = room_of_file(path)
    if room in (None, "__init__") or str(path.relative_to(ROOT)) in FORMER:
        return
    used = {room_of(module) for module in imports(path)} - {None, room, "__version__"}
    assert used <= ALLOWED[room], f"{room} must not import {used - ALLOWED[room]}"


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
