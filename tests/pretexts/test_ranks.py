"""Pretexts that compare clips compare those of all ranks: two real ones give what one process gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from batches import LAYOUT, batch_for, change

from ssl_skel.backbones import BACKBONES
from ssl_skel.config import parse_config
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.pretexts import PRETEXTS, build_pretext

NET = {"name": "mpae_net", "channels": [16, 16], "strides": [2, 2], "norm": "layer"}
PSP = {"name": "psp", "projection": 8, "norm": "layer"}
CASES: dict[str, dict[str, Any]] = {
    "psp": PSP,
    "psp_queue": PSP | {"momentum": 0.9, "queue": 6},
    "psp_neighbours": PSP | {"neighbours": {"size": 4}},
    "psp_near_poses": PSP | {"neighbours": {"size": 4, "near": "poses"}},
    "vicreg": {"name": "vicreg", "expander": 8},
    "s_jepa": {"name": "s_jepa", "predictor_dim": 8},
    "slim": {"name": "slim", "prototypes": 8, "head_hidden": 8, "head_bottleneck": 4, "masked": 1.0},
    "gfp": {"name": "gfp", "target_dim": 4, "target_hidden": 8, "global_hidden": 8, "decoder_dim": 8},
}
RANKS = """
import sys, torch, torch.distributed as dist
sys.path.insert(0, sys.argv[1])
from test_ranks import CASES, steps_of
dist.init_process_group("gloo")
rank = dist.get_rank()
for name, options in CASES.items():
    saved = steps_of(slice(2 * rank, 2 * rank + 2), options)
    if rank == 0:
        torch.save(saved, f"{sys.argv[2]}/{name}.pt")
dist.barrier()
dist.destroy_process_group()
"""


def steps_of(rows: slice, options: dict[str, Any]) -> dict[str, Any]:
    """Mean scalars of all ranks and gradients of the second of two batches, and the buffers after both.

    In training, BatchNorm of several CPU processes is of each one's clips: here its statistics are fixed.
    """
    torch.manual_seed(0)
    net = parse_config(BACKBONES["mpae_net"].Config, NET, "test")
    encoder = build_encoder(net, LAYOUT, channels=3, num_frames=16, stream="joint")
    task = build_pretext(parse_config(PRETEXTS[options["name"]].Config, options, "test"), encoder)
    for module in task.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eval()
    for step in range(2):
        batch = batch_for(task, rows=rows)
        scalars = task(change(batch, index=batch.index + 10 * step))
    scalars["loss"].backward()
    gradients = {name: value.grad for name, value in task.named_parameters() if value.grad is not None}
    if torch.distributed.is_initialized():
        for value in [*gradients.values(), *(value.detach() for value in scalars.values())]:
            torch.distributed.all_reduce(value)
            value /= torch.distributed.get_world_size()
    buffers = {name: value for name, value in task.named_buffers() if value.is_floating_point() or "rows" in name}
    return {"scalars": {k: v.detach() for k, v in scalars.items()}, "gradients": gradients, "buffers": buffers}


def test_two_ranks_compare_all_clips(tmp_path: Path) -> None:
    """Losses, gradients, queue and neighbours of two gloo ranks are those of one process with the whole batch."""
    script = tmp_path / "ranks.py"
    script.write_text(RANKS, "utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(script), str(Path(__file__).parent), str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name, options in CASES.items():
        theirs = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        torch.testing.assert_close(theirs, steps_of(slice(0, 4), options), rtol=1e-4, atol=1e-6)
