"""``--slurm``: the command becomes a job of a cluster, by submitit, which queues it again when its time is over.

The job runs the command as a process of its own. Before Slurm ends the job it gets SIGUSR2; the process then gets
SIGTERM, writes a checkpoint, and the job goes back into the queue, where the command continues from there.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ssl_skel.errors import UserError
from ssl_skel.escaping import say
from ssl_skel.names import unknown

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission

COMMANDS = ("pretrain", "finetune", "sweep", "index", "embed", "convert")
"""That can be jobs: the ones that take long, and continue or begin again without harm."""
_SHARED = ("convert", "index", "embed")  # by the jobs of an array, each with its --shard
_SHARD = "{shard}"
_LAUNCHED = ("pretrain", "finetune")  # by torchrun where a job has several GPUs
_SECONDS_TO_STOP = 75  # submitit leaves 90 between its signal and the end
_OPTIONS = {
    "partition": "slurm_partition",
    "account": "slurm_account",
    "qos": "slurm_qos",
    "constraint": "slurm_constraint",
    "mem": "slurm_mem",
    "gpus": "gpus_per_node",
    "cpus": "cpus_per_task",
    "time": "timeout_min",
}
"""Option -> submitit's name."""
_COUNTS = ("gpus", "cpus", "shards")
_OTHERS = ("folder", "cluster", "shards")
"""The first two are submitit's own arguments."""


class Command:
    """A command line as a job.

    Args:
        words: of the command, without ``--slurm``.
        gpus: of the job; several share a training.
    """

    def __init__(self, words: Sequence[str], gpus: int = 0) -> None:
        self.words, self.gpus = list(words), gpus
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Run the command to its end; its exit code.

        Raises:
            RuntimeError: the command failed, so that the job has too.
        """
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={self.gpus}"]
        launched = self.gpus > 1 and self.words[0] in _LAUNCHED
        command = [sys.executable, *(launcher if launched else []), "-m", "ssl_skel", *self.words]
        ours = signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # the process inherits this: the signal is for the job
        self._process = subprocess.Popen(command)  # noqa: S603 - the words of whoever submitted it
        signal.signal(signal.SIGUSR2, ours)
        if code := self._process.wait():
            raise RuntimeError(f"{' '.join(self.words)}: ended with exit code {code}")
        return code

    def checkpoint(self) -> DelayedSubmission:
        """Stop the process, with a checkpoint, and say what continues it."""
        from submitit.helpers import DelayedSubmission

        from ssl_skel.experiments.sweep import RESUME

        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                self._process.kill()
        more = [word for word in RESUME.get(self.words[0], ()) if word not in self.words]
        return DelayedSubmission(Command([*self.words, *more], self.gpus))


def submit(words: Sequence[str], text: str) -> None:
    """Queue a command, or the parts of one as an array, and print each job's number and where its output goes.

    Args:
        words: of the command line, the command's name first, without ``--slurm``.
        text: ``key=value`` words, separated by commas.

    Raises:
        UserError: an unknown option, no submitit, or no Slurm here.
    """
    options = _parse(text)
    try:
        import submitit
    except ImportError as error:
        raise UserError("--slurm: needs submitit; install it with: pip install 'ssl-skel[slurm]'") from error
    folder, cluster = options.pop("folder", "slurm"), options.pop("cluster", "slurm")
    commands = [Command(part, options.get("gpus_per_node", 0)) for part in _parts(words, options.pop("shards", 0))]
    try:
        executor = submitit.AutoExecutor(folder=f"{folder}/%j", cluster=cluster)
        executor.update_parameters(name=f"ssl-skel-{words[0]}", **options)
        with executor.batch():
            jobs = [executor.submit(command) for command in commands]
    except (RuntimeError, ValueError, OSError, submitit.core.utils.FailedJobError) as error:
        raise UserError(f"--slurm: {' '.join(str(error).split())[:200]}; cluster=local runs the job here") from error
    for job in jobs:
        say(f"submitted: job {job.job_id}; its output: {job.paths.stderr}")


def _parts(words: Sequence[str], count: int) -> list[list[str]]:
    """The command lines of an array's jobs, or the command line alone.

    >>> _parts(["convert", "ntu", "raw", "parts/{shard}"], 2)[1]
    ['convert', 'ntu', 'raw', 'parts/2', '--shard', '2/2']

    Raises:
        UserError: a command without parts, or no name for each part's output.
    """
    if not count:
        return [list(words)]
    if words[0] not in _SHARED:
        raise UserError(f"--slurm: shards: {words[0]} is not done in parts; {', '.join(_SHARED)} are")
    if not any(_SHARD in word for word in words) or any(word.startswith("--shard") for word in words):
        raise UserError(f"--slurm: shards: write {_SHARD} in the output's path, as in parts/{_SHARD}, and no --shard")
    own = [[word.replace(_SHARD, str(number)) for word in words] for number in range(1, count + 1)]
    return [[*part, "--shard", f"{number}/{count}"] for number, part in enumerate(own, 1)]


def words_of_job(name: str, argv: Sequence[str]) -> list[str]:
    """The command line of a job: that of this process without ``--slurm``.

    >>> words_of_job("pretrain", ["pretrain", "demo/pretrain", "--slurm", "gpus=1", "seed=1"])
    ['pretrain', 'demo/pretrain', 'seed=1']
    >>> words_of_job("pretrain", ["--slurm=gpus=1", "demo/pretrain"])
    ['pretrain', 'demo/pretrain']

    Args:
        name: of the command, which ``python -m pretrain`` does not repeat.
        argv: words behind the program's name.
    """
    words = list(argv)
    while "--slurm" in words:
        at = words.index("--slurm")
        del words[at : at + 2]
    words = [word for word in words if not word.startswith("--slurm=")]
    return words if words[:1] == [name] else [name, *words]


def _parse(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in text.split(","):
        key, equals, value = (part.strip() for part in word.partition("="))
        if not equals or not value:
            raise UserError(f"--slurm: {word!r}: is written key=value, as in partition=gpu,gpus=1,time=4:00:00")
        if key not in (*_OPTIONS, *_OTHERS):
            raise unknown("option", key, [*_OPTIONS, *_OTHERS], where="--slurm")
        if key in _COUNTS and not value.isdecimal():
            raise UserError(f"--slurm: {key}: give a whole number, got {value!r}")
        if key == "shards" and int(value) < 1:
            raise UserError(f"--slurm: shards: give at least 1, got {value!r}")
        if key == "cluster" and value not in ("slurm", "local", "debug"):
            raise unknown("cluster", value, ("slurm", "local", "debug"), where="--slurm")
        given = int(value) if key in _COUNTS else _minutes(value) if key == "time" else value
        found[_OPTIONS.get(key, key)] = given
    return found


def _minutes(text: str) -> int:
    """Minutes of a time as Slurm writes it: ``90``, ``4:00:00`` or ``1-12:00:00``."""
    match = re.fullmatch(r"(?:(?:(\d{1,3})-)?(\d{1,4}):(\d{1,2}):(\d{1,2})|(\d{1,6}))", text)
    if not match:
        raise UserError(f"--slurm: time: give minutes or hours:minutes:seconds, got {text!r}")
    days, hours, minutes, seconds, alone = (int(part or 0) for part in match.groups())
    return alone or max(1, (days * 24 + hours) * 60 + minutes + (seconds > 0))
