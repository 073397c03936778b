"""An encoder as one file for other runtimes: ONNX, or PyTorch's own exported program.

The file takes joints as the store of the encoder's training data holds them and returns clip vectors; extent, stream,
packing of persons and pooling are inside. Number of clips and of persons are free, frames and joints are not::

    x (N, C, T, V, M) float32, present (N, M) bool -> features (N, dim) float32
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from ssl_skel.embedding.outputs import ExportFormat, card_beside, check_export
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.files import load_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.files.atomic import replacing, write_json

TOLERANCE = 1e-4
"""Largest difference that is accepted, relative to the largest feature: other kernels round differently."""
_TRIALS = ((1, 1), (3, 2), (4, 3), (7, 1))  # clips, persons


class DenseEncoder(nn.Module):
    """``SkeletonEncoder`` without packing: every person goes through the backbone, absent ones do not count.

    In eval mode no person influences another (the backbones' contract), so the vectors are the same; a graph of
    fixed operations cannot pack.
    """

    def __init__(self, encoder: SkeletonEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        encoder = self.encoder
        persons = encoder.see(x, present).permute(0, 4, 1, 2, 3)
        vectors = encoder.pooling(encoder.backbone(persons.flatten(0, 1))).unflatten(0, (x.shape[0], x.shape[4]))
        there = present[..., None]
        return torch.where(there, vectors, 0.0).sum(1) / there.sum(1).clamp(min=1)


def export_encoder(
    run: Path, to: ExportFormat, out: Path, *, pooling: PoolingConfig | str | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Write an encoder as one file, and its card beside it, after comparing the file's outputs with the encoder's.

    The card appears first, so that a new file always has its card.

    Args:
        run: run directory, or a folder with an encoder.
        to: what to write.
        out: the file; its card goes to the same name with ``.json`` added.
        pooling: how frames and joints become one vector; default: as the encoder's card says.
        overwrite: replace ``out`` and its card.

    Returns:
        file, bytes, dim, and max_error: the largest difference of a feature over batches of several sizes.

    Raises:
        UserError: no encoder, the file or its card exists, a package is missing, or the outputs differ.
    """
    check_export(to, out, overwrite)
    encoder, card = load_encoder(run, pooling)
    encoder.eval().requires_grad_(False)
    program = _program(encoder)
    with replacing(out) as file:
        error = _compare(encoder, _write_onnx(program, file) if to == "onnx" else _write_torch(program, file))
        size = Path(file.name).stat().st_size
        facts = {"pooling": str(encoder.pooling.config), "max_error": error, "card": card.model_dump(mode="json")}
        write_json(card_beside(out), facts)
    return {"file": str(out), "bytes": size, "dim": encoder.dim, "max_error": error}


def _inputs(encoder: SkeletonEncoder, clips: int, persons: int) -> tuple[Tensor, Tensor]:
    """Clips such as a store might hold; of each second clip the last person is absent, unless it is the only one."""
    net, source = encoder.backbone, torch.Generator().manual_seed(clips)
    present = torch.ones(clips, persons, dtype=torch.bool)
    if persons > 1:
        present[1::2, -1] = False
    x = torch.randn(clips, encoder.channels, net.num_frames, net.layout.num_joints, persons, generator=source)
    return x * present[:, None, None, None], present


def _program(encoder: SkeletonEncoder) -> torch.export.ExportedProgram:
    clips, persons = torch.export.Dim("clips", max=1 << 20), torch.export.Dim("persons", max=1 << 10)
    shapes = {"x": {0: clips, 4: persons}, "present": {0: clips, 1: persons}}
    # Two unequal numbers above 1: the tracer merges equal ones, and takes 0 and 1 for constants.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The tensor attribute.*_flat_weights")  # a GRU's own list of its weights
        try:
            return torch.export.export(DenseEncoder(encoder).eval(), _inputs(encoder, 5, 3), dynamic_shapes=shapes)
        except torch._dynamo.exc.UserError as error:
            name = encoder.backbone.config.name
            raise UserError(
                f"export: {name} cannot be exported, as its operations depend on the number of clips; "
                "use another network, or ssl-skel embed"
            ) from error


def _write_torch(program: torch.export.ExportedProgram, file: BinaryIO) -> Any:
    packed = io.BytesIO()  # on a full disk torch would end the whole process
    torch.export.save(program, packed)
    file.write(packed.getbuffer())
    packed.seek(0)
    return torch.export.load(packed).module()


def _write_onnx(program: torch.export.ExportedProgram, file: BinaryIO) -> Any:
    from onnxruntime import InferenceSession

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own insides
        written = torch.onnx.export(
            program, (), input_names=["x", "present"], output_names=["features"], dynamo=True, verbose=False
        )
    assert written is not None
    written.save(file.name, external_data=False)
    session = InferenceSession(file.read(), providers=["CPUExecutionProvider"])

    def answer(x: Tensor, present: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"x": x.numpy(), "present": present.numpy()})[0])

    return answer


def _compare(encoder: SkeletonEncoder, answer: Any) -> float:
    """Largest difference between the file's outputs and the encoder's.

    Raises:
        UserError: it is more than rounding.
    """
    error, scale = 0.0, 0.0
    for clips, persons in _TRIALS:
        x, present = _inputs(encoder, clips, persons)
        want, got = encoder(x, present), answer(x, present)
        error = max(error, float((want - got).abs().max()))
        scale = max(scale, float(want.abs().max()))
    if not error <= TOLERANCE * scale:
        raise UserError(f"export: outputs differ by {error:.2g} (features up to {scale:.2g}); nothing was written")
    return error
