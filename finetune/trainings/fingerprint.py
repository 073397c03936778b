"""How a training is recognised: a hash of everything that decides its outcome.

Options are hashed under the names that release 0.1 gave them, so that its trainings are found too.
"""

from __future__ import annotations

import hashlib
from typing import Any

import yaml

from finetune.protocols.base import EvalContext
from finetune.protocols.configs.training import TrainingConfig
from finetune.trainings.spec import TrainingSpec
from ssl_skel.config import Section
from ssl_skel.encoders.pooling_config import FORMER_TEXTS

NEWER = {
    "head": {"name": "linear", "norm": True},
    "drop_path": None,
    "sampling": "crop",
    "pretext.time_bins": 4,
    "pretext.neighbours": None,
}
"""Options newer than some trainings, with the value that keeps the earlier behaviour."""


def fingerprint(config: TrainingConfig, context: EvalContext, spec: TrainingSpec) -> str:
    """sha256 of all that decides the outcome: options, store, clips and labels, weights, seed, precision."""
    store, digest = context.store, hashlib.sha256()
    parts = [_recipe(config), store.sha256, store.num_classes, spec.seed, spec.pretrained]
    pooling = str(spec.encoder.pooling.config)
    pooling = next((former for former, present in FORMER_TEXTS.items() if present == pooling), pooling)
    parts += [context.accelerator.mixed_precision, pooling, spec.encoder.stream]
    if spec.encoder.extent != "none":
        parts.append(spec.encoder.extent)
    for rows in (spec.train, spec.validation):
        parts += [store.name[rows].tolist(), store.label[rows].tolist()]
    parts += [store.name[spec.test].tolist(), ""]  # their labels decide nothing
    if context.mapped_from:
        parts.append(store.layout.to_dict())
    if spec.pretrained and config.layer_decay < 1 and spec.encoder.backbone.final_norm() is not None:
        parts.append("final norm with the head")  # 0.1 slowed it down
    if len(spec.unlabelled):
        parts.append(store.name[spec.unlabelled].tolist())
    digest.update(repr(parts).encode())
    for name, tensor in sorted(spec.encoder.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def options_hash(config: Section) -> str:
    """sha256 of all options of a config."""
    return hashlib.sha256(_yaml(_former(config, config.model_dump(mode="json"))).encode()).hexdigest()


def _recipe(config: TrainingConfig) -> str:
    """The options that decide the outcome; whether weights are kept does not."""
    options = _former(config, config.model_dump(mode="json", exclude={"save"}))
    return _yaml(_without_newer(options))


def _without_newer(options: dict[str, Any], within: str = "") -> dict[str, Any]:
    """Options, without those of ``NEWER`` that keep the earlier behaviour; ``within`` is the path to them, with a
    dot.
    """
    kept = {}
    for key, value in options.items():
        path = within + key
        if path not in NEWER or value != NEWER[path]:
            kept[key] = _without_newer(value, f"{path}.") if isinstance(value, dict) else value
    return kept


def _former(value: Any, plain: Any) -> Any:
    """Plain data of a value, with keys and values renamed to those of release 0.1."""
    if isinstance(value, Section):
        keys = {present: former for former, present in value.former.items()}
        found = {}
        for key, item in plain.items():
            words = {present: former for former, present in value.former_values.get(key, {}).items()}
            inner = _former(getattr(value, key), item)
            found[keys.get(key, key)] = words.get(inner, inner) if isinstance(inner, str) else inner
        return found
    if isinstance(value, tuple):
        return [_former(one, item) for one, item in zip(value, plain, strict=True)]
    return plain


def _yaml(options: dict[str, Any]) -> str:
    return yaml.safe_dump(options, sort_keys=False, allow_unicode=True)
