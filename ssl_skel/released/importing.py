"""A release's file becomes a saved encoder."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from ssl_skel.encoders.card import EncoderCard, ReleasedWeights
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.encoders.files import save_encoder
from ssl_skel.encoders.streams import STREAMS
from ssl_skel.errors import UserError
from ssl_skel.files.taken import refuse_taken_folder
from ssl_skel.layouts import SkeletonLayout, load_layout
from ssl_skel.names import unknown
from ssl_skel.released.graph_nets import CTRGCNRelease, InfoGCNRelease, STGCNRelease
from ssl_skel.released.mamp import MAMP, STARS
from ssl_skel.released.reading import read_tensors
from ssl_skel.released.release import Release, Rules, Shape
from ssl_skel.released.slim import SLiMRelease
from ssl_skel.released.sttformer import STTFormerRelease

RELEASES: dict[str, Release] = {
    release.name: release
    for release in (
        MAMP(),
        STARS(),
        STGCNRelease(),
        CTRGCNRelease(),
        InfoGCNRelease(),
        STTFormerRelease(),
        SLiMRelease(),
    )
}
"""Releases by the name of their format."""

_SHOWN = 4


def import_weights(
    format_: str, path: Path, output: Path, *, layout: str = "ntu25", stream: str = "joint", frames: int | None = None
) -> dict[str, Any]:
    """Write a release's weights as an encoder of this package.

    Every tensor of the network is made from the release's, each of which is used once; besides them only heads and
    decoders may remain. Stand-ins for hidden joints, which no release has, are zero.

    Args:
        format_: an entry of ``RELEASES``.
        path: the file.
        output: folder to write.
        layout: joints of the clips that it was trained on.
        stream: the network's input made from them.
        frames: T; default: as the release has it.

    Returns:
        Facts for people and machines.

    Raises:
        UserError: the file or an option does not fit, or the output exists.
    """
    if format_ not in RELEASES:
        raise unknown("format", format_, RELEASES)
    if stream not in STREAMS:
        raise unknown("stream", stream, STREAMS)
    refuse_taken_folder(output, overwrite=False, kind=None)
    release, joints = RELEASES[format_], load_layout(layout)
    tensors = _named(read_tensors(path), release, stream, path)
    shape = _shape(release, tensors, joints, path)
    length = frames or shape.frames or release.frames
    encoder = _fill(release, tensors, shape, joints, length, stream, path)
    remark = f"its first norm distinguishes {shape.persons} persons, the first one's part is kept" * (shape.persons > 1)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    origin = ReleasedWeights(
        format=format_,
        repository=release.repository,
        file=path.name,
        sha256=digest,
        remark=remark,
    )
    normalization = release.normalization if joints.name == "ntu25" else None
    save_encoder(output, encoder, EncoderCard.of(encoder, normalization=normalization, released=origin))
    count = sum(weight.numel() for weight in encoder.parameters())
    facts = {"encoder": str(output), "network": shape.config.name, "parameters": count, "frames": length}
    return facts | {"layout": joints.name, "stream": stream} | origin.model_dump()


def _named(tensors: dict[str, Tensor], release: Release, stream: str, path: Path) -> dict[str, Tensor]:
    """Tensors of the encoder, under the names that they have within it."""
    prefixes = release.prefixes.get(stream) or release.prefixes.get("") or ("",)
    for prefix in prefixes:
        if prefix + release.probe in tensors:
            return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    names = ", ".join(sorted(tensors)[:_SHOWN])
    raise UserError(f"{path}: is not of the format {release.name}, it has no {release.probe!r} but {names}, ...")


def _shape(release: Release, tensors: dict[str, Tensor], joints: SkeletonLayout, path: Path) -> Shape:
    try:
        shape = release.shape(tensors, joints.num_joints)
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError) as error:
        reason = f"it has no {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
        if isinstance(error, ValidationError):
            reason = error.errors()[0]["msg"]
        raise UserError(f"{path}: is not of the format {release.name}: {reason}") from error
    if shape.channels < 1:
        raise UserError(f"{path}: is not of the format {release.name}: its joints have no coordinates")
    if shape.joints not in (None, joints.num_joints):
        count = f"{shape.joints} joints, the layout {joints.name} {joints.num_joints}"
        raise UserError(f"{path}: has {count}; give --layout")
    return shape


def _fill(
    release: Release,
    tensors: dict[str, Tensor],
    shape: Shape,
    joints: SkeletonLayout,
    length: int,
    stream: str,
    path: Path,
) -> SkeletonEncoder:
    """The encoder with the weights; built in full only when all of them fit."""

    def build() -> SkeletonEncoder:
        return build_encoder(shape.config, joints, channels=shape.channels, num_frames=length, stream=stream)

    with torch.device("meta"):
        outline = build()
    if length % outline.backbone.t_stride:
        raise UserError(f"--frames: {length}; the network needs a multiple of {outline.backbone.t_stride}")
    expected = outline.backbone.state_dict()
    made = _make(release, release.rules(outline.backbone), tensors, expected, path)
    encoder = build()
    encoder.backbone.load_state_dict(made)
    if misfit := release.misfit(encoder.backbone, tensors):
        raise UserError(f"{path}: {misfit}; give --layout")
    return encoder.eval()


def _make(
    release: Release, rules: Rules, tensors: dict[str, Tensor], expected: dict[str, Tensor], path: Path
) -> dict[str, Tensor]:
    """Each of our tensors by its rule.

    Raises:
        UserError: with the names of those that are missing, of another shape, or of no use.
    """
    made: dict[str, Tensor] = {}
    used = {name for rule in rules.values() for name in rule.names}
    missing = sorted(used - tensors.keys())
    spare = sorted(name for name in tensors.keys() - used if not re.match(release.left_out, name))
    odd = []
    for ours, target in expected.items():
        if ours not in rules:
            made[ours] = torch.zeros(target.shape)
        elif not set(rules[ours].names) & set(missing):
            rule = rules[ours]
            try:
                made[ours] = rule.make(*(tensors[name] for name in rule.names)).to(target.dtype).contiguous()
            except (RuntimeError, IndexError):
                odd.append(rule.names[0])
                continue
            if made[ours].shape != target.shape:
                odd.append(rule.names[0])
    faults = {"missing": missing, "of another shape": odd, "of no use": spare}
    wrong = [f"{len(names)} {what} ({_some(names)})" for what, names in faults.items() if names]
    if wrong:
        raise UserError(f"{path}: tensors do not fit the format {release.name}: {', '.join(wrong)}")
    return made


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
