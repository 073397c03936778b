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

from ssl_skel.embedding.embedder import Embedder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError


class SkeletonEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Feature vectors of clips, from a frozen encoder of this project.

    A clip is an array (T, V, C), or (M, T, V, C) for several persons: joints in metres, y up, in the encoder's
    layout, NaN where a joint was not tracked; clips may differ in length and in persons. Each is normalised as
    the encoder's training data were (its card says how) and taken whole, so that the vectors are those that
    ``ssl-skel finetune`` measures on a store of the same recordings.

    Nothing is learned by ``fit``, which only checks; ``transform`` works without it. A copy, pickled or cloned, holds
    the path of the run and not its weights, which are read again when it is used::

        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from ssl_skel.embedding.sklearn import SkeletonEmbedder

        model = make_pipeline(SkeletonEmbedder(run), StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(clips, labels)
        model.predict(new_clips)

    Of scikit-learn's ``check_estimator``, the checks of parameters, cloning, tags and representation hold; those that
    feed tables (samples, features) do not apply, since a clip is not a row of a table.

    Args:
        run: run directory of ``ssl-skel pretrain``, or a folder with an encoder.
        batch_size: clips per step; changes speed and memory only.
        device: ``auto`` uses an accelerator if there is one; else a device of torch, such as ``cpu``.
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
            UserError: a wrong parameter, encoder or clip; the message has the clip's number.
        """
        self._ready().clips(X)
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
        return self._ready().encode(X)

    @property
    def _n_features_out(self) -> int:
        """D; scikit-learn makes feature names of it."""
        return self._ready().dim

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

    def _ready(self) -> Embedder:
        """The encoder on its device, set up as the parameters say now; it is read from disk once."""
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, Integral) or self.batch_size < 1:
            raise UserError(f"batch_size: must be a whole number from 1 on, got {self.batch_size!r}")
        pooling = self.pooling
        if self.readout is not None:
            warnings.warn("readout is now called pooling", FutureWarning, stacklevel=3)
            pooling = self.readout
        key = (str(self.run), self.device)
        if key not in (loaded := getattr(self, "_loaded", {})):
            embedder = Embedder(self.run, device=self.device)
            loaded = {key: (embedder.encoder, embedder.card)}
            self._loaded = loaded
        encoder, card = loaded[key]
        if pooling is not None:
            encoder = encoder.with_pooling(PoolingConfig.of(pooling))
        return Embedder.of(encoder, card, batch_size=int(self.batch_size))
