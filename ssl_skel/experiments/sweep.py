"""A grid of runs, one after another, each in a process of its own and a folder of its own."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import BaseModel

from ssl_skel.config import load_config, read_mapping
from ssl_skel.errors import UserError
from ssl_skel.escaping import say
from ssl_skel.experiments.record import read_run
from ssl_skel.lifeline import start
from ssl_skel.plain_yaml import read_yaml
from ssl_skel.same_run import completed, difference, fingerprint

RESUME = {"pretrain": ("resume=auto",)}
"""Words by which a verb continues a run; an evaluation continues automatically."""
_LONGEST = 120


@dataclass(frozen=True)
class Job:
    """One run of a grid.

    Attributes:
        name: of the run.
        folder: of the run.
        words: ``key=value`` words, the name among them, that make the config into this run's.
        config: the same, resolved, as plain data.
        model: of the config.
    """

    name: str
    folder: Path
    words: tuple[str, ...]
    config: dict[str, Any]
    model: type[BaseModel]

    def done(self) -> bool:
        """Whether this very run is finished; ``FREE`` keys may differ, as for a run that is continued."""
        try:
            found = read_run(self.folder)
            before = completed(found.config, self.model, str(self.folder))
        except UserError:
            return False
        return found.state == "finished" and difference(before, self.config) is None


@dataclass(frozen=True)
class Outcome:
    """How the runs of a grid ended.

    Attributes:
        failed: a line for each run that did not end well.
        stopped: the signal that ended the whole, or 0.
    """

    failed: tuple[str, ...] = ()
    stopped: int = 0


def plan(model: type[BaseModel], path: Path, words: Sequence[str]) -> list[Job]:
    """All runs of a grid, the last key changing fastest. Every config is checked before any run begins.

    Values are those of a YAML list, so commas separate them, and brackets, braces and quotes group them:
    ``data.crop=[0.5,1.0],[1.0,1.0]`` are two values, ``data.crop=[0.5,1.0]`` is one. A key with one value holds for all
    runs; keys with several make the names, as in ``tiny-optim.lr_0.001-seed_1``.

    Args:
        model: of the verb's configs, with ``name`` and ``runs``.
        path: YAML file.
        words: ``key=value,value,...``.

    Raises:
        UserError: a word, a config, or two runs that are the same.
    """
    grid = _grid(words)
    chosen = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    base = load_config(model, path, [_word(key, values[0]) for key, values in grid.items()])
    varied = [key for key, values in grid.items() if len(values) > 1]
    names = [_name(base.name, {key: values[key] for key in varied}) for values in chosen]  # type: ignore[attr-defined]
    often = Counter(name.casefold() for name in names)
    jobs: dict[str, Job] = {}
    for name, values in zip(names, chosen, strict=True):
        if len(name) > _LONGEST or often[name.casefold()] > 1:
            mark = fingerprint(values)[:8]
            name = f"{name[:_LONGEST]}-{mark}"
        if name in jobs:
            raise UserError(f"{', '.join(varied)}: a value is given twice, so two runs are the same; leave one out")
        set_words = tuple(_word(key, value) for key, value in values.items() if key != "name")
        config = load_config(model, path, [*set_words, _word("name", name)])
        folder = config.runs / name  # type: ignore[attr-defined]
        jobs[name] = Job(name, folder, (*set_words, _word("name", name)), config.model_dump(mode="json"), model)
    return list(jobs.values())


def verb_for(path: Path, models: Mapping[str, type[BaseModel]]) -> str:
    """The verb that a YAML file is written for: the one whose configs have most of the file's keys, the first among
    equals.

    Args:
        path: YAML file.
        models: of each verb's configs.

    Raises:
        UserError: the file cannot be read.
    """
    keys = read_mapping(path).keys()
    return max(models, key=lambda verb: len(keys & models[verb].model_fields.keys()))


def program(verb: str, path: Path) -> list[str]:
    """The command that starts a run in a process of its own; its words follow."""
    return [sys.executable, "-m", "ssl_skel.cli.app", verb, str(path)]


def run_all(jobs: Sequence[Job], call: Sequence[str], extra: Sequence[str] = ()) -> Outcome:
    """Run a grid, one run after another; finished ones are skipped, a failing one does not end the others.

    SIGINT, SIGTERM and SIGHUP are passed to the current run, which writes a checkpoint, and no other run is started; a
    second Ctrl-C is passed on too, and the run stops at once.

    Args:
        jobs: of the grid.
        call: program that gets the words of a run.
        extra: words after them.
    """
    failed = []
    with _Signals() as signals:
        for at, job in enumerate(jobs, 1):
            done = job.done()
            say(f"{at}/{len(jobs)} {job.name}{': finished already' if done else ''}", error=True)
            if done:
                continue
            code = signals.run([*call, *job.words, *extra])
            if signals.stop:
                break
            if code:
                failed.append(f"{job.name}: failed with exit code {code}")
                say(failed[-1], error=True)
    return Outcome(tuple(failed), signals.stop)


class _Signals:
    """While open, signals go to the process that runs now instead of ending this one."""

    def __init__(self) -> None:
        self.stop = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._before: dict[int, Any] = {}

    def run(self, command: list[str]) -> int:
        """Exit code of a command, which ends with this process; a terminal's Ctrl-C reaches it once, through here."""
        if not self.stop:
            with start(command) as self._process:
                if self.stop and os.name == "posix":  # the signal came while the process was being made
                    self._process.send_signal(self.stop)
                code = self._process.wait()
            self._process = None
            return code
        return 0

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.stop = number
        if self._process is not None and os.name == "posix":
            self._process.send_signal(number)

    def __enter__(self) -> _Signals:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _grid(words: Sequence[str]) -> dict[str, list[Any]]:
    """Values by key, in the order given."""
    grid: dict[str, list[Any]] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise UserError(f"{word!r}: values must be written key.path=value,value,...")
        if key in grid:
            raise UserError(f"{key}: is given twice; put all its values into one word, separated by commas")
        values = read_yaml(f"[{text}]", key)
        if not values:
            raise UserError(f"{key}: has no value; write null for none, '' for empty text")
        if key in ("name", "runs") and len(values) > 1:
            raise UserError(f"{key}: takes one value, which all runs share; a run is named after what it varies")
        grid[key] = values
    return grid


def _word(key: str, value: Any) -> str:
    """``key=value`` that reads back as that value; text stays bare where it can."""
    if isinstance(value, str) and re.fullmatch(r"[\w./+-]+", value) and read_yaml(value, key) == value:
        return f"{key}={value}"
    return f"{key}={json.dumps(value, ensure_ascii=False)}"


def _name(base: str, varied: dict[str, Any]) -> str:
    """``base-key_value-key_value``, of characters that every file system takes."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in varied.items()}
    parts = [re.sub(r"[^A-Za-z0-9.+-]+", "_", f"{key}_{text}").strip("_") for key, text in texts.items()]
    return "-".join([base, *parts])
