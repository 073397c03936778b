"""A clip as a masked autoencoder saw it, and its predictions for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import load_model
from torch import Tensor

from ssl_skel.config import parse_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.embedding.features import whole_clips
from ssl_skel.encoders.card import load_card
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts import PRETEXTS, build_pretext
from ssl_skel.pretexts.base import Pretext
from ssl_skel.pretexts.combined import Combined
from ssl_skel.pretexts.skeleton_mae import SkeletonMAE, face_camera
from ssl_skel.training.checkpoint_folder import newest_checkpoint
from ssl_skel.view.clips import find_row, rate_of, shown
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.pages import Reconstruction, reconstruction_page
from ssl_skel.view.runs import open_run, split_of, store_of_run


def page_of_reconstructions(
    path: Path, store: Path | None = None, names: Sequence[str] = (), count: int = 6, fps: float | None = None
) -> str:
    """Page of clips as recorded, as masked, and as predicted by a run's newest checkpoint.

    Args:
        path: run directory.
        store: present path of its recordings; default: the one in its encoder's card.
        names: only these clips; default: some that it was not trained on, where there are any.
        count: how many are chosen.
        fps: frames a second of the recordings; default: see ``shown``.

    Raises:
        UserError: no such run or clip, or a pretext whose predictions cannot be drawn.
    """
    mae = load_autoencoder(path)
    card = load_card(path)
    opened = store_of_run(path, Embedder.of(mae.encoder, card), store)
    if names:
        rows = np.array([find_row(opened, name) for name in names])
    else:
        split = load_split(opened, split_of(card))
        rows = split.test if split.test.size else split.train
        rows = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
    unit = _unit(opened, mae.encoder)
    return reconstruction_page(path.resolve().name, reconstruct(mae, opened, rows, unit, fps), _told(mae))


def load_autoencoder(path: Path) -> SkeletonMAE:
    """The ``SkeletonMAE`` of a run, alone or in a combination, with the weights of the newest checkpoint.

    Raises:
        UserError: the run has another pretext, one that cannot be drawn, or no whole checkpoint.
    """
    run = open_run(path)
    encoder, _ = load_encoder(path)
    options, source = run.config["pretext"], f"{path / 'config.yaml'}: pretext"
    name = options.get("name")
    config = parse_config(PRETEXTS.config(name, f"{source}.name"), options, source, written=True)
    task = build_pretext(config, encoder)
    tasks: list[Pretext] = task.tasks if isinstance(task, Combined) else [task]
    mae = next((part for part in tasks if isinstance(part, SkeletonMAE)), None)
    if mae is None:
        raise UserError(f"{path}: its pretext, {name}, predicts no coordinates; give a run of skeleton_mae")
    if mae.config.target != "coordinate" or encoder.stream not in ("joint", "pose", "bone"):
        what = "changes between frames" if mae.config.target == "motion" else f"the stream {encoder.stream}"
        raise UserError(f"{path}: predicts {what}, which cannot be drawn as joints; give a run that predicts positions")
    checkpoint = newest_checkpoint(run.checkpoints)
    if checkpoint is None:
        raise UserError(f"{path}: has no checkpoint, and the encoder alone predicts nothing; train it again")
    file = checkpoint / "ema.safetensors"
    file = file if file.is_file() else checkpoint / "model.safetensors"
    try:
        missing, left = load_model(task, file, strict=False)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file}: damaged or of another network ({reason}); remove that folder") from error
    if wrong := sorted(set(missing) | (set(left) - set(task.state_dict()))):  # parts of a combination share tensors
        raise UserError(f"{file}: is of another network, first {wrong[0]!r}; give the run it belongs to")
    return mae.eval()


@torch.inference_mode()
def reconstruct(
    mae: SkeletonMAE, store: Store, rows: np.ndarray, unit: str = "cm", fps: float | None = None
) -> list[Reconstruction]:
    """Hide parts of whole clips, as training does, and predict them.

    Where the loss looked at hidden units only, what was seen is shown as it was; in the pose stream it moves with
    the body's centre where that is predicted. A prediction of normalised units is given the mean and the deviation
    of the true ones, as MAE's authors show theirs.

    Args:
        mae: in eval mode.
        store: holds the clips.
        rows: of the store.
        unit: name of a hundredth of what the encoder sees as 1.
        fps: frames a second of the recordings; default: see ``shown``.
    """
    encoder, layout = mae.encoder, mae.layout
    (batch,) = whole_clips(store, rows, num_frames=encoder.backbone.num_frames, batch_size=len(rows)).epoch()
    (view,) = mae.views(batch)
    assert view.mask is not None
    joints = batch.x[:, 0]
    if mae.config.target_frame == "body":
        joints = face_camera(joints, layout)
    truth = encoder.pack(joints, batch.present)
    predicted = _streams(mae, mae.predict(view.x, view.mask), truth)
    hidden = view.mask.repeat_interleave(mae.config.unit, 1)  # (B, T, V)
    if mae.config.loss_on == "hidden":
        predicted = torch.where(hidden[:, None], predicted, truth)
    real = encoder.place(joints, batch.present).permute(0, 4, 1, 2, 3)[batch.present]  # (B, C, T, V)
    root = real[:, :, :, layout.root] if encoder.stream == "bone" else None
    guess = _to_joints(predicted, encoder.stream, layout, root)
    person = batch.present.nonzero()[:, 0]
    found = []
    for at, row in enumerate(rows):
        mine = person == at
        off = 100 * (guess - real).norm(dim=1)[mine][hidden[mine]].mean()
        found.append(_trio(store, int(row), real[mine], hidden[mine], guess[mine], f"{off:.1f} {unit}", fps))
    return found


def _unit(store: Store, encoder: SkeletonEncoder) -> str:
    """Name of a hundredth of what an encoder sees as 1."""
    if encoder.extent != "none":
        return f"hundredths of {'the longest edge' if encoder.extent == 'box' else 'half an edge'} of the clip's box"
    metres = store.normalization is not None and store.normalization.units == "metres"
    return "cm" if metres else "hundredths of a mean bone length"


def _trio(
    store: Store, row: int, real: Tensor, hidden: Tensor, guess: Tensor, error: str, fps: float | None
) -> Reconstruction:
    """Three players of one clip, from (M, C, T, V) tensors."""
    known = shown(store, row)
    rate = (fps or rate_of(store, row)) * real.shape[2] / float(store.frames[row])
    masked = real.masked_fill(hidden[:, None], torch.nan)

    def clip(joints: Tensor, **facts: str) -> RenderableClip:
        return RenderableClip(known.name, joints.permute(0, 2, 3, 1).numpy(), store.layout, facts, rate)

    share = f"{100 * hidden.float().mean():.0f} % of joints and moments"
    return Reconstruction(
        original=clip(real, **known.facts),
        masked=clip(masked, hidden=share),
        predicted=clip(guess, **{"mean error where hidden": error}),
    )


def _streams(mae: SkeletonMAE, units: Tensor, truth: Tensor) -> Tensor:
    """Predicted units (B, U, V, u * C) -> stream (B, C, T, V)."""
    if mae.config.normalize:
        own = truth.unflatten(2, (-1, mae.config.unit)).permute(0, 2, 4, 3, 1).flatten(3)
        units = units * (own.var(-1, keepdim=True) + mae.config.normalize_eps).sqrt() + own.mean(-1, keepdim=True)
    return units.unflatten(3, (mae.config.unit, -1)).permute(0, 4, 1, 3, 2).flatten(2, 3)


def _to_joints(x: Tensor, stream: str, layout: SkeletonLayout, root: Tensor | None) -> Tensor:
    """Stream (B, C, T, V) -> joints, the same shape; bones have no place and get their root's, (B, C, T)."""
    if stream == "joint":
        return x
    if stream == "pose":
        keeps = torch.zeros(layout.num_joints, dtype=torch.bool)
        keeps[layout.centre] = True
        return torch.where(keeps, x, x + x[:, :, :, layout.centre : layout.centre + 1])
    assert root is not None
    joints = {layout.root: root}

    def place(joint: int) -> Tensor:
        if joint not in joints:
            joints[joint] = place(layout.parents[joint]) + x[:, :, :, joint]
        return joints[joint]

    return torch.stack([place(joint) for joint in range(layout.num_joints)], -1)


def _told(mae: SkeletonMAE) -> str:
    """What the page shows, in words."""
    notes = []
    if mae.config.target_frame == "body":
        notes.append("All three are turned so that the first person faces you as the clip begins.")
    if mae.config.loss_on == "hidden":
        notes.append("Where nothing was hidden, the third shows what was recorded.")
    else:
        notes.append("The third is predicted throughout, also where nothing was hidden.")
    if mae.config.normalize:
        notes.append("It predicts shapes of paths only; their places and sizes are taken from the recording.")
    if mae.encoder.stream == "bone":
        notes.append("It predicts bones; the path of the body's root is taken from the recording.")
    return " ".join(notes)
