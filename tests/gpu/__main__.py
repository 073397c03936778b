"""``python tests/gpu``: what only a GPU can show, in at most ten minutes, written to ``results/gpu_NAME.json``.

Please run it once on a machine with a GPU (``make gpu``) and send the file back. It needs no data.

- steps: every pretext on MPAE-Net and st_transformer, float32, bfloat16 and compiled: clips a second and peak memory,
  beside MAMP's own step in the same run;
- equal: loss and gradient of one batch, the CPU's against the device's;
- loader: clips a second with the store on the device and without;
- resume: a training that is stopped and continued against an unbroken one;
- side by side: two trainings on one device at once.

A part that fails is recorded with its error, and the others go on.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ssl_skel
from ssl_skel.batch import Batch

import torch  # isort: skip

import numpy as np
from safetensors.torch import load_file

from ssl_skel.backbones import BACKBONES
from ssl_skel.config import parse_config, read_mapping
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.store import Store
from ssl_skel.data.synthetic import SyntheticConfig, write_synthetic
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.pretexts import PRETEXTS, build_pretext
from ssl_skel.task import Task

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 64
MODES = {"fp32": (None, False), "bf16": (torch.bfloat16, False), "bf16 compiled": (torch.bfloat16, True)}
MAMP: dict[str, Any] = read_mapping("st_transformer_mamp_ntu60")["pretext"]
PARTS = [{"pretext": {"name": name}} for name in ("skeleton_mae", "psp")]


class Check:
    """One run of the script.

    Attributes:
        device: where it computes.
        minutes: no further step is measured after so long.
        store: built-in motions.
        small: tiny networks and few clips, to try the script itself on a CPU.
    """

    def __init__(self, device: torch.device, minutes: float, store: Store, small: bool) -> None:
        self.device, self.store, self.small = device, store, small
        self.minutes = minutes
        self.clips, self.rounds = (8, 1) if small else (64, 10)

    def task(self, pretext: dict[str, Any], backbone: str, size: str = "") -> Task:
        """A pretext on a fresh network, always the same."""
        torch.manual_seed(0)
        net = parse_config(BACKBONES[backbone].Config, {"name": backbone, "size": size or self.size}, "gpu")
        encoder = build_encoder(net, self.store.layout, channels=3, num_frames=FRAMES, stream="joint")
        return build_pretext(parse_config(PRETEXTS[pretext["name"]].Config, pretext, "gpu"), encoder)

    @property
    def size(self) -> str:
        """Of the networks."""
        return "tiny" if self.small else "base"

    def loader(self, device: Any, views: int = 1, **options: Any) -> ClipLoader:
        """Batches of the store."""
        rows = np.resize(np.arange(len(self.store)), 4 * self.clips)
        options = {"num_frames": FRAMES, "batch_size": self.clips, "crop": (0.5, 1.0), "num_views": views} | options
        return ClipLoader(self.store, rows, device=device, **options)

    def batch(self, task: Task, device: Any) -> Batch:
        """The first batch for a task."""
        return next(iter(self.loader(device, task.num_views).epoch()))

    def wait(self) -> None:
        """Until the device has done all that was queued."""
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)

    def steps(self) -> Iterator[dict[str, Any]]:
        """Speed and memory of training steps, MAMP's own first and as the yardstick of all others."""
        jobs = [("mamp", MAMP, "st_transformer")]
        for name in PRETEXTS:
            options = {"name": name, "parts": PARTS} if name == "combined" else {"name": name}
            jobs += [(name, options, backbone) for backbone in ("mpae_net", "st_transformer")]
        yardstick, deadline = None, time.monotonic() + 60 * self.minutes
        for mode, (dtype, compiled) in MODES.items():
            for name, options, backbone in jobs:
                if (name, backbone) == ("slim", "st_transformer"):
                    continue  # refused: it has no features of what is hidden
                row = {"pretext": name, "backbone": backbone, "size": self.size, "mode": mode, "clips": self.clips}
                if time.monotonic() > deadline:
                    yield row | {"left out": "no time"}
                    continue
                try:
                    row |= self._speed(self.task(options, backbone), dtype, compiled)
                except Exception as error:  # recorded; the rest goes on
                    yield row | {"error": repr(error)[:500]}
                    continue
                yardstick = yardstick or row["clips_per_second"]
                yield row | {"of MAMP's fp32 step": round(row["clips_per_second"] / yardstick, 2)}

    def _speed(self, task: Task, dtype: torch.dtype | None, compiled: bool) -> dict[str, Any]:
        task.to(self.device)
        batch = self.batch(task, self.device)
        optimizer = torch.optim.AdamW(task.parameters(), 1e-4)
        if compiled:
            task.compile()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

        def step() -> None:
            with torch.autocast(self.device.type, dtype or torch.bfloat16, enabled=dtype is not None):
                loss = task(batch)["loss"]
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        start = time.perf_counter()
        for _ in range(2):
            step()
        self.wait()
        first, seconds = time.perf_counter() - start, []
        for _ in range(self.rounds):
            start = time.perf_counter()
            step()
            self.wait()
            seconds.append(time.perf_counter() - start)
        facts = {"clips_per_second": round(self.clips / float(np.median(seconds)), 1), "first_two_s": round(first, 2)}
        if self.device.type == "cuda":
            facts["peak_mb"] = round(torch.cuda.max_memory_allocated(self.device) / 2**20)
        return facts

    def equal(self) -> dict[str, Any]:
        """Largest relative difference of loss and gradient norm of one batch, the CPU's against the device's."""
        torch.backends.cudnn.allow_tf32 = False  # float32 itself is compared
        found = {}
        for name in PRETEXTS:
            options = {"name": name, "parts": PARTS} if name == "combined" else {"name": name}
            for backbone in BACKBONES if name == "skeleton_mae" else ["mpae_net"]:
                task = self.task(options, backbone, "tiny")
                values = []
                for device in (torch.device("cpu"), self.device):
                    own = copy.deepcopy(task).to(device)
                    loss = own(self._moved(self.batch(own, "cpu"), device))["loss"]
                    loss.backward()
                    grads = [p.grad for p in own.parameters() if p.grad is not None]
                    values.append(
                        (loss.item(), float(torch.linalg.vector_norm(torch.stack([g.norm() for g in grads]))))
                    )
                (loss, norm), (loss_there, norm_there) = values
                found[f"{name}, {backbone}"] = {
                    "loss": abs(loss_there - loss) / max(abs(loss), 1e-9),
                    "gradient norm": abs(norm_there - norm) / max(norm, 1e-9),
                }
        torch.backends.cudnn.allow_tf32 = True
        largest = max(value for pair in found.values() for value in pair.values())
        return {"largest": largest, "within 1e-3": largest < 1e-3, "each": found}

    def _moved(self, batch: Batch, device: torch.device) -> Batch:
        """The CPU's batch and random numbers on the device: a device draws other numbers from a seed."""

        class Numbers(type(batch.rng)):  # type: ignore[misc]
            def _mine(self, draw: torch.Tensor) -> torch.Tensor:
                return super()._mine(draw).to(device)

        rng = object.__new__(Numbers)
        rng.__dict__.update(batch.rng.__dict__)
        x, present, label, index = (part.to(device) for part in (batch.x, batch.present, batch.label, batch.index))
        return Batch(x, present, label, index, rng)

    def loaders(self) -> dict[str, float]:
        """Clips a second of batches alone."""
        found = {}
        for resident in ("always", "never"):
            loader = self.loader(self.device, resident=resident)
            list(loader.epoch())
            start = time.perf_counter()
            count = sum(len(batch.index) for epoch in range(1, 4) for batch in loader.epoch(epoch))
            self.wait()
            found[f"resident {resident}"] = round(count / (time.perf_counter() - start))
        return found

    def resume(self, folder: Path) -> dict[str, Any]:
        """A training in one piece against one that was stopped at half of its time."""
        whole = self._train(folder, "whole", epochs=4)
        stopped = self._start(folder, "broken", epochs=4)
        while stopped.poll() is None and not (folder / "broken" / "log.jsonl").exists():
            time.sleep(0.05)
        stopped.terminate()
        stopped.communicate()
        broken = self._train(folder, "broken", epochs=4)
        differences = [abs(whole[name] - broken[name]).max().item() for name in whole]
        return {"largest difference of a weight": max(differences), "exit code when stopped": stopped.returncode}

    def _train(self, folder: Path, name: str, epochs: int) -> dict[str, torch.Tensor]:
        process = self._start(folder, name, epochs)
        text = process.communicate()[1]
        if process.returncode:
            raise RuntimeError(text.strip()[-500:])
        weights = load_file(folder / name / "encoder" / "encoder.safetensors")
        return {key: value.float() for key, value in weights.items()}

    def _start(self, folder: Path, name: str, epochs: int) -> subprocess.Popen[str]:
        config = {
            "name": name,
            "runs": str(folder),
            "data": {"store": str(self.store.path), "num_frames": FRAMES},
            "backbone": {"name": "mpae_net", "size": "tiny", "norm": "layer"},
            "pretext": {"name": "psp"},
            "train": {"epochs": epochs, "batch_size": 32, "eval_every": 0, "progress": False},
        }
        config["train"]["device"] = "cpu" if self.device.type == "cpu" else "auto"
        (folder / f"{name}.yaml").write_text(json.dumps(config), "utf-8")
        command = [sys.executable, "-m", "pretrain", str(folder / f"{name}.yaml"), "resume=auto"]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def side_by_side(self, folder: Path) -> dict[str, Any]:
        """Two trainings at once: each one's clips a second in its last epoch, beside one alone."""
        found = {}
        for label, names in (("alone", ["one"]), ("two at once", ["two", "three"])):
            running = [self._start(folder, name, epochs=6) for name in names]
            errors = [process.communicate()[1] for process in running]
            if any(process.returncode for process in running):
                raise RuntimeError(" ".join(errors)[-500:])
            logs = [(folder / name / "log.jsonl").read_text("utf-8").splitlines() for name in names]
            found[label] = [json.loads(log[-1])["clips_per_second"] for log in logs]
        return found


@contextmanager
def motions(small: bool) -> Iterator[tuple[Path, Store]]:
    """A folder that goes away, and a store of built-in motions in it."""
    with TemporaryDirectory() as name:
        size = {"subjects": 2, "cameras": 2, "repetitions": 1} if small else {}
        write_synthetic(Path(name) / "store", parse_config(SyntheticConfig, size, "gpu"))
        yield Path(name), Store.open(Path(name) / "store")


def machine(device: torch.device) -> dict[str, Any]:
    """What was measured on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    versions = {"ssl-skel": ssl_skel.__version__, "torch": torch.__version__, "cuda": torch.version.cuda}
    return {"device": name, "cores": os.cpu_count(), "python": platform.python_version(), **versions}


def main() -> int:
    """Exit code: 1 where a part failed."""
    parser = argparse.ArgumentParser(prog="python tests/gpu", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=6.0, help="for the steps; the other parts take about two")
    parser.add_argument("--small", action="store_true", help="tiny networks, to try the script itself")
    parser.add_argument("--output", "-o", type=Path, help="default: results/gpu_DEVICE.json")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("error: --device: no GPU here; give --device cpu --small to try the script", file=sys.stderr)
        return 2
    found: dict[str, Any] = {"command": " ".join(["python tests/gpu", *sys.argv[1:]]), "machine": machine(device)}
    failed = False
    with motions(options.small) as (folder, store):
        check = Check(device, options.minutes, store, options.small)
        parts: dict[str, Callable[[], Any]] = {
            "equal": check.equal,
            "loader": check.loaders,
            "resume": lambda: check.resume(folder),
            "side by side": lambda: check.side_by_side(folder),
            "steps": lambda: list(check.steps()),
        }
        for name, part in parts.items():
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                found[name] = part()
            except Exception:  # recorded; the rest goes on
                found[name], failed = {"error": traceback.format_exc()[-2000:]}, True
    failed = failed or any("error" in row for row in found["steps"])
    kind = "".join(letter if letter.isalnum() else "_" for letter in found["machine"]["device"].lower())
    output = options.output or ROOT / "results" / f"gpu_{kind}.json"
    output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(f"written: {output}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
