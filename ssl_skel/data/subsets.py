"""Label subsets: few of the training clips, the same ones in every process and in every year.

A subset is drawn class by class, from a seed and from nothing else but the store and its training clips.
It is written to ``<store>/subsets/<split>_<budget>_seed<k>.json`` with its clips' names and a hash when first
requested, and read from there afterwards, since NumPy may change what a seed draws.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel.data.derived_splits import fold_names, offered
from ssl_skel.data.split_form import split_without_suffix
from ssl_skel.data.splits import Split, load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.files.atomic import write_json
from ssl_skel.plain_json import parse_json

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Budget:
    """How many labels: a share of each class, or a number of clips of each class.

    Attributes:
        fraction: between 0 and 1; every class keeps at least one clip.
        per_class: clips per class.
    """

    fraction: float | None = None
    per_class: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is not a budget.

        Raises:
            UserError: not exactly one of the two, or out of range.
        """
        if (self.fraction is None) == (self.per_class is None):
            raise UserError("a label budget is a fraction or a number per class: give one of the two")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise UserError(f"fractions: each must lie between 0 and 1, got {self.fraction:g}; 0.01 is 1 %")
        if self.per_class is not None and self.per_class < 1:
            raise UserError(f"per_class: must be at least 1, got {self.per_class}")

    def __str__(self) -> str:
        """Such as ``1 %`` or ``5-shot``."""
        if self.fraction is None:
            return f"{self.per_class}-shot"
        return f"{(100 * Decimal(str(self.fraction))).normalize():f} %"

    @property
    def slug(self) -> str:
        """For names of files, such as ``0.01`` or ``5_a_class``."""
        return f"{self.per_class}_a_class" if self.fraction is None else str(self.fraction)

    def quota(self, clips: int) -> int:
        """Clips kept of a class with this many, at least one."""
        if self.per_class is not None:
            return min(self.per_class, clips)
        assert self.fraction is not None
        return max(1, int(self.fraction * clips + 0.5))


@dataclass(frozen=True, eq=False)
class Subset:
    """A drawn subset.

    Attributes:
        rows: (n,) int64 rows of the store, ascending.
        sha256: of the clips' names and labels, and of everything they were drawn from.
        notes: what a reader of figures from it should know.
    """

    rows: np.ndarray
    sha256: str
    notes: tuple[str, ...]


def label_subset(store: Store, split: Split, budget: Budget, seed: int) -> Subset:
    """The training clips of a split whose labels may be used, classes as frequent as in all of them.

    Each class keeps its share of clips, rounded, and at least one. Clips without a label are never drawn. A
    split and its deduplicated variant have the same subsets.

    Args:
        store: the clips; where its folder cannot be written to, the subset is drawn again each time.
        split: its training rows are drawn from.
        budget: how many.
        seed: not negative.

    Raises:
        UserError: no labelled training clip, or the file that holds the subset does not fit the store.
    """
    labelled = split.train[store.label[split.train] >= 0]
    if not len(labelled):
        raise UserError(f"{store.path}: split {split.name!r}: train has no labelled clips; choose another split")
    origin: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "store": store.sha256,
        "split": split_without_suffix(split.name),
        "fraction": budget.fraction,
        "per_class": budget.per_class,
        "seed": seed,
    }
    file = store.path / "subsets" / f"{origin['split']}_{budget.slug}_seed{seed}.json"
    notes = _notes(store, labelled, budget)
    if file.exists():
        rows, digest = _read(store, file, origin, labelled)
        return Subset(rows, digest, notes)
    rows = _draw(store, labelled, budget, json.dumps(origin))
    digest = _hash(store, rows, origin)
    try:
        write_json(
            file,
            {**origin, "sha256": digest, "clips": store.name[rows].tolist()},
            remedy="the label subset is drawn again each time",
        )
    except UserError as error:
        notes = (*notes, str(error))
    return Subset(rows, digest, notes)


def describe_splits(path: Path, split: str = "") -> dict[str, Any]:
    """Splits of a store, recorded and derived: clips that train and test, or why there is no such split.

    Args:
        path: folder of the store.
        split: only this one; "" for all.

    Raises:
        UserError: no store there, or no such split.
    """
    store = Store.open(path)
    names = [split] if split else [*store.splits, *offered(store)]
    facts: dict[str, Any] = {}
    for name in (fold for one in names for fold in fold_names(store, one)):
        try:
            rows = load_split(store, name)
            facts[name] = {"train": len(rows.train), "test": len(rows.test)}
        except UserError as error:
            if split:
                raise
            facts[name] = str(error).removeprefix(f"{path}: ")
    return facts


def describe_subsets(
    path: Path, split: str, fractions: Sequence[float], per_class: Sequence[int], seeds: Iterable[int]
) -> dict[str, Any]:
    """Subsets of a store in plain words: clips, clips of each class, hash, notes.

    Args:
        path: folder of the store.
        split: name of a split; "" for all that the store records, or else all that can be derived, without single
            folds.
        fractions, per_class: budgets.
        seeds: each budget is drawn once per seed.

    Raises:
        UserError: no budget, or as ``label_subset``.
    """
    budgets = [*(Budget(fraction=share) for share in fractions), *(Budget(per_class=n) for n in per_class)]
    if not budgets:
        raise UserError("split: no budget; give --fractions 0.01,0.1 or --per-class 1,5")
    store = Store.open(path)
    facts: dict[str, Any] = {"store": str(path)}
    derived = [name for name, reason in offered(store).items() if not reason and fold_names(store, name) == (name,)]
    for name in [split] if split else list(store.splits) or derived:
        rows = load_split(store, name)
        for budget in budgets:
            for seed in seeds:
                subset = label_subset(store, rows, budget, seed)
                count = np.bincount(store.label[subset.rows], minlength=store.num_classes)
                facts[f"{name}, {budget}, seed {seed}"] = {
                    "clips": len(subset.rows),
                    "of": len(rows.train),
                    "each class": dict(zip(store.class_names, count.tolist(), strict=True)),
                    "sha256": subset.sha256,
                    "notes": list(subset.notes),
                }
    return facts


def _draw(store: Store, labelled: np.ndarray, budget: Budget, key: str) -> np.ndarray:
    """Rows, class by class; the random numbers follow from the key and the names drawn from."""
    text = "\n".join([key, *store.name[labelled].tolist()])
    rng = np.random.default_rng(np.frombuffer(hashlib.sha256(text.encode()).digest(), "<u4"))
    label = store.label[labelled]
    chosen = []
    for value in np.unique(label):
        rows = labelled[label == value]
        chosen.append(rng.permutation(rows)[: budget.quota(len(rows))])
    return np.sort(np.concatenate(chosen))


def _notes(store: Store, labelled: np.ndarray, budget: Budget) -> tuple[str, ...]:
    """Notes on classes that rounding or a shortage made different from the request."""
    _, count = np.unique(store.label[labelled], return_counts=True)
    if budget.per_class is not None:
        short = int((count < budget.per_class).sum())
        return (f"{short} classes have fewer than {budget.per_class} training clips and keep all",) if short else ()
    assert budget.fraction is not None
    raised = int((budget.fraction * count < 0.5).sum())
    if not raised:
        return ()
    total = sum(budget.quota(int(n)) for n in count)
    return (
        f"{budget} is less than one clip for {raised} of {len(count)} classes: one is kept of each, "
        f"{total} of {len(labelled)} clips ({100 * total / len(labelled):.1f} %)",
    )


def _hash(store: Store, rows: np.ndarray, origin: dict[str, Any]) -> str:
    lines = [f"{store.name[row]}\t{store.label[row]}" for row in rows]
    return hashlib.sha256("\n".join([json.dumps(origin), *lines]).encode()).hexdigest()


def _read(store: Store, file: Path, origin: dict[str, Any], labelled: np.ndarray) -> tuple[np.ndarray, str]:
    """Rows and hash from a file; it must be whole, and of this store, its labels and this split.

    Raises:
        UserError: it is not.
    """
    try:
        data = parse_json(file.read_bytes())
        clips = data.pop("clips")
        if not isinstance(clips, list) or not all(isinstance(clip, str) for clip in clips):
            raise ValueError("clips is not a list of names")
        names = set(clips)  # an array would give every name the room of the longest
        digest = str(data.pop("sha256"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: is damaged; remove it, and the subset is drawn again") from error
    rows = labelled[[name in names for name in store.name[labelled].tolist()]]
    if data != origin or len(rows) != len(clips) or _hash(store, rows, origin) != digest:
        raise UserError(
            f"{file}: does not fit the store, its labels or the split, or was edited; "
            "remove it, and the subset is drawn again"
        )
    return rows, digest
