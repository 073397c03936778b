"""Tables of a page: plain ones, matrices whose cells are shaded, and confusion matrices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

import numpy as np


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table of text."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return _scrolling(f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def share_table(
    shares: np.ndarray, rows: Sequence[str], columns: Sequence[str], corner: str, *, numbers: bool = False
) -> str:
    """A matrix of attention on a diverging scale: an even share has no colour.

    Args:
        shares: (R, C), positive; 1 is an even share. Half of it and twice as much have the full colours.
        rows, columns: names.
        corner: what rows and columns are.
        numbers: write them into the cells; else the cells are small, and a number shows under the pointer.
    """
    lines = []
    for name, line in zip(rows, shares, strict=True):
        cells = []
        for value in line.tolist():
            level = int(np.clip(round(4 * np.log2(max(value, 1e-9))), -4, 4))
            kind = f' class="{"less" if level < 0 else "more"}{abs(level)}"' if level else ""
            cells.append(f"<td{kind}>{value:.2f}</td>" if numbers else f'<td{kind} title="{value:.2f}"></td>')
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return _matrix(_heads(columns), lines, corner, "heat" if numbers else "heat small")


def confusion_table(confusion: np.ndarray, names: Sequence[str], gallery: str = "") -> str:
    """A confusion matrix in per cent of each true class, with the clips of each true and each predicted class.

    Args:
        confusion: (K, K) clips of class (row) predicted as class (column). Classes without clips have no row.
        names: of the classes.
        gallery: name of the page's gallery whose clips a cell selects, by their facts ``class`` and ``predicted``;
            empty: the page has none.
    """
    count = confusion.sum(1)
    lines = []
    for row in np.flatnonzero(count).tolist():
        cells = []
        for column, number in enumerate(confusion[row].tolist()):
            share = number / count[row]
            text = f"{100 * share:.0f}" if number else ""
            if number and gallery:
                words = f"{names[row]} predicted as {names[column]}: {number} of {count[row]} clips"
                filters = json.dumps({"class": names[row], "predicted": names[column]})
                text = (
                    f'<button class="cell" data-gallery-of="{escape(gallery)}" data-filter="{escape(filters)}" '
                    f'title="{escape(words)}" aria-label="{escape(words)}">{text}</button>'
                )
            own = " own" if row == column else ""
            cells.append(f'<td class="h{min(9, int(10 * share))}{own}">{text}</td>')
        lines.append(f'<tr><th scope="row">{escape(names[row])}</th>{"".join(cells)}<td>{count[row]}</td></tr>')
    totals = "".join(f"<td>{number}</td>" for number in confusion.sum(0).tolist())
    lines.append(f'<tr><th scope="row">clips</th>{totals}<td>{count.sum()}</td></tr>')
    return _matrix(_heads([*names, "clips"]), lines, "true / predicted", "heat")


def _heads(names: Sequence[str]) -> str:
    return "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)


def _matrix(heads: str, lines: Sequence[str], corner: str, kind: str) -> str:
    return _scrolling(
        f'<table class="{kind}"><thead><tr><td class="corner">{escape(corner)}</td>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _scrolling(table: str) -> str:
    """A wide table scrolls on its own, also by keyboard."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="Table">{table}</div>'
