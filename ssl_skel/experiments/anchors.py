"""Published figures for comparison: ``anchors.yaml``, and where they apply."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from ssl_skel.config import Section, parse_config
from ssl_skel.evaluation.report import Measurement, Report, kind_of
from ssl_skel.plain_json import parse_json
from ssl_skel.plain_yaml import read_yaml

_NTU = ("ntu", "ctrgcn", "pyskl", "stgcn")


class Anchor(Section):
    """One published figure and the conditions under which it compares."""

    dataset: str
    """See ``dataset_of``."""
    split: str
    """Split of the store; no other variant has the same test clips."""
    measures: tuple[str, ...]
    """Names of measures, as reports have them; a ``*`` stands for anything."""
    features: str
    """Kind of features: ``pretrained`` or ``scratch``."""
    accuracy: float
    """Per cent."""
    method: str
    """Name in the field."""
    source: str
    """Where it was published."""
    remark: str = ""
    """What differs from the usual protocol."""

    def __str__(self) -> str:
        """Such as ``SOfA 92.9``."""
        return f"{self.method} {self.accuracy:.1f}"

    def cite(self) -> str:
        """The source, with the remark."""
        return f"{self.method}: {self.source}" + (f" ({self.remark})" if self.remark else "")


class _Published(Section):
    """A method's figures by one protocol: accuracy in per cent by split, otherwise as in ``Anchor``."""

    dataset: str
    measures: tuple[str, ...]
    features: str
    accuracy: dict[str, float]
    method: str
    source: str
    remark: str = ""


class _Anchors(Section):
    rows: tuple[_Published, ...]


@cache
def load_anchors() -> tuple[Anchor, ...]:
    """All published figures that come with the package."""
    path = Path(__file__).with_name("anchors.yaml")
    rows = parse_config(_Anchors, {"rows": read_yaml(path.read_text("utf-8"), path.name)}, path.name).rows
    return tuple(
        Anchor(split=split, accuracy=accuracy, **row.model_dump(exclude={"accuracy"}))
        for row in rows
        for split, accuracy in row.accuracy.items()
    )


def anchors_for(dataset: str, row: Measurement) -> tuple[Anchor, ...]:
    """Published figures of the same data set, split and protocol, best first."""
    kind = kind_of(row.features)
    fits = [
        anchor
        for anchor in load_anchors()
        if (anchor.dataset, anchor.split, anchor.features) == (dataset, row.split, kind)
        and any(fnmatchcase(row.measure, pattern) for pattern in anchor.measures)
    ]
    return tuple(sorted(fits, key=lambda anchor: -anchor.accuracy))


def dataset_of(report: Report) -> str:
    """Format that the report's store was converted from; "" if the store is gone or has changed since.

    NTU RGB+D comes in several formats, and is recognised by its number of classes: ``ntu60``, ``ntu120``.
    """
    try:
        meta = parse_json((Path(report.store) / "meta.json").read_bytes())
        found = str(meta["provenance"]["format"]) if meta["sha256"] == report.sha256 else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f"ntu{len(report.class_names)}" if found in _NTU else found
