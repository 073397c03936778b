"""The contents of a pretraining run: its log, and the classes that its encoder separates."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.encoders.card import CARD, EncoderCard
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import nearest
from ssl_skel.evaluation.metrics import score
from ssl_skel.training.rundir import RunDir
from ssl_skel.view.clips import shown
from ssl_skel.view.draw.charts import STYLES, line_chart
from ssl_skel.view.draw.run_pages import Compared, Curves, Failure, Recipe, run_page, worst

MARKS = 1000  # of a map: more hide each other, and their clips make the page heavy
_NEIGHBOURS, _EXAMPLES = 3, 6
_OWN_AXES = ("epoch", "step", "seconds", "clips_per_second")


def page_of_run(
    path: Path,
    store: Path | None = None,
    fps: float | None = None,
    pooling: str | None = None,
    options: Sequence[str] = (),
) -> str:
    """Page of a pretraining run; missing parts are left out and named.

    Args:
        path: run directory.
        store: present path of its recordings; default: the one in its encoder's card.
        fps: frames a second of the recordings; default: see ``shown``.
        pooling: how clips become vectors; default: as the encoder's card says.
        options: for the reader, where the store is raw recordings; see ``Embedder.clips``.

    Raises:
        UserError: no run there, or a store that does not fit its encoder.
    """
    run = open_run(path)
    notes: list[str] = []
    compared = None
    card = None
    if (run.encoder / CARD).is_file():
        embedder = Embedder(path, pooling=pooling, device="cpu")
        card = embedder.card
        if store is None and not (_recorded_store(card) / "meta.json").is_file():
            notes.append(
                f"the confusion matrix and the map: there is no longer a store at {_recorded_store(card)}. "
                "Give its present path with --store."
            )
        else:
            opened = store_of_run(path, embedder, store, options)
            if card.data is None or opened.sha256 != card.data.sha256:
                notes.append("certainty that these recordings are those of the training: their hash differs.")
            compared = compare(embedder, opened, split_of(card), fps)
    else:
        notes.append("the confusion matrix and the map: the run has no encoder yet. It is written at its end.")
    records = run.records()
    if not records:
        notes.append("curves: the run has logged nothing yet.")
    facts, recipe = _facts(run.config, card, records), _recipe(path, run.config, card)
    return run_page(path.resolve().name, facts, charts(records), notes, compared, recipe)


def open_run(path: Path) -> RunDir:
    """A run of ``ssl-skel pretrain``.

    Raises:
        UserError: there is none.
    """
    run = RunDir.open(path)
    if not isinstance(run.config, dict) or not isinstance(run.config.get("pretext"), dict):
        raise UserError(f"{path}: is not a pretraining run, and holds no report.json; an evaluation that ended has one")
    return run


def figure_of_run(
    path: Path, store: Path | None = None, pooling: str | None = None, options: Sequence[str] = ()
) -> bytes:
    """Embedding map and confusion matrix of a run, as PNG.

    Raises:
        UserError: as ``page_of_run``; also where encoder or store are not at hand.
    """
    from ssl_skel.view.draw.pictures import compared_figure  # slow to import

    embedder = Embedder(path, pooling=pooling, device="cpu")
    opened = store_of_run(path, embedder, store, options)
    return compared_figure(compare(embedder, opened, split_of(embedder.card)))


def store_of_run(path: Path, embedder: Embedder, store: Path | None = None, options: Sequence[str] = ()) -> Store:
    """The store that a run was trained on, or another of the same layout and normalisation, or raw recordings.

    Raises:
        UserError: it is not where the card says, or does not fit.
    """
    own = _recorded_store(embedder.card)
    if store is None and not (own / "meta.json").is_file():
        raise UserError(f"{path}: there is no longer a store at {own}; give its present path with --store")
    return embedder.clips(store or own, options=options)


def charts(records: Sequence[Mapping[str, Any]]) -> Curves:
    """Loss and accuracies by epoch; and whatever else was logged. What raw coordinates reach is a baseline."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        for key, value in record.items():
            if key not in _OWN_AXES and isinstance(value, int | float) and not isinstance(value, bool):
                lines.setdefault(key, []).append((float(record.get("epoch", record["step"])), float(value)))
    accuracies = {key: line for key, line in lines.items() if key.startswith("knn") or key == "linear"}
    others = {key: line for key, line in lines.items() if key not in accuracies and key != "loss"}
    baselines = {_words(key): accuracies.pop(key)[-1][1] for key in list(accuracies) if key.endswith("_raw")}
    main = [line_chart("loss", {"loss": lines["loss"]})] if "loss" in lines else []
    names = list(accuracies)
    for at in range(0, len(names), STYLES):
        group = {_words(name): accuracies[name] for name in names[at : at + STYLES]}
        main.append(line_chart("accuracy on test clips", group, percent=True, baselines=baselines))
    return Curves(main, [line_chart(_words(key), {_words(key): line}) for key, line in others.items()])


def _words(key: str) -> str:
    """A logged key in words."""
    return re.sub(r"^knn (\d+)", r"kNN, k = \1", key.replace("_", " ")).replace(" raw", " on raw coordinates")


def compare(embedder: Embedder, store: Store, split: str, fps: float | None = None) -> Compared:
    """Give each test clip the class of its nearest training clip, by cosine of the features.

    A run on all clips has no test clips; each is then compared with all others.

    Raises:
        UserError: no such split, or clips without labels.
    """
    sides = load_split(store, split)
    gallery = sides.train[store.label[sides.train] >= 0]
    queries = sides.test[store.label[sides.test] >= 0] if sides.test.size else gallery
    if len(gallery) < 2 or not queries.size:
        raise UserError(f"{store.path}: split {split!r} has too few clips with labels to compare")
    rows = np.union1d(gallery, queries)
    features = embedder.features(store, rows, progress=True)
    if not np.isfinite(features).all():
        raise UserError(f"{store.path}: the encoder's features of these clips hold NaN or infinity; train it again")
    of_gallery, of_queries = (features[np.searchsorted(rows, side)] for side in (gallery, queries))
    alone = not sides.test.size
    found, similarity = nearest(of_gallery, of_queries, min(_NEIGHBOURS + alone, len(gallery)))
    if alone:
        found, similarity = _without_self(found, similarity)
    near = gallery[found]
    truth, guess = store.label[queries], store.label[near[:, 0]]
    scores = score(truth, guess, store.num_classes)
    how = (
        "each of all clips, by its nearest other clip"
        if alone
        else f"each test clip of {split}, by its nearest training clip"
    )
    facts = [
        {"predicted": store.class_names[label], "prediction": "right" if label == own else "wrong"}
        for label, own in zip(guess, truth, strict=True)
    ]
    kept = np.unique(np.linspace(0, len(queries) - 1, min(MARKS, len(queries))).round().astype(int))
    return Compared(
        note=f"{100 * scores.accuracy:.1f} % of {len(queries)} clips are classified correctly: {how} (1-NN, cosine).",
        class_names=store.class_names,
        confusion=np.array(scores.confusion),
        clips=[shown(store, int(queries[at]), facts[at], fps) for at in kept],
        kinds=truth[kept],
        places=embedding_map(of_queries[kept]),
        failures=list(_examples(store, queries, near, similarity, np.array(scores.confusion), fps)),
    )


def embedding_map(features: np.ndarray, seed: int = 0) -> np.ndarray | None:
    """t-SNE of L2-normalised features, (N, D) -> (N, 2); None for fewer than eight."""
    from sklearn.manifold import TSNE  # slow to import
    from sklearn.preprocessing import normalize

    if len(features) < 8:
        return None
    perplexity = min(30.0, (len(features) - 1) / 3)
    unit = normalize(features.astype(np.float64))
    unit += 1e-9 * np.random.default_rng(seed).normal(size=unit.shape)  # features that are all alike have no axes
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(unit)


def _without_self(found: np.ndarray, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop each query, which is the gallery's row of its own number, from its neighbours: (Q, k + 1) -> (Q, k)."""
    others = found != np.arange(len(found))[:, None]
    others[others.all(1), -1] = False  # copies of it came first and crowded it out
    shape = (len(found), found.shape[1] - 1)
    return found[others].reshape(shape), similarity[others].reshape(shape)


def _examples(
    store: Store,
    queries: np.ndarray,
    near: np.ndarray,
    similarity: np.ndarray,
    confusion: np.ndarray,
    fps: float | None,
) -> Iterable[Failure]:
    """One clip of each of the most frequent confusions: the one that was most sure."""
    truth, guess = store.label[queries], store.label[near[:, 0]]
    for label, taken, number in worst(confusion, _EXAMPLES):
        candidates = np.flatnonzero((truth == label) & (guess == taken))
        at = candidates[similarity[candidates, 0].argmax()]
        names = store.class_names
        yield Failure(
            clip=shown(store, int(queries[at]), fps=fps),
            nearest=[
                shown(store, int(row), {"similarity": f"{value:.3f}"}, fps)
                for row, value in zip(near[at], similarity[at], strict=True)
            ],
            note=f"{names[label]}, predicted as {names[taken]}, {number} of {confusion[label].sum()} clips; such as:",
        )


def split_of(card: EncoderCard) -> str:
    """Name of the split that an encoder was trained on; all clips where its card does not say."""
    return card.data.split if card.data else "all"


def _recorded_store(card: EncoderCard) -> Path:
    return Path(card.data.store if card.data else "")


def _facts(config: dict[str, Any], card: EncoderCard | None, records: list[dict[str, Any]]) -> dict[str, str]:
    data, backbone = config.get("data", {}), config.get("backbone", {})
    facts = {
        "method": str(config.get("pretext", {}).get("name", "?")),
        "network": " ".join(str(backbone.get(key)) for key in ("name", "size") if backbone.get(key)),
        "data": f"{data.get('store')}, split {data.get('split')}, {data.get('stream')} stream",
        "epochs": f"{records[-1].get('epoch', '?') if records else 0} of {config.get('train', {}).get('epochs', '?')}",
    }
    if card is not None:
        facts["training time"] = f"{card.seconds / 60:.0f} min"
    return facts


def _recipe(path: Path, config: dict[str, Any], card: EncoderCard | None) -> Recipe:
    """How to train a run again: its config holds every value, whatever the command line changed."""
    file = path / "config.yaml"
    facts = {
        "seed": str(config.get("seed", "?")),
        "command": f"ssl-skel pretrain {shlex.quote(str(file))} name=again",
        "begun": date_of(file),
    }
    if card is not None:
        facts["ended"] = date_of(path / "encoder" / CARD)
        facts["code"] = card.revision or "unknown"
        facts["versions"] = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    return Recipe(facts, text_of(file))


def text_of(file: Path) -> str:
    """For people: what is no UTF-8 is shown as its numbers."""
    return file.read_bytes().decode("utf-8", "backslashreplace")


def date_of(file: Path) -> str:
    """When a file was written."""
    return f"{datetime.fromtimestamp(file.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC"
