"""Device, precision, threads and process group of a training, as the config and the launcher (``torchrun``) say."""

from __future__ import annotations

import atexit
import os
import time
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs
from torch.distributed import DistNetworkError, TCPStore  # type: ignore[attr-defined]

from ssl_skel.errors import UserError
from ssl_skel.escaping import say
from ssl_skel.training.config import TrainConfig

_WAIT = timedelta(minutes=30)  # other ranks wait while rank 0 evaluates
_PORT = "ssl_skel/port"


def make_accelerator(train: TrainConfig) -> Accelerator:
    """Device, precision and process group, as the config and the launcher (``torchrun``) say.

    Raises:
        UserError: the machine has no such device or precision.
    """
    cpu = train.device == "cpu" or (train.device == "auto" and not torch.accelerator.is_available())
    if train.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: no CUDA device here; use cpu or auto")
    if cpu and train.precision == "fp16":
        raise UserError("precision: fp16 needs a GPU; use bf16 or no")
    if cpu and "OMP_NUM_THREADS" not in os.environ:
        _keep_to_share()
    if "LOCAL_RANK" in os.environ:  # else accelerate picks a number of threads, with a warning
        os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
    AcceleratorState._reset_state(reset_partial_state=True)  # an earlier run in this process chose for itself
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True" and not dist.is_initialized():
        dist.init_process_group("gloo" if cpu else None, timeout=_WAIT, **_own_store())
    try:
        accelerator = Accelerator(
            cpu=cpu,
            mixed_precision=train.precision,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=_WAIT)],
        )
    except ValueError as error:
        raise UserError(f"precision: {train.precision} is not possible here ({error}); use no") from error
    if accelerator.num_processes > 1 and cpu:
        atexit.register(_leave_group)
    if accelerator.num_processes != int(os.environ.get("WORLD_SIZE", "1")):
        raise UserError(f"device: {accelerator.device.type} cannot be shared by several processes; use cpu")
    return accelerator


def _keep_to_share() -> None:
    """Compute with no more threads than a container's share of the processor; torch looks at the machine's alone."""
    import joblib  # slow to import

    share, threads = joblib.cpu_count(), torch.get_num_threads()
    if share < threads:
        torch.set_num_threads(share)
        say(f"{share} threads: the share of this process in {threads} cores; OMP_NUM_THREADS changes it", error=True)


def _own_store() -> dict[str, Any]:
    """For ``init_process_group``: a store that no earlier attempt wrote to. Rank 0 serves it.

    The launcher's own store outlives a restart (seen in torch 2.15): in it new processes may find the addresses of dead
    ones, and wait for them. So it holds the port of rank 0's alone, and a port that no longer answers is read again.
    """
    rank, host = int(os.environ["RANK"]), os.environ["MASTER_ADDR"]
    launcher = TCPStore(host, int(os.environ["MASTER_PORT"]), is_master=False, timeout=_WAIT)
    if rank == 0:
        store = TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=_WAIT)
        launcher.set(_PORT, str(store.port))
    else:
        store = _first_that_answers(launcher, host)
    return {"store": store, "rank": rank, "world_size": int(os.environ["WORLD_SIZE"])}


def _first_that_answers(launcher: TCPStore, host: str) -> TCPStore:
    end = time.monotonic() + _WAIT.total_seconds()
    while True:
        try:
            store = TCPStore(host, int(launcher.get(_PORT)), is_master=False, timeout=timedelta(seconds=3))
        except DistNetworkError:
            if time.monotonic() > end:
                raise
        else:
            store.set_timeout(_WAIT)
            return store


def _leave_group() -> None:
    """Gloo's threads, left to Python's shutdown, abort the process now and then (pytorch/pytorch#190489)."""
    if dist.is_initialized():
        dist.destroy_process_group()
