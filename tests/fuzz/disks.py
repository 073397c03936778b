"""Every command that writes, on a full and on a read-only disk; needs the right to mount: ``unshare -rm`` gives it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from children import contents, difference, start, wait, workplace

FREE = (0, 8 << 10, 48 << 10)
"""Bytes left on a full disk."""
SIZE = "64m"
FILLER = Path("filler")
_LONGEST = 550


WRITING = (
    "pretrain trained.yaml resume=auto",
    "pretrain pretrain.yaml resume=auto",
    "finetune linear.yaml",
    "finetune full.yaml",
    "finetune semi.yaml",
    "sweep trained.yaml name=swept seed=0",
    "fuse measured again -o fused",
    "convert npy recordings converted",
    "convert npy recordings converted -j 2",
    "synthetic made subjects=2 cameras=2 repetitions=1",
    "merge store other -o merged",
    "merge-shards part other_part -o whole",
    "audit store -o audit",
    "embed run store -o table.npz",
    "embed run store -o table.parquet",
    "index run store -o index",
    "index run store -o index --kind ivf",
    "merge-index flat -o index",
    "view store -o page.html",
    "view run -o page.html",
    "view store --clip clip_01 --png clip.png",
    "report measured -o table.md",
    "search flat clip_03 --page page.html",
    "export run --to torch-export -o run.pt2",
)
READING = (
    "split store --per-class 1",
    "predict measured store --training half_pretrained0_linear",
    "runs .",
    "info store",
    "search flat clip_03",
    "report measured",
    "evaluate-retrieval flat --split half",
)
"""These do their work on a disk that takes nothing."""


def fill_and_lock() -> tuple[dict[str, Any], int]:
    """Try all commands: summary and number of faults."""
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    with workplace() as pristine:
        shutil.copytree(pristine / "measured", pristine / "again")
        for command in WRITING + READING:
            with _disk(pristine):
                unhindered, text = wait(start(command))
                want = contents(Path())
            for free in (*FREE, None):
                code, found = (1, text[-500:]) if unhindered else _hinder(command, want, pristine, free)
                outcomes["fault" if found else "refused" if code else "done"] += 1
                if found:
                    where = "read-only" if free is None else f"{free >> 10} kB free"
                    faults.append(f"{command}, {where}: {found}")
                    print(faults[-1], file=sys.stderr, flush=True)
    summary = {
        "commands": len(WRITING + READING),
        "trials": outcomes.total(),
        "outcomes": dict(outcomes),
        "faults": faults,
    }
    return summary, len(faults)


def _hinder(command: str, want: Mapping[str, str], pristine: Path, free: int | None) -> tuple[int, str]:
    """Run a command on a full disk, or a read-only one (None): its exit code, and the fault that was found or ""."""
    with _disk(pristine):
        if free is None:
            _mount("-o", "remount,ro", ".")
        else:
            _fill(free)
        code, text = wait(start(command))
        _mount("-o", f"remount,rw,size={SIZE}", ".")
        FILLER.unlink(missing_ok=True)
        have = contents(Path())
        with chdir(pristine):
            lost = sorted(path for path, digest in contents(Path()).items() if have.get(path) != digest)
        found = _judge(command, code, text, free) or (f"lost {lost[0]}" if lost else "")
        again, text = wait(start(command))
        if not found and again and not (again == 2 and "exists already" in text):
            found = f"repeated: exit code {again}: {text[-500:]}"
        return code, found or ", ".join(difference(want))


def _judge(command: str, code: int, text: str, free: int | None) -> str:
    """What is wrong with how a command ended, or ""."""
    lines = [line.rpartition("\r")[2] for line in text.splitlines()]
    errors = [line for line in lines if line.startswith("error: ")]
    if "Traceback" in text or code not in (0, (1 if command.startswith("sweep") else 2)):
        return f"exit code {code}: {text[-1500:]}"
    if code and (len(errors) != 1 or len(errors[0]) > _LONGEST):
        return f"{len(errors)} lines: {text[-500:]}"
    if command in READING and code:
        return f"only reads, yet: {text[-500:]}"
    return ""


@contextmanager
def _disk(pristine: Path) -> Iterator[None]:
    """A small disk with a copy of a folder is the current folder."""
    here = pristine.with_name("disk")
    here.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={SIZE}", "disk", str(here))
    try:
        shutil.copytree(pristine, here, dirs_exist_ok=True)
        with chdir(here):
            yield
    finally:
        subprocess.run(["umount", str(here)], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _fill(free: int) -> None:
    """Leave so many bytes."""
    room = shutil.disk_usage(".").free - free
    with FILLER.open("wb") as file:
        for _ in range(room >> 12):
            file.write(bytes(4096))
