"""``SkeletonEmbedder``: a pretrained encoder as a scikit-learn transformer, from arrays to feature vectors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags

from ssl_skel.data.clip import tracked_persons
from ssl_skel.data.normalize import NormalizeConfig, normalize, require_normalization
from ssl_skel.data.sources.recordings import store_of
from ssl_skel.embedding.features import extract_features, find_device, whole_clips
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.files import load_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError


class SkeletonEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Feature vectors of clips, by a frozen encoder of this project.

    A clip is an array (T, V, C), or (M, T, V, C) for several persons: joints in metres, y up, in the encoder's
    layout, NaN where a joint was not tracked; clips may differ in length and in persons. Each is normalised as
    the encoder's training data were (its card tells how) and taken whole, so that the vectors are those that
    ``ssl-skel finetune`` measures on a store of the same recordings.

    Nothing is learned by ``fit``, which only checks; ``transform`` works without it. A copy, pickled or cloned, holds
    the path of the run and not its weights, which are read again where it is used::

        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from ssl_skel.embedding.sklearn import SkeletonEmbedder

        model = make_pipeline(SkeletonEmbedder(run), StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(clips, labels)
        model.predict(new_clips)

    Of scikit-learn's ``check_estimator``, the checks of parameters, cloning, tags and representation hold; those that
    feed tables (samples, features) do not apply, for a clip is no row of a table.

    Args:
        run: run directory of ``ssl-skel pretrain``, or a folder with an encoder.
        batch_size: clips a step; changes speed and memory only.
        device: ``auto`` takes an accelerator where there is one; else a device of torch, such as ``cpu``.
        pooling: how frames and joints become one vector, as in ``part`` or ``part:4`` (see ``PoolingConfig``); default:
            as the encoder's card says.
        readout: former name of ``pooling``.
    """

    def __init__(
        self,
        run: Path | str,
        batch_size: int = 128,
        device: str = "auto",
        pooling: PoolingConfig | str | None = None,
        readout: str | None = None,
    ) -> None:
        self.run = run
        self.batch_size = batch_size
        self.device = device
        self.pooling = pooling
        self.readout = readout

    def fit(self, X: Sequence[np.ndarray], y: Any = None) -> Self:
        """Check the parameters and the clips.

        Args:
            X: clips (T, V, C) or (M, T, V, C).
            y: not used.

        Raises:
            UserError: a parameter, the encoder, or a clip, which is named by its number.
        """
        encoder, _ = self._ready()
        for number, clip in enumerate(X):
            _persons(clip, number, encoder)
        return self

    def transform(self, X: Sequence[np.ndarray]) -> np.ndarray:
        """Embed clips.

        Args:
            X: N clips (T, V, C) or (M, T, V, C).

        Returns:
            (N, D) float32.

        Raises:
            UserError: as ``fit``.
        """
        encoder, how = self._ready()
        clips = []
        for number, clip in enumerate(X):
            joints = _persons(clip, number, encoder)
            try:
                clips.append(normalize(joints, encoder.layout, how)[0])
            except UserError as error:
                raise UserError(f"clip {number}: {error}") from error
        if not clips:
            raise UserError("X: holds no clips; give at least one")
        device = next(encoder.parameters()).device
        loader = whole_clips(
            store_of(clips, encoder.layout),
            num_frames=encoder.backbone.num_frames,
            batch_size=int(self.batch_size),
            device=device,
        )
        return extract_features(encoder, loader)

    @property
    def _n_features_out(self) -> int:
        """D; scikit-learn makes feature names of it."""
        return self._ready()[0].dim

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_loaded", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        former = {} if "pooling" in state else {"pooling": state.get("readout", "mean"), "readout": None}
        super().__setstate__(state | former)  # of 0.1, which knew no other name and pooled by mean

    def _ready(self) -> tuple[SkeletonEncoder, NormalizeConfig]:
        """The encoder on its device, set up as the parameters say now, and what clips undergo; read from disk once."""
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, Integral) or self.batch_size < 1:
            raise UserError(f"batch_size: must be a whole number from 1 on, got {self.batch_size!r}")
        pooling = self.pooling
        if self.readout is not None:
            warnings.warn("readout is now called pooling", FutureWarning, stacklevel=3)
            pooling = self.readout
        key = (str(self.run), self.device)
        if key not in (loaded := getattr(self, "_loaded", {})):
            encoder, card = load_encoder(self.run)
            how = require_normalization(card.normalization, str(self.run))
            loaded = {key: (encoder.to(find_device(self.device)), how)}
            self._loaded = loaded
        encoder, how = loaded[key]
        return encoder if pooling is None else encoder.with_pooling(PoolingConfig.of(pooling)), how


def _persons(clip: Any, number: int, encoder: SkeletonEncoder) -> np.ndarray:
    """One clip as (M, T, V, C) float32, what readers give.

    Raises:
        UserError: it is no clip of this encoder's.
    """
    layout, channels = encoder.layout, encoder.backbone.channels
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is: not tracked
            joints = np.asarray(clip, np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"clip {number}: is no array of numbers ({error})") from error
    joints = joints[None] if joints.ndim == 3 else joints
    if joints.ndim != 4 or joints.shape[2:] != (layout.num_joints, channels):
        raise UserError(
            f"clip {number}: has shape {np.shape(clip)}; this encoder takes (T, {layout.num_joints}, {channels}) or "
            f"(M, T, {layout.num_joints}, {channels}), the joints of {layout.name}"
        )
    if 0 in joints.shape:
        raise UserError(f"clip {number}: has no frames; leave it out")
    if not tracked_persons(joints).any():
        raise UserError(f"clip {number}: has no tracked joint (only NaN, infinity or zero); leave it out")
    return joints
