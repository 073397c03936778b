"""Two configs are of one run, or the first option that differs is told."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from pretrain.config import PretrainConfig
from ssl_skel.config import Section
from ssl_skel.errors import UserError
from ssl_skel.same_run import FREE, completed, difference, fingerprint, flat, recipe


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({}, {}, None),
        ({"seed": 0, "optim": {"lr": 0.1}}, {"optim": {"lr": 0.1}, "seed": 0}, None),
        ({"optim": {"lr": 0.1}}, {"optim": {"lr": 0.2}}, "optim.lr: 0.1, now 0.2"),
        ({"init": None}, {}, None),
        ({}, {"init": "run"}, 'init: null, now "run"'),
        ({"train": {}}, {"train": {"ema": 0.9}}, "train.ema: null, now 0.9"),
        ({"mask": None}, {"mask": {"ratio": 0.5}}, 'mask: null, now {"ratio": 0.5}'),
        ({"augment": [{"name": "a"}, {"p": 1}]}, {"augment": [{"name": "a"}, {"p": 2}]}, "augment.1.p: 1, now 2"),
        ({"augment": []}, {"augment": [{"name": "a"}]}, 'augment: [], now [{"name": "a"}]'),
        ({"augment": [{"name": "a"}]}, {"augment": [{"name": "a"}, {}]}, 'augment: [{"name": "a"}], now [{"name'),
        ({"crop": [0.5, 1]}, {"crop": [0.5, 0.9]}, "crop: [0.5, 1], now [0.5, 0.9]"),
        ({"runs": "a", "train": {"keep": 1}}, {"runs": "b", "train": {"keep": 2}}, None),
        ({"names": ["x" * 99]}, {"names": []}, f'names: ["{"x" * 74} ..., now []'),
    ],
)
def test_the_first_difference_is_told_by_its_key(before: Any, now: Any, told: str | None) -> None:
    found = difference(before, now)
    assert found is None if told is None else found is not None and found.startswith(told)
    assert (difference(now, before) is None) == (told is None)


def test_free_keys_may_differ_with_all_below_them() -> None:
    one = {"protocols": [{"name": "full", "save": True}], "encoders": {"xsub": "a"}}
    two = {"protocols": [{"name": "full", "save": False}], "encoders": {"xview": "b"}}
    assert difference(one, two, {"protocols.*.save", "encoders"}) is None
    assert difference(one, two, {"encoders"}) == "protocols.0.save: true, now false"
    assert difference(one, two, {"protocols.*.save"}) == 'encoders.xsub: "a", now null'
    assert difference({"runs_more": 1}, {"runs_more": 2}) == "runs_more: 1, now 2"
    assert difference({"runs": 1}, {"runs": 2}, ()) == "runs: 1, now 2"


def test_an_equal_fingerprint_decides() -> None:
    one = {"readout": "mean", "fingerprint": "ab"}
    assert difference(one, {"pooling": "mean", "fingerprint": "ab"}) is None
    assert difference(one, one | {"fingerprint": "cd"}) == 'fingerprint: "ab", now "cd"'
    assert difference({"lr": 1}, {"lr": 1, "fingerprint": "ab"}) == 'fingerprint: null, now "ab"'


def test_a_recipe_is_equal_where_nothing_but_free_keys_differ() -> None:
    free = FREE | {"seed", "protocols.*.save"}
    one = {"seed": 0, "runs": "a", "protocols": [{"k": 1, "save": True}], "crop": [0.5, 1.0]}
    two = {"crop": [0.5, 1.0], "protocols": [{"save": False, "k": 1}], "seed": 1, "runs": "b"}
    assert recipe(one, free) == recipe(two, free)
    assert recipe(one, free) != recipe(two | {"crop": [0.4, 1.0]}, free)
    assert recipe(one, free) != recipe(two, FREE | {"seed"})


class Train(Section):
    former: ClassVar[dict[str, str]] = {"rate": "lr"}

    lr: float
    ema: float = 0.0


class Config(Section):
    train: Train


def test_an_earlier_config_gets_new_defaults_and_present_names_without_a_warning() -> None:
    assert completed({"train": {"rate": 0.1}}, Config, "run") == {"train": {"lr": 0.1, "ema": 0.0}}
    with pytest.raises(UserError, match=r"^run: train\.emma: unknown key; did you mean 'ema'"):
        completed({"train": {"lr": 0.1, "emma": 0.9}}, Config, "run")


def test_fingerprints_are_those_of_the_first_release() -> None:
    """The names of runs hold them."""
    assert fingerprint({"b": [1, 0.5], "a": "ü"}).startswith("768475405113")
    assert fingerprint({"a": "ü", "b": [1, 0.5]}) == fingerprint({"b": [1, 0.5], "a": "ü"})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})


def test_flat() -> None:
    assert flat({"a": {}, "b": [], "c": [{"d": [1]}, 2]}) == {"a": {}, "b": [], "c.0.d": [1], "c.1": 2}


def test_every_free_key_is_an_option() -> None:
    """A renamed option would otherwise become binding unnoticed."""
    options = {"data": {"store": "s"}, "backbone": {"name": "st_gcn"}, "pretext": {"name": "psp"}, "train": {}}
    config = completed({"name": "run", **options}, PretrainConfig, "test")
    assert set(flat(config)) >= FREE
