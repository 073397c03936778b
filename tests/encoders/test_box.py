"""The encoders in the box: they load by name, are small, say where they come from, and travel with the package."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ssl_skel.cli.app import build
from ssl_skel.data.synthetic import SyntheticConfig, generate
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.encoders.card import BOX, boxed_encoders, load_card
from ssl_skel.encoders.files import load_encoder
from ssl_skel.encoders.model_card import read_metadata
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import knn_predict

ROOT = Path(__file__).parents[2]
NAMES = boxed_encoders()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw recording of 25 joints."""
    clip = next(iter(generate(SyntheticConfig(subjects=2, cameras=2, repetitions=1))))
    file = tmp_path_factory.mktemp("box") / "raw.npz"
    np.savez(file, joints=clip.joints[None])
    file.with_suffix(".yaml").write_text("layout: ntu25")
    return file


def test_the_box_is_not_empty_and_small() -> None:
    assert NAMES == ["mpae_net", "tcn"]
    assert sum(file.stat().st_size for file in BOX.rglob("*")) <= 10e6


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_for_a_path(name: str, recording: Path) -> None:
    by_name, by_path = Embedder(f"box/{name}").encode(recording), Embedder(BOX / name).encode(recording)
    np.testing.assert_array_equal(by_name, by_path)
    assert np.isfinite(by_name).all()
    assert load_encoder(name)[1] == load_encoder(f"box/{name}")[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_card_names_no_place_on_a_machine(name: str) -> None:
    card = load_card(BOX / name)
    assert not Path(card.data.store).is_absolute()
    assert card.layout["name"] == "common15"


@pytest.mark.parametrize("name", NAMES)
def test_a_model_card_has_licence_data_and_figures(name: str) -> None:
    metadata = read_metadata(BOX / name)
    assert metadata["license"]
    assert len(metadata["datasets"]) >= 4
    text = (BOX / name / "README.md").read_text("utf-8")
    assert all(word in text for word in ("## Data", "## Figures", "## Limits", "seed"))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_card_tells_the_truth_of_these_weights(name: str, real_data: Path) -> None:
    """1-NN on UTD-MHAD; other processors may change a few of its 430 answers."""
    (result,) = (
        one for one in read_metadata(BOX / name)["model-index"][0]["results"] if one["dataset"]["type"] == "utd_mhad"
    )
    (written,) = (metric["value"] for metric in result["metrics"] if metric["name"] == "1-NN")
    store = Embedder(f"box/{name}").clips(real_data / "utd_mhad", "utd-mhad")
    vectors = Embedder(f"box/{name}").features(store)
    train, test = (np.flatnonzero(store.subject % 2 == side) for side in (1, 0))
    found = knn_predict(vectors[train], store.label[train], vectors[test], [1])[1]
    assert 100 * np.mean(found == store.label[test]) == pytest.approx(written, abs=1.5)


def test_the_command_lists_them() -> None:
    result = CliRunner().invoke(build(), ["encoders", "--json"])
    assert result.exit_code == 0, result.output
    listed = json.loads(result.stdout)
    assert [one["name"] for one in listed] == [f"box/{name}" for name in NAMES]
    assert all(one["figures"] and one["megabytes"] > 0 for one in listed)
    assert "box/mpae_net" in CliRunner().invoke(build(), ["encoders"]).stdout


def test_a_misspelt_name_is_one_line() -> None:
    with pytest.raises(UserError, match=r"unknown encoder in the box.*mpae_nte.*mpae_net"):
        load_card(Path("box/mpae_nte"))


def test_a_folder_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "box/mpae_net").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"box/mpae_net/card\.json"):
        load_card(Path("box/mpae_net"))


def test_git_keeps_every_file_of_the_box() -> None:
    """hatch puts into a wheel what lies in the package and git does not ignore."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    files = [str(file) for file in BOX.rglob("*") if file.is_file()]
    ignored = subprocess.run(["git", "-C", str(ROOT), "check-ignore", *files], capture_output=True, text=True)
    assert ignored.stdout == ""
