"""``python tests/fuzz files|kills|pairs|disks``: tries what docs/reliability.md promises.

A fault ends the command with exit code 1. ``files`` with ``--faults FOLDER`` writes a text file for each kind of fault.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1"}  # forked children must find no threads
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/data")]
RESULTS = ROOT / "results" / "reliability.json"


def files(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Damage files, and see what the commands that read them say."""
    import torch
    from cases import SOUND, Outcome, workplace
    from targets import TARGETS
    from workers import run_cases

    torch.set_num_threads(1)
    totals: dict[str, Counter[str]] = {}
    faults: dict[tuple[str, str, str], list[Outcome]] = {}
    largest = 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was tried so far is told
    cases = range(options.first, options.first + options.count)
    if options.only:  # cases take turns with the targets
        place, step = [target.name for target in TARGETS].index(options.only), len(TARGETS)
        cases = range(options.first * step + place, (options.first + options.count) * step, step)
    with suppress(KeyboardInterrupt), workplace() as pristine:
        for outcome in run_cases(cases, options.seed, pristine):
            totals.setdefault(outcome.target, Counter())[outcome.kind] += 1
            largest = max(largest, outcome.growth)
            if outcome.kind not in SOUND:
                last = outcome.detail.strip().rpartition("\n")[2][:80]
                faults.setdefault((outcome.target, outcome.kind, last), []).append(outcome)
    for number, found in enumerate(faults.values()):
        first = found[0]
        cases = ", ".join(str(outcome.case) for outcome in found[:10])
        text = f"{len(found)} x {first.kind}, cases {cases}: {first.file}, {first.mutation}, {first.command}\n"
        print(text + first.detail[-2000:], file=sys.stderr)
        if options.faults:
            name = f"{first.kind}_{first.target}_{number}.txt".replace(" ", "_")
            (options.faults / name).write_text(f"{text}growth {first.growth >> 20} MB\n{first.detail}", "utf-8")
    summary = {
        "cases": sum(map(Counter.total, totals.values())),
        "seed": options.seed,
        "outcomes": dict(sum(totals.values(), Counter())),
        "largest growth in MB": round(largest / 2**20),
        "targets": {name: dict(count) for name, count in totals.items()},
    }
    return summary, sum(map(len, faults.values()))


def kills(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Kill each command at random moments, repeat it, and compare."""
    from kills import kill_all

    return kill_all(options.count, options.seed, options.only)


def pairs(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Run each command twice at once."""
    from pairs import pair_all

    return pair_all(options.count, options.seed)


def disks(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Run each command on a full and on a read-only disk."""
    from disks import fill_and_lock

    return fill_and_lock()


TRIALS: dict[str, tuple[Callable[[argparse.Namespace], tuple[dict[str, Any], int]], int]] = {
    "files": (files, 20_000),
    "kills": (kills, 200),
    "pairs": (pairs, 5),
    "disks": (disks, 0),
}
"""Name -> what to try, and how often."""


def main(words: Sequence[str] | None = None) -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    parser.add_argument("trial", choices=TRIALS)
    parser.add_argument("--count", type=int, help="cases, kills, or pairs of each command")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=Path, help="folder for a text file a kind of fault")
    parser.add_argument("--only", default="", help="of kills: one command; of files: one target")
    parser.add_argument("--save", action="store_true", help=f"write the totals to {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args(words)
    trial, count = TRIALS[options.trial]
    options.count = options.count or count
    summary, faults = trial(options)
    print(json.dumps({key: value for key, value in summary.items() if key != "targets"}, indent=1))
    if options.save:
        known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(known | {options.trial: summary}, indent=1) + "\n", "utf-8")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
