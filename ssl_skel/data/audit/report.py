"""Writes what an audit found: JSON, markdown, a list of clips to exclude, a table on the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssl_skel.console import show_table
from ssl_skel.data.audit.clips import KINDS
from ssl_skel.data.audit.inspection import EXCLUDED, Audit
from ssl_skel.data.exclusions import format_exclusions
from ssl_skel.escaping import say
from ssl_skel.files.atomic import write_text
from ssl_skel.files.partial import whole_folder

_SHOWN = 10  # clips of a kind in the markdown; JSON has them all


def write_audit(audit: Audit, folder: Path, page: str, *, overwrite: bool = False) -> None:
    """Write a folder of ``audit.json``, ``audit.md``, ``audit.html`` and ``exclude.txt``; it appears when whole.

    Args:
        audit: the result.
        folder: to make.
        page: text of ``audit.html``.
        overwrite: replace an audit that is there.

    Raises:
        UserError: the folder is taken, or the disk is full.
    """
    texts = {
        "audit.json": json.dumps(audit.to_dict(), indent=1, ensure_ascii=False) + "\n",
        "audit.md": markdown(audit),
        "audit.html": page,
        "exclude.txt": exclude_list(audit),
    }
    with whole_folder(folder, overwrite=overwrite, kind="audit") as place:
        for name, text in texts.items():
            write_text(place / name, text)


def exclude_list(audit: Audit) -> str:
    """Text of ``exclude.txt``."""
    return format_exclusions({EXCLUDED[reason]: names for reason, names in audit.exclude.items()})


def markdown(audit: Audit) -> str:
    """Text of ``audit.md``."""
    lines = [f"# Audit of {audit.store['name']}", ""]
    lines += _table(("what", "value"), overview(audit))
    lines += ["", "## Splits", ""]
    lines += _table(SPLIT_COLUMNS, split_rows(audit)) if audit.splits else ["The store has no splits of its own."]
    listed = [f"- {note}" for note in notes(audit)]
    lines += ["", "## Worth knowing", "", *(listed or ["Nothing."])]
    lines += ["", "## Findings, clip by clip", ""]
    if not audit.findings:
        lines += ["None."]
    for kind, items in audit.findings.items():
        lines += [f"### {kind}: {len(items):,} clips", "", KINDS[kind].sentence, ""]
        rows = [(item["clip"], f"{item['value']:g}", item["where"]) for item in items[:_SHOWN]]
        lines += [*_table(("clip", "value", "where"), rows), ""]
        if len(items) > _SHOWN:
            lines += [f"{len(items) - _SHOWN:,} more are in `audit.json`.", ""]
    lines += ["", "## Clips that occur twice", ""]
    for title, _, groups in groups_of_clips(audit):
        lines += [f"### {title}: {len(groups):,}", ""]
        alike = [(", ".join(names), how) for names, how in groups[:_SHOWN]]
        lines += [*_table(("clips", "how alike"), alike), ""] if groups else []
        if len(groups) > _SHOWN:
            lines += [f"{len(groups) - _SHOWN:,} more are in `audit.json`.", ""]
    lines += ["## Thresholds", "", *_table(("limit", "value"), [(k, f"{v}") for k, v in audit.limits.items()])]
    return "\n".join(lines) + "\n"


def show(audit: Audit) -> None:
    """Print a short table."""
    for columns, rows in (((), overview(audit)), (SPLIT_COLUMNS, split_rows(audit))):
        if rows:
            show_table(columns, rows)
            say()
    for note in notes(audit):
        say(f"! {note}")


SPLIT_COLUMNS = (
    "split",
    "train",
    "test",
    "test: copies",
    "near",
    "shared frames",
    "subjects on both sides",
    "performances",
)


def overview(audit: Audit) -> list[tuple[str, str]]:
    """What the store holds and how much was found, as rows of a table."""
    known = audit.counts["dataset"]
    rows = [("data set", known or "none whose counts are known")]
    for key, value in audit.counts["counts"].items():
        published = audit.counts["published"].get(key)
        beside = "" if published is None else f" (published: {published:,})"
        rows.append((key, f"{value:,}{beside}"))
    store = audit.store
    rows.append(("joint positions filled", f"{store['filled']:,} of {store['joint_positions']:,}"))
    rows += [(f"left out: {what}", f"{number:,}") for what, number in store["left_out"].items() if number]
    rows.append(("copies", f"{sum(len(group) - 1 for group in audit.copies):,}"))
    rows.append(("near duplicates", f"{len(audit.exclude.get('near_copy', [])):,}"))
    rows.append(("pairs that share frames", f"{len(audit.overlaps):,}"))
    rows += [(kind, f"{len(items):,} clips: {KINDS[kind].meaning}") for kind, items in audit.findings.items()]
    excluded = len({name for names in audit.exclude.values() for name in names})
    return [*rows, ("proposed to exclude", f"{excluded:,} clips")]


def split_rows(audit: Audit) -> list[tuple[str, ...]]:
    """What each split has on both sides, as rows below ``SPLIT_COLUMNS``."""
    rows = []
    for name, facts in audit.splits.items():
        if "error" in facts:
            rows.append((name, facts["error"], *[""] * (len(SPLIT_COLUMNS) - 2)))
            continue
        twice = (len(facts[key]) for key in ("copies", "near", "overlaps"))
        numbers = (facts["train"], facts["test"], *twice, facts["subjects"], facts["performances"])
        rows.append((name, *(f"{number:,}" for number in numbers)))
    return rows


def groups_of_clips(audit: Audit) -> list[tuple[str, str, list[tuple[list[str], str]]]]:
    """Sorts of duplicates: title, meaning, and groups of clips with how alike they are."""
    near = [(group["clips"], f"{group['distance']:g} m") for group in audit.near]
    shared = [(pair["clips"], f"{100 * pair['share']:.0f} % of the shorter one") for pair in audit.overlaps]
    return [
        ("Copies", "one recording several times", [(names, "to the digit") for names in audit.copies]),
        ("Near duplicates", "nearly the same motion (root mean square distance between joints)", near),
        ("Pairs that share frames", "two cuts of one recording", shared),
    ]


def notes(audit: Audit) -> Iterator[str]:
    """What a reader should not miss."""
    yield from audit.notices
    yield from audit.store["dropped"]
    if not audit.splits:
        made = [name for name, reason in audit.derived_splits.items() if not reason]
        yield f"the store has no splits of its own; derived from its clips: {', '.join(made) or 'none'}"
        yield from (f"no split {name}: {reason}" for name, reason in audit.derived_splits.items() if reason)
    for name, facts in audit.splits.items():
        yield from (f"{name}: {note}" for note in facts.get("notes", ()))
    yield from audit.counts["differences"]
    yield from audit.balance["notes"]
    if audit.conflicts:
        first = ", ".join(audit.conflicts[0])
        yield f"recordings, or parts of them, with different labels: {len(audit.conflicts):,}, such as {first}"
    if audit.store["metres_in_a_unit"] != 1:
        yield (
            f"the store does not count in metres; one unit was taken for {audit.store['metres_in_a_unit']:.3g} m, "
            "so that the median clip is of human size"
        )
    if not audit.notices and len(audit.findings.get("size", ())) > audit.counts["counts"]["clips"] / 2:
        yield "most clips are not of human size: check the unit of the recordings"


def _table(columns: tuple[str, ...], rows: list[Any]) -> list[str]:
    """A markdown table; bars in cells are escaped."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
