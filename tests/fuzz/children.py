"""Commands run in children forked from a process that has imported everything: a start takes longer than the work."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from material import FINETUNE, PRETRAIN, TRAINED, write_all, write_parts
from raw_files import describe, walk

from ssl_skel.cli.app import main

CLOCK = {"seconds", "clips_per_second", "date", "command", "revision"}
"""Keys of JSON that say when, how fast and by which edit of the code."""
SAID = Path("../said.txt")
"""What the last command said, beside the current folder."""


def contents(folder: Path) -> dict[str, str]:
    """Path -> hash of each file, without what a clock says.

    Of a run's checkpoints the newest counts: SIGTERM writes one at its step, which may be the last but one.
    """
    files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): _digest(path) for path in files if "tensorboard" not in path.parts and not _is_older(path)}


def _is_older(path: Path) -> bool:
    """Whether a file is of a checkpoint that a newer one stands beside."""
    steps = [parent for parent in path.parents if parent.name.startswith("step_")]
    return any(step.name != max(other.name for other in step.parent.glob("step_*")) for step in steps)


def difference(want: Mapping[str, str]) -> list[str]:
    """Files of the current folder that another command would not have left, or not so."""
    have = contents(Path())
    names = sorted(name for name in want.keys() | have.keys() if want.get(name) != have.get(name))
    kinds = {True: "left", False: "lost"}
    return [f"{'differs' if name in want and name in have else kinds[name in have]}: {name}" for name in names]


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix in (".json", ".jsonl"):
        with suppress(ValueError):
            content = json.dumps([_timeless(json.loads(line)) for line in _documents(path)]).encode()
    if path.suffix == ".md":
        content = b"\n".join(line for line in content.splitlines() if b" s" not in line)
    return hashlib.sha256(content).hexdigest()


def _documents(path: Path) -> list[str]:
    text = path.read_text("utf-8")
    return text.splitlines() if path.suffix == ".jsonl" else [text]


def _timeless(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _timeless(value) for key, value in tree.items() if key not in CLOCK}
    return [_timeless(value) for value in tree] if isinstance(tree, list) else tree


def start(words: str, said: Path = SAID) -> int:
    """Run a command in a child with a session of its own, which writes what it says to a file; its id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.argv = ["ssl-skel", *words.split()]
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 70
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(child: int, kill: tuple[signal.Signals, float] | None = None, said: Path = SAID) -> tuple[int, str]:
    """Exit code of a child, which is killed after so many seconds if it lives; and what it said."""
    end = time.monotonic() + (kill[1] if kill else 600.0)
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > end:
            os.kill(child, kill[0] if kill else signal.SIGKILL)
            break
        time.sleep(0.002)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, said.read_text("utf-8", "replace") if said.exists() else ""


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder with all that the commands read."""
    with tempfile.TemporaryDirectory() as room:
        pristine = Path(room, "pristine")
        pristine.mkdir()
        with chdir(pristine):
            write_all(Path())
            shutil.copytree("store", "other")
            for at in range(40):
                folder = Path("recordings", ("wave", "walk")[at % 2])
                folder.mkdir(parents=True, exist_ok=True)
                np.save(folder / f"clip_{at:02}.npy", walk(at, 40, 15)[0])
            describe(Path("recordings"), {"layout": "sbu15"})
            write_parts()
            for name, config in CONFIGS.items():
                Path(f"{name}.yaml").write_text(yaml.safe_dump(config | {"name": name}), "utf-8")
        yield pristine


@contextmanager
def fresh(pristine: Path) -> Iterator[None]:
    """A copy of it is the current folder."""
    here = pristine.with_name("here")
    shutil.copytree(pristine, here)
    try:
        with chdir(here):
            yield
    finally:
        shutil.rmtree(here)


def unhindered(words: str, pristine: Path) -> tuple[dict[str, str], float]:
    """What a command leaves when nothing disturbs it, as ``contents`` gives it, and its seconds."""
    with fresh(pristine):
        began = time.monotonic()
        code, text = wait(start(words))
        took = time.monotonic() - began
        assert code == 0, text
        return contents(Path()), took


LONGER = TRAINED | {"epochs": 4, "optim": {"warmup_epochs": 1}}
CONFIGS: dict[str, dict[str, Any]] = {
    "trained": PRETRAIN | {"train": PRETRAIN["train"] | {"epochs": 6}},
    "linear": FINETUNE | {"protocols": [{"name": "linear", "save": True}]},
    "full": FINETUNE | {"protocols": [LONGER]},
    "semi": FINETUNE | {"protocols": [LONGER | {"name": "semi", "per_class": [2]}], "seeds": [0, 1]},
}
