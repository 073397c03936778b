"""What is damaged, and the commands that read it; all in one folder, which is the current one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from material import FINETUNE, HAS_LANCE, PRETRAIN
from raw_files import WRITERS, describe, walk

from finetune.config import FinetuneConfig
from finetune.verb import check as check_finetune
from pretrain.config import PretrainConfig
from pretrain.verb import check as check_pretrain
from ssl_skel.config import load_config
from ssl_skel.layouts import LAYOUTS

OUT = "out"
"""Folder of all that the commands write."""


@dataclass(frozen=True)
class Target:
    """Files, and what reads them.

    Attributes:
        name: as results tell it.
        files: patterns of the files that are damaged; of each case one.
        commands: of each case one.
        calls: where a command would do more than read: what it does first.
        folders: what the commands may change, to be restored after each case.
    """

    name: str
    files: tuple[str, ...]
    commands: tuple[str, ...] = ()
    calls: tuple[Callable[[], object], ...] = ()
    folders: tuple[str, ...] = ()

    def paths(self) -> list[Path]:
        return sorted(path for pattern in self.files for path in Path().glob(pattern) if path.is_file())

    @contextmanager
    def restored(self, pristine: Path) -> Iterator[None]:
        """What is damaged and written within the block is as before after it."""
        before = {path: path.read_bytes() for path in self.paths()}
        try:
            yield
        finally:
            for folder in self.folders:
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(pristine / folder, folder)
            for path, content in before.items():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                if path.is_symlink() or not path.exists() or path.read_bytes() != content:
                    path.unlink(missing_ok=True)
                    path.write_bytes(content)
            shutil.rmtree(OUT, ignore_errors=True)


def _words() -> list[str]:
    file = Path("words.txt")
    return file.read_text("utf-8", "surrogateescape").split("\n") if file.is_file() else []


def _pretrain() -> None:
    check_pretrain(load_config(PretrainConfig, "pretrain.yaml", _words()), "auto")


def _finetune() -> None:
    check_finetune(load_config(FinetuneConfig, "finetune.yaml", ["name=new"]))


def write_inputs() -> None:
    """What nothing of the project writes: raw recordings, a layout, lists, words of a command line."""
    for name, write in WRITERS.items():
        folder = Path("raw", name)
        folder.mkdir(parents=True)
        write(folder)
    describe(
        Path("raw/npy"),
        {"layout": "sbu15", "up": "y", "names": "(?P<label>[a-z]+)/clip(?P<subject>[0-9]+)", "splits": {}},
    )
    Path("words.txt").write_text("optim.lr=0.1\naugment.0.name=rotate\ntrain.epochs=2\ndata.crop=[0.5, 1.0]", "utf-8")
    Path("layout.yaml").write_text(yaml.safe_dump(LAYOUTS["sbu15"].to_dict(), sort_keys=False), "utf-8")
    Path("exclude.txt").write_text('# copies: 2\nclip_03\n"two\\nlines"\n', "utf-8")
    np.savez("recording.npz", joints=walk(0, 9)[None], name=["clip_50"], label=[1])
    Path("recording.yaml").write_text("layout: ntu25\nclass_names: [a, b, c]\n", "utf-8")
    shutil.copytree("measured", "again")
    shutil.copytree("store", "other")
    shutil.copytree("run", "stopped")
    shutil.rmtree("stopped/encoder")
    shutil.rmtree(max(Path("stopped/checkpoints").iterdir()))
    Path("stopped.yaml").write_text(yaml.safe_dump(PRETRAIN | {"name": "stopped"}), "utf-8")
    for file in (Path("stopped/config.yaml"), *Path("stopped/checkpoints").glob("*/state.json")):
        text = file.read_text("utf-8")
        file.write_text(
            text.replace("name: run", "name: stopped").replace('"name": "run"', '"name": "stopped"'), "utf-8"
        )
    Path("sweep.yaml").write_text(yaml.safe_dump(FINETUNE | {"name": "new"}), "utf-8")


def _readers() -> tuple[Target, ...]:
    def convert(name: str) -> tuple[str, ...]:
        line = f"convert {name} raw/{name} {OUT}/store"
        return (line, line, f"{line} --skip-bad")

    return tuple(Target(name, (f"raw/{name}/**/*",), convert(name)) for name in WRITERS)


FILES: tuple[Target, ...] = (
    Target(
        "store",
        ("store/*.*",),
        (
            *("info store", "split store --per-class 1 --seeds 1", f"view store -o {OUT}/page.html --count 2"),
            *(f"embed run store -o {OUT}/x.npz", f"merge store other -o {OUT}/merged", f"audit store -o {OUT}/audit"),
        ),
        folders=("store",),
    ),
    Target("part of a store", ("part/*.*",), (f"merge-shards part other_part -o {OUT}/whole",)),
    Target("label subset", ("store/subsets/*",), ("split store --split half --per-class 2 --seeds 1",), (), ("store",)),
    Target("exclusion list", ("exclude.txt",), (f"convert npz recording.npz {OUT}/store --exclude exclude.txt",)),
    Target("layout", ("layout.yaml",), (f"convert npz raw/npz/mine.npz {OUT}/store --layout layout.yaml",)),
    Target(
        "recording",
        ("recording.*",),
        (
            *(f"convert npz recording.npz {OUT}/store", f"embed run recording.npz -o {OUT}/x.npz"),
            *("search flat recording.npz -k 2", "predict measured recording.npz --training half_pretrained0_linear"),
        ),
    ),
    Target("config of a pretraining", ("pretrain.yaml",), ("sweep pretrain.yaml --print",), (_pretrain,)),
    Target("words of a command line", ("words.txt",), (), (_pretrain,)),
    Target("config of an evaluation", ("finetune.yaml",), ("sweep finetune.yaml --print",), (_finetune,)),
    Target(
        "encoder",
        ("run/encoder/*",),
        (f"embed run store -o {OUT}/x.npz", f"index run store -o {OUT}/index", f"view run -o {OUT}/page.html"),
    ),
    Target("checkpoint", ("stopped/checkpoints/*/*",), ("pretrain stopped.yaml resume=auto",), (), ("stopped",)),
    Target("log", ("stopped/log.jsonl",), ("pretrain stopped.yaml resume=auto", "runs stopped"), (), ("stopped",)),
    Target(
        "run",
        ("run/config.yaml", "run/log.jsonl", "run/checkpoints/*/state.json"),
        ("runs run", f"view run -o {OUT}/page.html", f"view run --reconstructions -o {OUT}/page.html"),
        folders=("run",),
    ),
    Target(
        "index",
        ("flat/*.*",),
        ("search flat clip_03 -k 3", f"merge-index flat -o {OUT}/index", "evaluate-retrieval flat --split half"),
    ),
    Target("index (ivf)", ("ivf/*.*",), ("search ivf clip_03 -k 3", "search ivf recording.npz -k 3")),
    Target("index (hnsw)", ("hnsw/*.*",), ("search hnsw clip_03 -k 3", f"view hnsw -o {OUT}/page.html")),
    Target(
        "classifier",
        ("measured/trainings/*/classifier/*",),
        (
            "predict measured store --training half_pretrained0_linear",
            "predict measured store --training half_pretrained0_all",
        ),
    ),
    Target(
        "evaluation",
        ("measured/config.yaml", "measured/*.json", "measured/answers.npz", "measured/trainings/*/*.npz"),
        (
            *("report measured", "report measured --format csv", "runs measured", f"view measured -o {OUT}/page.html"),
            *("fuse measured again -o fused", "predict measured store --training half_pretrained0_linear"),
        ),
        folders=("measured",),
    ),
)
LANCE = Target(
    "index (lance)",
    ("table/meta.json", "table/lance/**/*"),
    (
        *("search table clip_03 -k 3", "search table recording.npz -k 3 --subject 1"),
        *(f"view table -o {OUT}/page.html", f"search table clip_05 -k 2 --page {OUT}/page.html"),
    ),
    folders=("table",),
)
"""Where the extra ``lance`` is installed."""
TARGETS: tuple[Target, ...] = (*_readers(), *FILES, *([LANCE] if HAS_LANCE else []))
