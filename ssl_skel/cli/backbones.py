"""``ssl-skel backbones``: the networks side by side, with their published sizes. Nothing heavy is imported before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ssl_skel.cli.options import JsonOption
from ssl_skel.escaping import say, show_json

if TYPE_CHECKING:
    from ssl_skel.encoders.cost import Budget, Published

_UNITS = {"parameters": (1e6, "M"), "multiply_adds": (1e9, "G")}
_SMALLER = {"parameters": (1e3, "k"), "multiply_adds": (1e6, "M")}
"""For sizes below ``base``."""


def backbones(
    rows: Annotated[list[str] | None, typer.Argument(metavar="NETWORK", help="Networks; default: all.")] = None,
    size: Annotated[Literal["tiny", "small", "base"], typer.Option(help="Size of each; base is as published.")] = (
        "base"
    ),
    rate: Annotated[bool, typer.Option("--rate", help="Also measure the training speed on this machine.")] = False,
    json_: JsonOption = False,
) -> None:
    """List the networks with their cost, next to the published figures.

    Parameters and multiply-adds of one clip with two persons, 64 frames (or the nearest that the stride divides) and
    25 joints, a linear head of 60 classes included. --rate adds clips a second of training, 8 a step, on the CPU.
    """
    from ssl_skel.backbones import BACKBONES
    from ssl_skel.progress import progress

    for row in rows or ():
        BACKBONES.config(row, "backbones")
    bar = progress(list(rows or BACKBONES), "networks", unit="network", leave=False)
    facts = [_facts(row, size, rate) for row in bar]
    if json_:
        show_json(facts)
    else:
        _print(facts, rate)


def _facts(row: str, size: str, rate: bool) -> dict[str, Any]:
    """What is known of a network: ours, the published figures, and ours under their conditions."""
    from ssl_skel.encoders.cost import load_published, measure, training_rate

    ours, known = measure(row, size), load_published().get(row) if size == "base" else None
    facts: dict[str, Any] = {"row": row, "size": size} | ours._asdict()
    facts["published"] = None if known is None else known.model_dump() | {"ours": _there(row, ours, known)}
    if rate:
        facts["clips_per_second"] = training_rate(row, size)
    return facts


def _there(row: str, ours: Budget, known: Published) -> dict[str, int]:
    from ssl_skel.encoders.cost import measure

    usual = (known.frames, known.persons, known.layout) == (64, 2, "ntu25")
    found = ours if usual else measure(row, "base", known.frames, known.persons, known.layout)
    return {"parameters": found.parameters, "multiply_adds": found.multiply_adds}


def _print(facts: list[dict[str, Any]], rate: bool) -> None:
    from ssl_skel.console import show_table

    rows, units = [], _UNITS if facts[0]["size"] == "base" else _SMALLER
    for fact in facts:
        cells = [fact["row"]]
        for name, (unit, _) in units.items():
            cells += [f"{fact[name] / unit:.2f}", _published(fact, name, unit)]
        cells += [str(fact["frames"]), str(fact["t_stride"]), "kept" if fact["keeps_joints"] else "merged"]
        rows.append([*cells, *([f"{fact['clips_per_second']:.1f}"] if rate else [])])
    (_, params), (_, adds) = units.values()
    costs = [f"{params} params", "(published)", f"{adds} mult-adds", "(published)"]
    header = ["network", *costs, "frames", "stride", "joints"]
    show_table([*header, *(["clips/s"] if rate else [])], rows)
    for note in (note for fact in facts for note in _note(fact)):
        say(note)
    say("?: not found. *: counted or published for another input; the network's line has ours for that input.")


def _published(fact: dict[str, Any], name: str, unit: float) -> str:
    """A published figure, marked with a star where its conditions differ from the table's."""
    if fact["size"] != "base":
        return "-"
    known = fact["published"]
    if known is None or known[name] is None:
        return "?"
    return f"{known[name]:.2f}" + ("" if known["ours"][name] == fact[name] else " *")


def _note(fact: dict[str, Any]) -> list[str]:
    known = fact["published"]
    if known is None:
        return []
    persons = "one person" if known["persons"] == 1 else f"{known['persons']} persons"
    where = f"{known['frames']} frames, {persons}, {known['layout']}"
    ours, parts = known["ours"], []
    for name, (unit, word) in _UNITS.items():
        if known[name] is not None and ours[name] != fact[name]:
            parts.append(f"{ours[name] / unit:.2f} {word}")
    there = f" (* ours for it: {', '.join(parts)})" if parts else ""
    remark = f"; {known['remark']}" if known["remark"] else ""
    return [f"{fact['row']}: {known['kind']}, {known['source']}; {where}{there}{remark}"]
