"""Several stores, of any layouts, as one: a corpus to pretrain on.

Clips and splits are named after their store: ``nw_ucla_a01_s01_e00_v01``, ``nw_ucla_xview``. Numbers of subjects,
cameras, setups, replications and recordings are moved apart by a round number for each store, so that no two stores
share one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ssl_skel import __version__
from ssl_skel.data.clip import RawClip
from ssl_skel.data.meta import Provenance
from ssl_skel.data.normalize import CENTRES, NormalizeConfig, normalize, require_normalization
from ssl_skel.data.splits import value_number
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout, load_layout
from ssl_skel.layouts.mapping import joint_map
from ssl_skel.names import check_path_name
from ssl_skel.progress import Progress
from ssl_skel.progress import progress as show_progress

_APART = ("subject", "camera", "setup", "replication", "recording")
_ORDERS = ("none", "pooled", "per_joint")  # if a store was ordered by the former rule, so is the whole


def merge(
    stores: Sequence[Path | str], output: Path | str, layout: str, *, overwrite: bool = False, progress: bool = True
) -> Path:
    """Join stores.

    Joints are mapped to the layout by ``joint_map``; a joint that a store lacks takes its parent's place. All clips
    are then normalised the same way, in the new layout: in each respect like the store to which most was done, since
    turning and scaling cannot be undone. Classes of different stores stay separate, even with the same name. Content
    hashes are those of the recordings, so that copies are found across stores too.

    Splits: each store's own, as ``<store>_<split>``, except those that name unknown numbers (-1); and
    ``<store>_<split>_with_others``, which tests on the same clips and trains on the rest of all stores, if one column
    defines the test side.

    Args:
        stores: folders, of different names.
        output: folder to make.
        layout: name or path of the layout to take all to.
        overwrite: replace the output, after success.
        progress: show a bar.

    Returns:
        The output.

    Raises:
        UserError: a store is damaged, two have one name, a name cannot be a file name, some are 2D, one has no joint
            of the layout, or two are parts of one conversion.
    """
    opened = {Path(os.path.realpath(path)).name: Store.open(path) for path in stores}
    target = load_layout(layout)
    if any(store.layout.score for store in opened.values()):
        target = target.with_score()
    if len(opened) < len(stores) or not opened:
        raise UserError("stores: give at least one, all of different names; clips are named after them")
    _check(opened, target)
    config = _most_done(opened)
    shifts, labels = _shifts(opened), _label_shifts(opened)
    class_names = [f"{name}: {label}" for name, store in opened.items() for label in store.class_names]
    with (
        StoreWriter(
            output,
            target,
            class_names,
            splits=_splits(opened, shifts, labels),
            value_names=_value_names(opened, shifts),
            provenance=Provenance(
                format="merge",
                stores=tuple(_part(name, store, target, config, shifts[name]) for name, store in opened.items()),
                tool=f"ssl-skel {__version__}",
                date=datetime.now(UTC).isoformat(timespec="seconds"),
            ),
            normalization=config,
            overwrite=overwrite,
            inputs=[store.path for store in opened.values()],
        ) as writer,
        show_progress(title="merge", total=sum(map(len, opened.values())), unit="clip", hidden=not progress) as bar,
    ):
        for name, store in opened.items():
            _add(writer, name, store, config, shifts[name], labels[name], bar)
    return Path(output)


def _add(
    writer: StoreWriter, name: str, store: Store, config: NormalizeConfig, shift: int, label_shift: int, bar: Progress
) -> None:
    """Write all clips of a store."""
    take = joint_map(store.layout, writer.layout)
    # an order that a store has stays: it was found on all joints, before gaps were filled
    how = config if _config(store).order_persons == "none" else config.model_copy(update={"order_persons": "none"})
    columns = {column: _moved(store, column, shift).tolist() for column in _APART}
    labels = np.where(store.label >= 0, store.label + label_shift, -1).tolist()
    for i in range(len(store)):
        joints, missing = normalize(take(store.clip(i)), writer.layout, how)
        own = {column: values[i] for column, values in columns.items()}
        clip = RawClip(f"{name}_{store.name[i]}", joints, labels[i], fps=float(store.fps[i]), **own)
        writer.add(clip, int(store.content[i]))
        writer.filled += missing
        bar.update()


def _check(stores: Mapping[str, Store], target: SkeletonLayout) -> None:
    _refuse_parts(stores.values())
    channels = {store.channels for store in stores.values()}
    if len(channels) > 1:
        found = ", ".join(f"{name} {store.channels}" for name, store in stores.items())
        raise UserError(f"stores: have different numbers of coordinates ({found}); merge 2D and 3D separately")
    for name, store in stores.items():
        check_path_name(name, f"{store.path}: name of the folder, which begins the names of splits")
        for split in store.splits:
            check_path_name(split, f"{store.path}: splits")
        if len(joint_map(store.layout, target).missing) == target.num_joints:
            raise UserError(f"{store.path}: {store.layout.name} has no joint of {target.name}; leave the store out")


def _refuse_parts(stores: Iterable[Store]) -> None:
    """Refuse two parts of one conversion, since the numbers of their subjects would be moved apart."""
    known: dict[str, Store] = {}
    for store in stores:
        if shard := store.provenance.shard:
            other = known.setdefault(shard.files, store)
            if other is not store:
                what = f"is part {shard.number}/{shard.of} of the conversion that {other.path} is a part of"
                raise UserError(f"{store.path}: {what}; join the parts first, with ssl-skel merge-shards")


def _config(store: Store) -> NormalizeConfig:
    """What a store's clips underwent."""
    return require_normalization(store.normalization, str(store.path))


def _most_done(stores: Mapping[str, Store]) -> NormalizeConfig:
    configs = [_config(store) for store in stores.values()]
    return NormalizeConfig(
        centre=max((config.centre for config in configs), key=CENTRES.index),
        orient=any(config.orient for config in configs),
        align=any(config.align for config in configs),
        scale=any(config.scale for config in configs),
        order_persons=max((config.order_persons for config in configs), key=_ORDERS.index),
    )


def _shifts(stores: Mapping[str, Store]) -> dict[str, int]:
    """What is added to the numbers of each store: 0, 1000, 2000, … if all have at most three digits."""
    largest = max(int(getattr(store, column).max()) for store in stores.values() for column in _APART)
    apart: int = 10 ** len(str(max(largest, 1)))
    return {name: number * apart for number, name in enumerate(stores)}


def _label_shifts(stores: Mapping[str, Store]) -> dict[str, int]:
    ends = np.cumsum([store.num_classes for store in stores.values()])
    return {name: int(end) - store.num_classes for (name, store), end in zip(stores.items(), ends, strict=True)}


def _moved(store: Store, column: str, shift: int) -> np.ndarray:
    """(N,) numbers of a column; -1 stays unknown."""
    numbers: np.ndarray = getattr(store, column)
    return np.where(numbers >= 0, numbers + shift, -1)


def _value_names(stores: Mapping[str, Store], shifts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Names of subjects and the like, each prefixed with its store's: subject 3 of store ``a`` may also be 3 in another
    store.
    """
    return {
        column: {
            f"{name}_{value}": number + shifts[name]
            for name, store in stores.items()
            for value, number in store.value_names.get(column, {}).items()
        }
        for column in _APART
        if any(column in store.value_names for store in stores.values())
    }


@dataclass(frozen=True)
class _Renaming:
    """What names, numbers and labels of one store become."""

    name: str
    store: Store
    shift: int
    label_shift: int

    def value(self, column: str, value: Any) -> Any:
        """A name, a number or a label, which is known."""
        if column == "name":
            return f"{self.name}_{value}"
        return value_number(self.store, column, value) + (self.label_shift if column == "label" else self.shift)

    def split(self, sides: Mapping[str, Any]) -> dict[str, Any]:
        """A split of the store, in the form of ``ssl_skel.data.splits``."""
        renamed: dict[str, Any] = {
            side: {column: [self.value(column, value) for value in values] for column, values in sides[side].items()}
            for side in ("train", "test")
        }
        if "exclude" in sides:
            renamed["exclude"] = [self.value("name", clip) for clip in sides["exclude"]]
        return renamed


def _splits(stores: Mapping[str, Store], shifts: Mapping[str, int], labels: Mapping[str, int]) -> dict[str, Any]:
    """Each store's splits, and, if one column defines the test side, the same with all the rest as training clips."""
    known = _known_values(stores, shifts)
    splits: dict[str, Any] = {}
    for name, store in stores.items():
        renaming = _Renaming(name, store, shifts[name], labels[name])
        for split, sides in store.splits.items():
            if _asks_for_unknown(sides):
                continue
            own = renaming.split(sides)
            splits[f"{name}_{split}"] = own
            if len(own["test"]) == 1:
                ((column, tested),) = own["test"].items()
                rest = sorted(known[column] - set(tested))
                splits[f"{name}_{split}_with_others"] = own | {"train": {column: rest}}
    return splits


def _known_values(stores: Mapping[str, Store], shifts: Mapping[str, int]) -> dict[str, set[Any]]:
    """All values of each column in the merged store, -1 for unknown ones among them."""
    known: dict[str, set[Any]] = {
        column: {int(n) for name, store in stores.items() for n in _moved(store, column, shifts[name])}
        for column in _APART
    }
    known["label"] = {-1, *range(sum(store.num_classes for store in stores.values()))}
    known["name"] = {f"{name}_{clip}" for name, store in stores.items() for clip in store.name}
    return known


def _asks_for_unknown(sides: Mapping[str, Any]) -> bool:
    """Whether a split names the number -1; in the merged store it would take in clips of other stores."""
    return any(-1 in values for side in ("train", "test") for values in sides[side].values())


def _part(name: str, store: Store, target: SkeletonLayout, config: NormalizeConfig, shift: int) -> dict[str, Any]:
    """What is recorded about one store."""
    before = _config(store).model_dump(mode="json")
    return {
        "name": name,
        "sha256": store.sha256,
        "clips": len(store),
        "layout": store.layout.name,
        "missing": list(joint_map(store.layout, target).missing),
        "numbers_moved_by": shift,
        "normalization": before,
        "redone": {key: [before[key], value] for key, value in config.model_dump().items() if before[key] != value},
        "provenance": store.provenance.to_dict(),
    }
