"""One case: a file is damaged, a command reads it, and what comes of that is judged."""

from __future__ import annotations

import io
import random
import re
import resource
import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import typer
from material import write_all, write_parts
from mutations import BYTES, TEXTS, Mutation
from structures import BY_SUFFIX
from targets import OUT, TARGETS, write_inputs

from ssl_skel.cli.app import build, report_errors
from ssl_skel.escaping import shown

SECONDS = 20
"""Of the processor, for one case."""
GROWTH = 200 << 20
"""Bytes by which a case may enlarge the process for a moment."""
LONGEST = 550
"""Characters of a line for a user's mistake."""
_BAR = re.compile(r"\d%\|| \[\d\d:\d\d")
SOUND = ("read", "refused")
"""Outcomes that are not faults."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        case: its number, which with the seed gives the case again.
        target, file, mutation, command: what was damaged, how, and what read it.
        kind: one of ``SOUND``, or a fault.
        detail: the line, or the traceback.
        growth: bytes by which the process was larger at most.
    """

    case: int
    target: str
    file: str
    mutation: str
    command: str
    kind: str
    detail: str
    growth: int


class Late(BaseException):
    """The case took too long."""


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder with everything that is damaged, as the current one.

    Yields:
        A copy of it that stays as it is.
    """
    with tempfile.TemporaryDirectory() as pristine, tempfile.TemporaryDirectory() as here, chdir(here):
        write_all(Path())
        write_inputs()
        write_parts()
        shutil.copytree(here, pristine, dirs_exist_ok=True)
        yield Path(pristine)


def run_case(case: int, seed: int, pristine: Path) -> Outcome:
    """Damage one file of one target, run one command on it, put everything back."""
    rng = random.Random(f"{seed} {case}")
    target = TARGETS[case % len(TARGETS)]
    with target.restored(pristine):
        Path(OUT).mkdir()
        path = rng.choice(target.paths())
        mutation = _damage(path, rng)
        action = rng.choice((*target.commands, *target.calls))
        kind, detail, growth = observe(action)
    name = action if isinstance(action, str) else action.__name__
    return Outcome(case, target.name, str(path), mutation, name, kind, detail, growth)


def _damage(path: Path, rng: random.Random) -> str:
    """Damage a file; the name of what was done."""
    content = path.read_bytes()
    known = BY_SUFFIX.get(path.suffix, ())
    if rng.random() < 0.03:
        return _displace(path, rng)
    pool: list[Mutation] = list(known if known and rng.random() < 0.6 else BYTES.values())
    chosen = [rng.choice(pool) for _ in range(rng.choice((1, 1, 1, 2)) if pool[0] in BYTES.values() else 1)]
    for mutation in chosen:
        content = mutation(content, rng)
    path.write_bytes(content)
    return " ".join(mutation.__name__ for mutation in chosen)


def _displace(path: Path, rng: random.Random) -> str:
    """Something else stands where the file stood, or the file has a hostile name."""
    kind = rng.choice(("missing", "folder", "loop", "empty", "renamed"))
    content = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "empty":
        path.touch()
    elif kind == "renamed":
        name = rng.choice([text for text in TEXTS if "/" not in text and "\x00" not in text and 0 < len(text) < 200])
        other = path.with_name(f"{name}{path.suffix}")
        if not other.exists():
            other.write_bytes(content)
    return kind


def observe(action: Any) -> tuple[str, str, int]:
    """Run a command or a call within its limits: kind of outcome, detail, growth."""
    out, err = io.StringIO(), io.StringIO()
    before = _reset_peak()
    try:
        with _limits(), redirect_stdout(out), redirect_stderr(err), report_errors():
            if isinstance(action, str):
                _command().main(args=action.split(), prog_name="ssl-skel")
            else:
                action()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Late:
        return "hang", traceback.format_exc(), _peak() - before
    except BaseException:
        return "traceback", traceback.format_exc(), _peak() - before
    growth = _peak() - before
    kind, detail = _judge(code, out.getvalue(), err.getvalue())
    return ("memory", detail, growth) if growth > GROWTH and kind in SOUND else (kind, detail, growth)


def _judge(code: int, out: str, err: str) -> tuple[str, str]:
    """Whether a command ended as it should: well, or with one line."""
    lines = [line.rpartition("\r")[2] for line in err.split("\n")]
    lines = [line for line in lines if line.strip() and not line.startswith("warning: ") and not _BAR.search(line)]
    raw = [line for line in (*out.split("\n"), *lines) if shown(line) != line]
    if raw:
        return "control characters", repr(raw[0][:LONGEST])
    if code == 0:
        return "read", ""
    if code != 2:
        return f"exit code {code}", err[-2000:]
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return "not one line", err[-2000:]
    if len(lines[0]) > LONGEST:
        return "long line", lines[0][:2000]
    return "refused", lines[0]


@cache
def _command() -> Any:
    return typer.main.get_command(build())


@contextmanager
def _limits() -> Iterator[None]:
    """A deadline; and purposely bad numbers bring no warnings of NumPy's."""

    def late(number: int, frame: object) -> None:
        raise Late

    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _status(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) << 10


def _reset_peak() -> int:
    """The size of this process, from which on its peak is told; 0 on systems that cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return 0


def _peak() -> int:
    try:
        return _status("VmHWM")
    except OSError:
        return 0


def limit_address_space(extra: int = 4 << 30) -> None:
    """A case that asks for far more fails instead of troubling the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + extra,) * 2)
