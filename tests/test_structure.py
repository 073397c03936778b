"""The architecture as a test: who may import whom, and how long a file or function may grow."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for room in ("ssl_skel", "pretrain", "finetune") for path in (ROOT / room).rglob("*.py"))

# Room -> rooms it may import (beside itself). A room is a module or package directly below ssl_skel, or a verb.
GROUND = {"errors", "names", "plain_json", "plain_yaml", "escaping", "progress", "files", "batch", "layouts"} | {
    *("config", "registry", "shipped_configs"),
}
ALLOWED = {
    "errors": set(),
    "names": {"errors"},
    "plain_json": set(),
    "plain_yaml": {"errors"},
    "escaping": set(),
    "console": {"escaping"},
    "progress": {"escaping"},
    "batch": set(),
    "distributed": set(),
    "lifeline": set(),
    "task": {"batch"},
    "shipped_configs": {"errors", "names"},
    "config": {"errors", "names", "plain_json", "plain_yaml", "shipped_configs"},
    "registry": {"errors", "names", "config"},
    "layouts": {"errors", "names", "plain_yaml"},
    "files": {"errors", "plain_json"},
    "same_run": {"config"},
    "data": GROUND | {"console"},
    "backbones": GROUND,
    "encoders": GROUND | {"data", "backbones"},
    "released": GROUND | {"data", "backbones", "encoders"},
    "embedding": GROUND | {"data", "encoders"},
    "pretexts": GROUND | {"data", "backbones", "encoders", "distributed", "task"},
    "training": {
        "errors",
        "escaping",
        "progress",
        "plain_json",
        "plain_yaml",
        "batch",
        "config",
        "files",
        "same_run",
        "task",
    },
    "evaluation": GROUND | {"console", "data"},
    "retrieval": GROUND | {"data", "encoders", "embedding", "evaluation"},
    "video": {"errors", "files", "backbones", "progress"},
    "experiments": {
        "files",
        "plain_json",
        "plain_yaml",
        "errors",
        "names",
        "config",
        "same_run",
        "lifeline",
        "console",
        "escaping",
        "encoders",
        "training",
        "evaluation",
    },
    "view": GROUND | {"data", "backbones", "encoders", "embedding", "pretexts", "training", "evaluation", "retrieval"},
    "__main__": {"cli"},
    "verbs": {"config", "evaluation"},
    "cli": GROUND
    | {
        "console",
        "lifeline",
        "data",
        "backbones",
        "encoders",
        "embedding",
        "evaluation",
        "retrieval",
        "experiments",
    }
    | {"view", "released", "video"},
    "pretrain": GROUND
    | {"task", "data", "backbones", "encoders", "embedding", "pretexts", "training", "evaluation", "cli", "same_run"},
    "finetune": GROUND
    | {"task", "data", "backbones", "encoders", "embedding", "pretexts", "training", "evaluation", "cli"}
    | {"console", "distributed", "same_run", "video"},
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


# What writes on its own: into a folder that appears when whole, into memory, or at the end of a log.
WRITERS = {
    "ssl_skel/data/writer.py": {"open", "write_bytes"},  # a partial folder
    "ssl_skel/data/shards.py": {"open"},  # a partial folder
    "ssl_skel/data/clip_columns.py": {"ZipFile", "open"},  # in the folder of writer.py
    "ssl_skel/data/written_clips.py": {"open", "np.memmap"},  # in the folder of writer.py
    "ssl_skel/data/audit/duplicates.py": {"np.memmap"},  # reads an unnamed file
    "ssl_skel/retrieval/writing.py": {"shutil.copyfile", "write_text"},  # a partial folder
    "ssl_skel/retrieval/codes.py": {"open"},  # in the folder of writing.py
    "ssl_skel/retrieval/approximate.py": {"faiss.write_index"},  # in the folder of writing.py
    "ssl_skel/training/checkpoint.py": {"save_model", "torch.save", "write_bytes", "write_text"},  # a partial folder
    "ssl_skel/training/rundir.py": {"open"},  # a log grows
    "ssl_skel/training/event_file.py": {"open"},  # curves grow
    "ssl_skel/video/cache.py": {"open"},  # grows, clip by clip, until it is whole
    "ssl_skel/embedding/export.py": {"torch.export.save"},  # memory
    "ssl_skel/view/draw/pictures.py": {"av.open", "figure.savefig"},  # memory
}
_WRITES = {
    *("rename", "savefig", "savez", "savez_compressed", "savetxt", "tofile", "to_csv"),
    *("save_file", "save_model", "write_table", "write_index", "copyfile", "copy2", "mkstemp", "NamedTemporaryFile"),
    *("to_parquet", "to_json", "memmap"),
}
_WRITES_IN_FULL = {
    "os.replace",
    "np.save",
    "torch.save",
    "torch.export.save",
    "shutil.move",
    "shutil.copy",
    "json.dump",
}


def writes(tree: ast.AST) -> set[str]:
    """Calls that write files, outside ``with replacing(...)`` blocks."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.With) and any(_atomic(item.context_expr) for item in node.items):
            continue
        if isinstance(node, ast.Call):
            full = ast.unparse(node.func)
            name = full.rpartition(".")[2]
            words = [word.value for word in ast.walk(node) if isinstance(word, ast.Constant)]
            to_write = any(re.fullmatch("[wax][bt+]*|r[bt]?[+][bt]?", str(word)) for word in words)
            if name in ("open", "ZipFile") and to_write:
                found.add(full if full == "av.open" else name)
            if full in _WRITES_IN_FULL or name in _WRITES:
                found.add(full)
            if "." in full and name in ("write_text", "write_bytes"):  # methods of Path
                found.add(name)
        found |= writes(node)
    return found


def _atomic(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "replacing"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_written_by_the_atomic_writer(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    if not name.startswith("ssl_skel/files/"):
        assert writes(ast.parse(path.read_text("utf-8"))) == WRITERS.get(name, set()), "use ssl_skel.files.atomic"


@pytest.mark.parametrize(
    "line",
    [
        "Path(out).write_text('half')",
        "with path.open('w') as file: file.write('half')",
        "with open(path, mode='ab') as file: file.write(b'half')",
        "np.savez(path, x=x)",
        "os.replace(beside, path)",
        "with gzip.open(path, 'wt') as file: file.write('half')",
        "zipfile.ZipFile(path, 'w').writestr('member', 'half')",
        "beside.rename(path)",
        "def f():\n    if x:\n        torch.save(x, path)",
    ],
)
def test_a_write_of_its_own_is_seen(line: str) -> None:
    assert writes(ast.parse(line))


@pytest.mark.parametrize(
    "line", ["with replacing(path) as file: np.savez(file, x=x)", "write_text(path, 'whole')", "path.open('rb')"]
)
def test_reading_and_atomic_writing_are_no_writes_of_their_own(line: str) -> None:
    assert not writes(ast.parse(line))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_one_file_prints(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    if path != ROOT / "ssl_skel" / "escaping.py":
        assert "print" not in [ast.unparse(call.func) for call in calls], "use say of ssl_skel.escaping"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_one_room_looks_for_the_nearest_name(path: Path) -> None:
    packages = {module.partition(".")[0] for module in imports(path)}
    if path != ROOT / "ssl_skel" / "names.py":
        assert not {"difflib", "rapidfuzz", "Levenshtein", "jellyfish"} & packages, "use ssl_skel.names"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_one_file_shows_progress(path: Path) -> None:
    if path != ROOT / "ssl_skel" / "progress.py":
        assert "tqdm" not in imports(path), "use ssl_skel.progress"


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*/*.yaml")), ids=lambda path: path.stem)
def test_a_config_opens_with_a_short_header(path: Path) -> None:
    """What, command, time and figure in six lines at most; notes are in docs, and other comments are short."""
    lines = path.read_text("utf-8").splitlines()
    header = list(itertools.takewhile(lambda line: line.startswith("# "), lines))
    assert 1 < len(header) <= 6
    verb = "finetune" if path.parent.name == "finetune" or path.stem == "linear" else "pretrain"
    command = re.compile(rf"# ssl-skel ({verb}|sweep) configs/{path.parent.name}/{path.name}\b")
    assert any(command.match(line) for line in header), "the header shows the command that runs this config"
    comments = [re.split(r"(?:^|\s)#", line, maxsplit=1)[1] for line in lines[len(header) :] if "#" in line]
    assert all(len(comment) <= 80 for comment in comments)
