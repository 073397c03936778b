"""Cases one after another in a child process, whose death or silence is a fault of the case that it was at."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from cases import TARGETS, Outcome, limit_address_space, run_case

CASES_A_CHILD = 500
SECONDS_OF_SILENCE = 300.0
"""By the clock, so it has to hold on a busy machine too; the processor's time has its own limit."""


def run_cases(cases: Sequence[int], seed: int, pristine: Path) -> Iterator[Outcome]:
    """Outcomes in the order of the cases; the current folder is a copy of ``pristine``."""
    left = list(cases)
    while left:
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            _work(left[:CASES_A_CHILD], seed, pristine, write)
        os.close(write)
        done, silent = 0, False
        try:
            with open(read, "rb") as lines:
                for outcome in _outcomes(lines.fileno()):
                    if outcome is None:
                        silent = True
                        break
                    yield outcome
                    done += 1
        finally:
            os.kill(child, signal.SIGKILL)  # it has ended, is silent, or nobody wants more
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if done < len(left[:CASES_A_CHILD]):
            lost = left[done]
            what = ("hang", "no answer") if silent else ("crash", f"exit code {code}")
            yield Outcome(lost, TARGETS[lost % len(TARGETS)].name, "", "", "", *what, 0)
            done += 1
        left = left[done:]


def _work(cases: Sequence[int], seed: int, pristine: Path, write: int) -> None:
    """What a child does; it never returns."""
    code = 1
    try:
        for path in Path().iterdir():  # a former child may have left damage
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(pristine, Path(), dirs_exist_ok=True)
        limit_address_space()
        for case in cases:
            os.write(write, json.dumps(asdict(run_case(case, seed, pristine))).encode() + b"\n")
        code = 0
    finally:
        os._exit(code)


def _outcomes(handle: int) -> Iterator[Outcome | None]:
    """What a child tells, until it is done or dead; None, if it tells nothing for long."""
    rest = b""
    while True:
        if not select.select([handle], [], [], SECONDS_OF_SILENCE)[0]:
            yield None
            return
        part = os.read(handle, 1 << 16)
        if not part:
            return
        *lines, rest = (rest + part).split(b"\n")
        yield from (Outcome(**json.loads(line)) for line in lines)
