"""Commands killed at random moments, then repeated: what they leave must be what an unkilled command leaves."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import contents, difference, fresh, start, unhindered, wait, workplace

MARK = "SSL_SKEL_KILLED"
"""In the environment of all that a command starts, by which orphans are found."""
MOST_KILLS = 3
"""Of one command before it is let through."""


@dataclass(frozen=True)
class Command:
    """A command line, its share of the kills in percent, and what must be whole wherever it exists."""

    words: str
    share: int
    whole: tuple[str, ...] = ()


COMMANDS: dict[str, Command] = {
    "pretrain": Command("pretrain trained.yaml resume=auto", 15),
    "finetune, linear": Command("finetune linear.yaml", 10),
    "finetune, full": Command("finetune full.yaml", 15),
    "finetune, semi": Command("finetune semi.yaml", 15),
    "convert -j 2": Command("convert npy recordings converted -j 2", 10, ("converted",)),
    "index": Command("index run store -o index", 7, ("index",)),
    "merge": Command("merge store other -o merged", 3, ("merged",)),
    "merge-shards": Command("merge-shards part other_part -o whole", 3, ("whole",)),
    "audit": Command("audit store -o audit", 5, ("audit",)),
    "split": Command("split store --per-class 1,2,3 --seeds 2", 4, ("store",)),
    "embed": Command("embed run store -o table.npz", 4, ("table.npz",)),
    "view": Command("view store -o page.html", 4, ("page.html",)),
    "sweep": Command("sweep trained.yaml name=swept seed=0,1", 5),
}


def kill_all(count: int, seed: int, only: str = "") -> tuple[dict[str, Any], int]:
    """Kill until so many kills met a living process: summary and number of faults.

    Args:
        count: of all commands together.
        seed: of the moments.
        only: kill this command alone.
    """
    os.environ[MARK] = str(os.getpid())
    summary: dict[str, Any] = {"kills": 0, "seed": seed, "commands": {}}
    faults = 0
    with workplace() as pristine:
        for name, command in COMMANDS.items():
            if only not in ("", name):
                continue
            wanted = count if only else max(1, count * command.share // 100)
            found = _try(command, wanted, random.Random(f"{seed} {name}"), pristine)
            summary["commands"][name] = {"kills": found.total()} | dict(found)
            summary["kills"] += found["SIGKILL"] + found["SIGTERM"]
            faults += sum(n for kind, n in found.items() if not kind.startswith("SIG"))
            print(name, dict(found), file=sys.stderr, flush=True)
    return summary, faults


def _try(command: Command, wanted: int, rng: random.Random, pristine: Path) -> Counter[str]:
    """Kills of one command by signal, and faults by kind."""
    found: Counter[str] = Counter()
    want, took = unhindered(command.words, pristine)
    while found["SIGKILL"] + found["SIGTERM"] < wanted:
        with fresh(pristine):
            for _ in range(rng.randint(1, MOST_KILLS)):
                sign = rng.choice((signal.SIGKILL,) * 4 + (signal.SIGTERM,))
                code, text = wait(start(command.words), (sign, rng.uniform(0, took)))
                if code in (-sign, 128 + sign):
                    found[sign.name] += 1
                found.update(_half(command, want))
                found.update(_orphans())
                if code == 0 or found["SIGKILL"] + found["SIGTERM"] >= wanted:
                    break
            code, text = wait(start(command.words))
            if code != 0 and not (code == 2 and "exists already" in text):
                found[f"exit code {code}: {text[-300:]}"] += 1
            found.update(difference(want))
    return found


def _half(command: Command, want: Mapping[str, str]) -> list[str]:
    """What stands under its final name and is not whole."""
    for name in command.whole:
        if Path(name).exists():
            there = {path: digest for path, digest in contents(Path(name)).items() if "subsets" not in path}
            if any(want.get(path) != digest for path, digest in there.items()):
                return [f"half {name}"]
    return []


def _orphans(patience: float = 30.0) -> list[str]:
    """Processes that outlive the command that started them."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        living = [path for path in Path("/proc").glob("[0-9]*") if _marked(path)]
        if not living:
            return []
        time.sleep(0.05)
    return [f"orphan: {(path / 'cmdline').read_bytes()[:200]!r}" for path in living if path.exists()]


def _marked(process: Path) -> bool:
    try:
        mark = f"{MARK}={os.getpid()}".encode()
        return int(process.name) != os.getpid() and mark in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
