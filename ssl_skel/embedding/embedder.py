"""``Embedder``: where an encoder meets clips. All code that needs vectors of clips uses it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ssl_skel.data.conversion import Conversion
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.normalize import NormalizeConfig, require_normalization
from ssl_skel.data.sources.recordings import read_recordings, store_of
from ssl_skel.data.store import Store
from ssl_skel.embedding.arrays import store_of_arrays
from ssl_skel.embedding.features import extract_features, find_device, whole_clips
from ssl_skel.embedding.spans import cut
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.files import load_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout

Source = Store | Path | str | Sequence[np.ndarray] | np.ndarray
"""A store, its path, a raw file, a folder of raw files, or arrays (T, V, C) or (M, T, V, C)."""

Precision = Literal["no", "bf16", "fp16"]
_AUTOCAST = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Embedder:
    """A pretrained encoder that turns clips into vectors.

    ::

        embedder = Embedder("runs/mine")
        vectors = embedder.encode("stores/mine")  # or "recordings/take_1.bvh", or [joints, more_joints]

    Clips are normalised as the encoder's training clips were, or refused if they were normalised differently. Each is
    taken whole, and resampled to the encoder's frames.

    Args:
        run: run directory of ``ssl-skel pretrain``, folder of an encoder, or ``box/NAME``.
        pooling: how frames and joints become one vector, as in ``part`` or ``part:4``; default: as the card says.
        device: ``auto`` uses an accelerator if there is one; else a device of torch, such as ``cpu``.
        batch_size: clips per step; changes speed and memory only.
        precision: of the encoder; ``no`` is float32.

    Attributes:
        encoder: on the device; its mode is restored.
        card: what the encoder is and where it comes from.
        pooling: in use.
        layout: joints of the clips.
        dim: D, length of a vector.
        num_frames: T that clips are resampled to.
        channels: C, coordinates of a joint.

    Raises:
        UserError: no encoder there, no such device, or a pooling that the network cannot give.
    """

    def __init__(
        self,
        run: Path | str,
        *,
        pooling: PoolingConfig | str | None = None,
        device: str | torch.device = "auto",
        batch_size: int = 128,
        precision: Precision = "no",
    ) -> None:
        encoder, card = load_encoder(run, pooling)
        self._hold(encoder.to(find_device(str(device))), card, batch_size, precision, "auto", str(run))

    @classmethod
    def of(
        cls,
        encoder: SkeletonEncoder,
        card: EncoderCard,
        *,
        batch_size: int = 128,
        precision: Precision = "no",
        resident: str = "auto",
    ) -> Embedder:
        """For an encoder in memory, with its pooling and on the device where it is.

        Args:
            encoder: not copied.
            card: its own, or that of an encoder that takes the same clips.
            batch_size, precision: as on construction.
            resident: whether stores move to the device; see ``ClipLoader``.
        """
        made = cls.__new__(cls)
        made._hold(encoder, card, batch_size, precision, resident, "the encoder")
        return made

    def _hold(
        self,
        encoder: SkeletonEncoder,
        card: EncoderCard,
        batch_size: int,
        precision: Precision,
        resident: str,
        name: str,
    ) -> None:
        if batch_size < 1:
            raise UserError(f"batch_size: must be at least 1, got {batch_size}")
        self.encoder, self.card = encoder, card
        self.pooling, self.layout, self.dim = encoder.pooling.config, encoder.layout, encoder.dim
        self.num_frames, self.channels = encoder.backbone.num_frames, encoder.channels
        self.batch_size, self.precision = batch_size, precision
        self._resident, self._name = resident, name

    @property
    def device(self) -> torch.device:
        """Where the encoder is."""
        return next(self.encoder.parameters()).device

    @property
    def normalization(self) -> NormalizeConfig:
        """What is done to clips.

        Raises:
            UserError: the card does not say.
        """
        return require_normalization(self.card.normalization, self._name)

    def clips(
        self,
        source: Source,
        format: str = "",
        layout: SkeletonLayout | None = None,
        *,
        options: Sequence[str] = (),
        conversions: Sequence[Conversion] | None = None,
        skip_bad: bool = False,
    ) -> Store:
        """Clips that fit the encoder, normalised as it needs them; raw recordings are converted as its own were.

        Args:
            source: see ``Source``; a store is opened and checked, anything else is read into memory.
            format: raw format; default: the first that reads the source.
            layout: of the source, if its joints will be mapped to the encoder's; default: the encoder's.
            options: ``key=value`` words for the reader of raw recordings, if they differ from the encoder's.
            conversions: how recordings are converted; default: as the encoder's card says.
            skip_bad: as for ``read_recordings``.

        Raises:
            UserError: nothing there, or clips of another layout, other coordinates or another normalisation.
        """
        layout = layout or self.layout
        if isinstance(source, Store | Path | str):
            known = self.card.conversions if conversions is None else conversions
            how = self.normalization
            store = read_recordings(source, layout, how, format, options=options, conversions=known, skip_bad=skip_bad)
        elif options:
            raise UserError(f"{options[0]}: options are for raw recordings, and these are arrays; leave them out")
        else:
            store = store_of_arrays(source, layout, self.channels, self.normalization)
        if store.channels != self.channels:
            raise UserError(f"{store.path}: channels: has {store.channels}, the encoder takes {self.channels}")
        return store

    def encode(
        self,
        source: Source,
        rows: np.ndarray | None = None,
        *,
        format: str = "",
        options: Sequence[str] = (),
        progress: bool = False,
    ) -> np.ndarray:
        """Vectors of clips.

        Args:
            source: see ``Source``.
            rows: of the source; default: all.
            format, options: as for ``clips``.
            progress: show a bar if it takes longer than a second.

        Returns:
            (N, D) float32.

        Raises:
            UserError: as ``clips``.
        """
        return self.features(self.clips(source, format, options=options), rows, progress=progress)

    def features(self, store: Store, rows: np.ndarray | None = None, *, progress: bool = False) -> np.ndarray:
        """As ``encode``, for a store that is known to fit: ``clips`` returned it, or the caller has checked it."""
        return self._extract(self.loader(store, rows), progress=progress)

    def encode_spans(self, store: Store, chosen: np.ndarray) -> np.ndarray:
        """Vectors of whole clips and of windows in them, each window normalised as if it had been recorded alone.

        Args:
            store: as for ``features``.
            chosen: (S, 3) clip, first frame and frames; see ``ssl_skel.embedding.spans``. All are held in memory.

        Returns:
            (S, D) float32.
        """
        clip, _, length = chosen.T
        rows: np.ndarray | None = clip
        if (length != store.frames[clip]).any():
            how = self.normalization
            parts = [cut(store.clip(at), start, size, store.layout, how) for at, start, size in chosen.tolist()]
            store, rows = store_of(parts, store.layout), None
        # A few spans are not worth moving a store to an accelerator.
        return self._extract(self.loader(store, rows, resident="never"), progress=False)

    def loader(self, store: Store, rows: np.ndarray | None = None, *, resident: str | None = None) -> ClipLoader:
        """Batches of whole clips, resampled to the encoder's frames, on its device.

        Args:
            store, rows: as for ``features``.
            resident: as in ``of``; default: as given there.
        """
        return whole_clips(
            store,
            rows,
            num_frames=self.num_frames,
            batch_size=self.batch_size,
            device=self.device,
            resident=resident or self._resident,
        )

    def _extract(self, loader: ClipLoader, *, progress: bool) -> np.ndarray:
        return extract_features(self.encoder, loader, autocast=_AUTOCAST[self.precision], progress=progress)
