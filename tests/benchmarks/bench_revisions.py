"""CPU time of training steps in this tree beside that in an earlier revision, one step of each in turn, one thread.

``make bench`` compares with ``REVISION``, ``make bench REV=v0.1`` with another. The revision is checked out into a
temporary worktree, and this file runs in both trees as a process that does one step for each line it reads.
CPU time, because other work on the machine does not count in it.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
REVISION = os.environ.get("REV") or "cf3e044"  # the last one before 0.2
ROUNDS, FRAMES = 7, 64
MAE = {"name": "skeleton_mae"}
# (size of MPAE-Net, clips, persons in each, pretext or none); the pretexts' yardstick is the step named bare
STEPS: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "base, 8 clips of two persons": ("base", 8, 2, {}),
    "small, 32 clips": ("small", 32, 1, {}),
    "bare": ("base", 8, 1, {}),
    "skeleton_mae": ("base", 8, 1, MAE),
    "skeleton_mae, encode: visible": ("base", 8, 1, MAE | {"encode": "visible", "decoder_input": "visible"}),
    "psp": ("base", 8, 1, {"name": "psp"}),
}


def find(name: str, *modules: str) -> Any:
    """What has moved between revisions: from the first of the modules that has it."""
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"{name} is in none of {modules}")


def step_of(size: str, clips: int, persons: int, pretext: dict[str, Any]) -> Callable[[], None]:
    """A training step on random paths: forward, backward, AdamW."""
    import torch

    from ssl_skel.backbones.mpae_net import MPAENet
    from ssl_skel.batch import Batch, Rng
    from ssl_skel.config import parse_config
    from ssl_skel.pretexts import PRETEXTS, build_pretext

    build_encoder = find("build_encoder", "ssl_skel.encoders.encoder", "ssl_skel.backbones")
    layout = find("LAYOUTS", "ssl_skel.layouts", "ssl_skel.layout")["ntu25"]
    torch.manual_seed(0)
    config = MPAENet.Config.model_validate({"size": size})
    net = build_encoder(config, layout, channels=3, num_frames=FRAMES, stream="joint")
    task = build_pretext(parse_config(PRETEXTS[pretext["name"]].Config, pretext, "bench"), net) if pretext else None
    trained = net if task is None else task
    optimizer = torch.optim.AdamW(trained.parameters())
    views = 1 if task is None else task.num_views
    x, index = torch.randn(clips, views, 3, FRAMES, 25, persons).cumsum(3) * 0.05, torch.arange(clips)
    present = torch.ones(clips, persons, dtype=torch.bool)

    def step() -> None:
        if task is None:
            net.forward_features(x[:, 0], present).square().mean().backward()
        else:
            task(Batch(x, present, index, index, Rng((0,), clips)))["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def serve() -> None:
    """For each name read, seconds of one step of it; null where this tree has no such step."""
    ready: dict[str, Callable[[], None] | None] = {}
    for line in sys.stdin:
        name = line.rstrip("\n")
        if name not in ready:
            try:
                ready[name] = step_of(*STEPS[name])
            except Exception as error:  # an option that an earlier revision lacks
                print(f"{Path.cwd()}: {name}: {error}", file=sys.stderr)
                ready[name] = None
        step, start = ready[name], time.process_time()
        if step is not None:
            step()
        print(json.dumps(step and time.process_time() - start), flush=True)


@contextmanager
def worktree(revision: str, folder: Path) -> Iterator[Path]:
    """A checkout of the revision in the folder, gone afterwards."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--detach", "--quiet", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


@contextmanager
def worker(tree: Path) -> Iterator[Callable[[str], float | None]]:
    """A process that computes with the code of a tree; the function asks it for a step."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, __file__], cwd=tree, env=environment, **pipes) as process:

        def ask(name: str) -> float | None:
            assert process.stdin is not None
            assert process.stdout is not None
            print(name, file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        try:
            yield ask
        finally:
            process.kill()


def compare(folder: Path) -> dict[str, tuple[float | None, float | None]]:
    """Median seconds of each step, in the earlier revision and here."""
    with worktree(REVISION, folder / "earlier") as tree, worker(tree) as earlier, worker(ROOT) as now:
        found: dict[str, list[tuple[float | None, float | None]]] = {name: [] for name in STEPS}
        for _ in range(ROUNDS + 1):
            for name, pairs in found.items():
                pairs.append((earlier(name), now(name)))

    return {name: tuple(map(median, zip(*pairs, strict=True))) for name, pairs in found.items()}


def median(seconds: tuple[float | None, ...]) -> float | None:
    """Of all but the first, which warms up; None where a tree has no such step."""
    return None if seconds[0] is None else statistics.median(seconds[1:])


def test_steps_beside_an_earlier_revision(benchmark, tmp_path):
    seconds = benchmark.pedantic(compare, (tmp_path,), rounds=1)
    bare_then, bare_now = seconds["bare"]
    rows = [["CPU seconds of a step", REVISION, "now", "times as fast", "of the bare step", "of the bare step then"]]
    for name, (then, now) in seconds.items():
        figures = [then, now, then and then / now, now / bare_now, now / bare_then]
        rows.append([name, *("-" if figure is None else f"{figure:.3f}" for figure in figures)])
    print("\n" + "\n".join(f"{row[0]:32}" + "".join(f"{cell:>23}" for cell in row[1:]) for row in rows))
    benchmark.extra_info.update(revision=REVISION, seconds=seconds)


if __name__ == "__main__":
    serve()
