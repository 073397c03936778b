"""``import ssl_skel``: quick, lazy, complete, and five lines for each thing that people come for."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import ssl_skel
from finetune.config import FinetuneConfig
from pretrain.config import PretrainConfig
from ssl_skel.config import load_config
from ssl_skel.data.synthetic import SyntheticConfig, generate

STUB = Path(ssl_skel.__file__).with_suffix(".pyi")
PRETRAIN = {
    "name": "mine",
    "data": {"store": "", "split": "xsub", "num_frames": 16},
    "backbone": {"name": "mpae_net", "channels": [16], "strides": [4], "heads": 2, "norm": "layer"},
    "pretext": {"name": "skeleton_mae", "decoder_dim": 16},
    "train": {"epochs": 1, "batch_size": 16, "device": "cpu", "progress": False},
}
FINETUNE = {
    "name": "measured",
    "data": {"store": ""},
    "protocols": [{"name": "linear", "epochs": 1, "save": True}],
    "baselines": [],
    "device": "cpu",
}


def listed() -> dict[str, str]:
    """Public name -> module, as the stub has them."""
    found = {}
    for node in ast.parse(STUB.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.name: f"ssl_skel.{node.module}" for alias in node.names}
    return found


@pytest.fixture(scope="session")
def desk(motions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with configs for a store, a pretrained run, an index, an evaluation and a raw recording."""
    desk = tmp_path_factory.mktemp("desk")
    for name, config in (("pretrain", PRETRAIN), ("finetune", FINETUNE)):
        data = config["data"] | {"store": str(motions)}  # type: ignore[operator]
        more = {"encoders": {"xsub": str(desk / "runs/mine")}} if name == "finetune" else {}
        (desk / f"{name}.yaml").write_text(
            yaml.safe_dump(config | {"data": data, "runs": str(desk / "runs")} | more), "utf-8"
        )
    clip = next(iter(generate(SyntheticConfig(subjects=4, cameras=2, repetitions=1))))
    np.savez(desk / "new.npz", joints=clip.joints[None], name=np.array(["new"]))
    (desk / "new.yaml").write_text("layout: ntu25", "utf-8")
    return desk


@pytest.fixture(scope="session")
def run(desk: Path) -> Path:
    """Pretrain from a config: one line."""
    return ssl_skel.pretrain(desk / "pretrain.yaml", "train.epochs=2")


def test_nothing_heavy_is_imported() -> None:
    heavy = "('torch', 'numpy', 'sklearn', 'faiss', 'scipy', 'matplotlib', 'pydantic')"
    code = f"import sys, ssl_skel; dir(ssl_skel); print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_listed_name_is_there_and_shown() -> None:
    names = listed()
    assert set(names) <= set(dir(ssl_skel))
    for name, home in names.items():
        found = getattr(ssl_skel, name)
        assert found is getattr(sys.modules[home], name)
        assert getattr(found, "__doc__", None)
    with pytest.raises(AttributeError, match="no_such_name"):
        ssl_skel.no_such_name  # noqa: B018


@pytest.mark.parametrize("package", ["ssl_skel", "pretrain", "finetune"])
def test_packages_are_marked_as_typed(package: str) -> None:
    assert (STUB.parents[1] / package / "py.typed").is_file()


def test_pretrain(run: Path, desk: Path) -> None:
    assert run == desk / "runs/mine"
    _, card = ssl_skel.load_encoder(run)
    assert card.num_frames == 16
    with pytest.raises(ssl_skel.UserError, match="exists already"):
        ssl_skel.pretrain(desk / "pretrain.yaml")


def test_words_change_a_config_object_too(desk: Path) -> None:
    """As on the command line; none is passed over."""
    pretraining = load_config(PretrainConfig, desk / "pretrain.yaml")
    evaluation = load_config(FinetuneConfig, desk / "finetune.yaml")
    for verb, config in ((ssl_skel.pretrain, pretraining), (ssl_skel.finetune, evaluation)):
        with pytest.raises(ssl_skel.UserError, match=r"^nowhere"):
            verb(config, "data.store=nowhere")
        with pytest.raises(ssl_skel.UserError, match=r"^the config: data\.stor: unknown key; did you mean 'store'"):
            verb(config, "data.stor=nowhere")
    for source in (pretraining, desk / "pretrain.yaml"):
        with pytest.raises(ssl_skel.UserError, match="resume: unknown 'yes'"):
            ssl_skel.pretrain(source, "resume=yes")


def test_embed(run: Path, motions: Path, desk: Path) -> None:
    embedder = ssl_skel.Embedder(run, device="cpu")
    vectors = embedder.encode(motions)
    assert vectors.shape == (len(ssl_skel.Store.open(motions)), embedder.dim)
    folder = desk / "recordings"
    folder.mkdir()
    for name in ("new.npz", "new.yaml"):
        shutil.copy(desk / name, folder / name)
    for source in (folder, folder / "new.npz"):
        np.testing.assert_allclose(embedder.encode(source), vectors[:1], atol=1e-5)


def test_search(run: Path, motions: Path, desk: Path) -> None:
    index = ssl_skel.build_index(run, motions, desk / "index")
    (answer,) = ssl_skel.search(index, desk / "new.npz", k=3)
    first, *_ = answer.hits
    assert (first.name, first.copy) == (str(ssl_skel.Store.open(motions).name[0]), True)
    assert len(answer.hits) == 3
    again = ssl_skel.search(desk / "index", desk / "new.npz", k=3)
    assert [hit.row for hit in again[0].hits] == [hit.row for hit in answer.hits]


def test_evaluate_and_predict(run: Path, desk: Path) -> None:
    report = ssl_skel.finetune(desk / "finetune.yaml", "seeds=[3]")
    assert report.measurements
    assert "seeds=[3]" in report.command
    predictions = ssl_skel.predict(desk / "runs/measured", desk / "new.npz")
    assert predictions.clips == ("new",)
    assert predictions.probability.shape == (1, len(predictions.class_names))
    assert predictions.probability.sum() == pytest.approx(1)


def test_arrays_are_a_query_and_what_is_no_clip_is_refused(run: Path, motions: Path, desk: Path) -> None:
    index = ssl_skel.build_index(run, motions, desk / "for_arrays")
    store = ssl_skel.Store.open(motions)
    (answer,) = ssl_skel.search(index, [store.clip(0)], k=1)
    assert answer.hits[0].name == str(store.name[0])
    embedder = ssl_skel.Embedder(run)
    with pytest.raises(ssl_skel.UserError, match="5: is not a source of clips"):
        embedder.encode(5)  # type: ignore[arg-type]
    with pytest.raises(ssl_skel.UserError, match="is an index; give a raw file"):
        embedder.encode(desk / "for_arrays")
    with pytest.raises(ssl_skel.UserError, match="unknown format 'nzp'"):
        embedder.encode(desk / "new.npz", format="nzp")


def test_an_evaluation_that_names_no_pooling_says_which_it_takes(run: Path, desk: Path) -> None:
    command = [sys.executable, "-m", "finetune", str(desk / "finetune.yaml"), "name=noted", "protocols=[{name: knn}]"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "note: no pooling is given" in done.stderr
