"""Is this the same run? Two configs, what may differ between them, and the first option that does.

All code that recognises an earlier run uses this: a training that is continued, an evaluation or a fusion that is
repeated, a grid that skips what is done, a report that pools runs of one recipe. Configs are plain data, as
``config.yaml`` holds them; a key is written with dots, ``augment.0.name``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from ssl_skel.config import parse_config

FREE = frozenset(
    {
        "runs",
        "data.resident",
        "train.device",
        "train.keep",
        "train.checkpoint_every",
        "train.checkpoint_minutes",
        "train.log_every",
        "train.eval_every",
        "train.progress",
    }
)
"""Keys that a continued run may change: where things are stored and how often they are evaluated, not what is
computed."""
_LONGEST = 80  # characters of a value in a message


def difference(before: Mapping[str, Any], now: Mapping[str, Any], free: Collection[str] = FREE) -> str | None:
    """The first option that differs, in words.

    >>> difference({"seed": 0, "optim": {"lr": 0.1}}, {"seed": 0, "optim": {"lr": 0.2}})
    'optim.lr: 0.1, now 0.2'

    Args:
        before, now: configs. A missing option counts as null. Where both hold an equal ``fingerprint``, of everything
            that decides the outcome, they are of one run whatever else differs.
        free: keys that may differ, with all below them; ``*`` stands for one step, as in ``protocols.*.save``.

    Returns:
        The key and both values; None where the runs are the same.
    """
    if "fingerprint" in now and before.get("fingerprint") == now["fingerprint"]:
        return None
    return _difference(before, now, frozenset(free), "")


def completed(config: Any, model: type[BaseModel], source: str) -> dict[str, Any]:
    """A config of an earlier release as this one would write it: new options at their defaults, keys by present names.

    The default of a new option must keep the earlier behaviour, so that an upgrade never breaks a run.

    Args:
        config: as read.
        model: of the run's configs.
        source: begins the message.

    Raises:
        UserError: it does not fit the model.
    """
    return parse_config(model, config, source, written=True).model_dump(mode="json")


def recipe(config: Mapping[str, Any], free: Collection[str]) -> str:
    """A fingerprint of the options that must be equal; runs with the same one differ only in ``free`` keys.

    Args:
        config: with all defaults, see ``completed``.
        free: as for ``difference``.
    """
    is_free = _matcher(frozenset(free))
    return fingerprint({key: value for key, value in flat(config).items() if not is_free(key)})


def fingerprint(value: Any) -> str:
    """sha256 of plain data; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def flat(config: Any, key: str = "") -> dict[str, Any]:
    """Values by keys with dots. Lists of plain values stay whole.

    >>> flat({"a": {"b": [{"c": 1}], "d": [1, 2]}})
    {'a.b.0.c': 1, 'a.d': [1, 2]}
    """
    below = _below(config)
    if not below:
        return {key: config}
    found: dict[str, Any] = {}
    for name, value in below.items():
        found |= flat(value, f"{key}.{name}".lstrip("."))
    return found


def _difference(before: Any, now: Any, free: frozenset[str], key: str) -> str | None:
    if before == now or _matcher(free)(key):
        return None
    old, new = _below(before), _below(now)
    if not (isinstance(before, dict) and isinstance(now, dict)) and not (old.keys() == new.keys() != set()):
        return f"{key}: {_short(before)}, now {_short(now)}"
    below = (_difference(old.get(name), new.get(name), free, f"{key}.{name}".lstrip(".")) for name in {**old, **new})
    return next((change for change in below if change is not None), None)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


def _below(config: Any) -> dict[Any, Any]:
    """What has keys of its own: the values of a mapping, and of a list that holds mappings."""
    if isinstance(config, list) and any(isinstance(item, dict) for item in config):
        return dict(enumerate(config))
    return config if isinstance(config, dict) else {}


@cache
def _matcher(free: frozenset[str]) -> Any:
    """Recognises the keys of a set, and those below them."""
    patterns = [re.escape(pattern).replace(r"\*", "[^.]+") for pattern in sorted(free)]
    form = re.compile(rf"({'|'.join(patterns)})(\..+)?" if patterns else r"(?!)")
    return form.fullmatch
