"""Trainings are found again: by what decides their outcome, under the names that release 0.1 gave the options."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import yaml

from finetune.classifiers.config import BottleneckConfig, LinearHeadConfig
from finetune.config import FinetuneConfig
from finetune.protocols.configs.linear import LinearConfig
from finetune.protocols.configs.psp import PSPSemiConfig
from finetune.protocols.configs.trained import FullConfig, SemiConfig
from finetune.protocols.configs.training import TrainingConfig
from finetune.protocols.configs.two_stream import TwoStreamConfig
from finetune.run import run
from finetune.trainings import fingerprint
from finetune.trainings.spec import TrainingSpec
from ssl_skel.data.store import Store
from ssl_skel.encoders.files import load_encoder
from ssl_skel.encoders.stream_names import Extent
from ssl_skel.pretexts.configs.psp import PSPConfig
from ssl_skel.training.rundir import RunDir

QUICK: dict[str, Any] = {"epochs": 5, "batch_size": 16, "eval_every": 1, "crop": [1.0, 1.0], "augment": []}


@pytest.mark.parametrize(
    ("config", "digest"),
    [
        (
            SemiConfig(select="validation", validation_share=0.3, save=True, per_class=(5,)),
            "d85c2eac932e869e799935713c39c2762ef26ce5370d7b127f0fc710513fef83",
        ),
        (FullConfig(drop_path=0.1), "638f08b83038e041057727c68293f57c59c59b9b3be4c6c2dd91384075f7d878"),
        (PSPSemiConfig(), "a433f2a9f3c01a210924cc05472480cfa5bf7d53fe68890bb018d6394369c1bb"),
        (TwoStreamConfig(), "cdcc1e7b6fb994d53a6f839afd7365cd298dda7693dbe5a1b61fad54ae5f8dd5"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_options_are_hashed_as_release_0_1_did(config: TrainingConfig, digest: str) -> None:
    """sha256 of the recipes that revision cf3e044 made of the same options."""
    assert hashlib.sha256(fingerprint._recipe(config).encode()).hexdigest() == digest


def test_options_newer_than_some_trainings_count_only_where_they_change_what_was_done() -> None:
    plain, other = FullConfig(), FullConfig(head=BottleneckConfig(), drop_path=0.1, sampling="sorted")
    assert not {"head", "drop_path", "sampling"} & yaml.safe_load(fingerprint._recipe(plain)).keys()
    assert {"head", "drop_path", "sampling"} < yaml.safe_load(fingerprint._recipe(other)).keys()
    bare = yaml.safe_load(fingerprint._recipe(FullConfig(head=LinearHeadConfig(norm=False))))
    assert bare["head"] == {"name": "linear", "norm": False}
    contrasts = (PSPSemiConfig(), PSPSemiConfig(pretext=PSPConfig(time_bins=2)))
    told = [yaml.safe_load(fingerprint._recipe(config))["pretext"] for config in contrasts]
    assert "time_bins" not in told[0]
    assert told[1] == told[0] | {"time_bins": 2}


def test_another_extent_is_another_training(run_dir: Path, motions: Path) -> None:
    store, encoder = Store.open(motions), load_encoder(run_dir)[0]
    context: Any = SimpleNamespace(store=store, accelerator=SimpleNamespace(mixed_precision="no"), mapped_from=None)
    spec = TrainingSpec("some", encoder, *np.arange(6).reshape(3, 2), seed=0, pretrained=False)
    digests = []
    for extent in get_args(Extent):
        encoder.extent = extent
        digests.append(fingerprint.fingerprint(FullConfig(), context, spec))
    assert len(set(digests)) == 3


def test_a_probe_keeps_its_folder() -> None:
    """The hash that revision cf3e044 made of the same options."""
    config = LinearConfig(mode="cached", augmented_views=2, c=0.1, save=True)
    assert fingerprint.options_hash(config) == "021db299e9f3ad5e2b5eace525b65335ef7f0bc009d321ea512f5c191acac7bd"


def test_a_training_begun_by_release_0_1_is_continued(
    make_config: Callable[..., FinetuneConfig], interrupt: Callable[[FinetuneConfig], None]
) -> None:
    """It called the folder of evaluations ``looks``, and the training by former names of splits and subsets."""
    row = {"name": "full", "select": "validation", "validation_share": 0.3} | QUICK
    whole = run(make_config(name="whole", protocols=[row], baselines=[]))
    config = make_config(protocols=[row], baselines=[])
    interrupt(config)
    (training,) = (config.runs / config.name / "trainings").iterdir()
    (training / "evaluations").rename(training / "looks")
    former = training.rename(training.with_name(f"former_name_{training.name[-12:]}"))
    assert run(config).measurements == whole.measurements
    assert list(former.parent.iterdir()) == [former]
    assert [record["epoch"] for record in RunDir.open(former).records()] == [1, 2, 3, 4, 5]
