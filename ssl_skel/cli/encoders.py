"""``ssl-skel encoders``: what is in the box. Nothing heavy is imported before the command is called."""

from __future__ import annotations

from typing import Any

from ssl_skel.cli.options import JsonOption

HEADER = ("name", "network", "MB", "licence", "trained on", "1-NN, linear (raw), %")


def encoders(json_: JsonOption = False) -> None:
    """List the pretrained encoders that come with the package.

    box/NAME works wherever the path of a run does, as in: ssl-skel index box/NAME stores/mine -o mine.index. Clips of
    any body layout are mapped to the encoder's. Figures are of frozen features on sets that no encoder was trained on.
    """
    from ssl_skel.console import show_table
    from ssl_skel.encoders.card import BOX, boxed_encoders
    from ssl_skel.escaping import show_json

    facts = [_facts(BOX / name) for name in boxed_encoders()]
    if json_:
        show_json(facts)
        return
    rows = []
    for fact in facts:
        figures = ", ".join(f"{one['dataset']} {one['text']}" for one in fact["figures"])
        size = f"{fact['megabytes']:.1f}"
        rows.append([fact["name"], fact["network"], size, fact["licence"], ", ".join(fact["data"]), figures])
    show_table(HEADER, rows)


def _facts(folder: Any) -> dict[str, Any]:
    """What is known of an encoder: from its card, and from the metadata of its model card."""
    from ssl_skel.encoders.card import WEIGHTS, load_card
    from ssl_skel.encoders.model_card import read_metadata

    card, metadata = load_card(folder), read_metadata(folder)
    return {
        "name": f"box/{folder.name}",
        "network": f"{card.backbone['name']} {card.backbone.get('size', '')}".strip(),
        "megabytes": (folder / WEIGHTS).stat().st_size / 1e6,
        "licence": metadata["license"],
        "data": metadata["datasets"],
        "layout": card.layout["name"],
        "figures": _figures(metadata),
    }


def _figures(metadata: Any) -> list[dict[str, Any]]:
    """Figures of the model index, one entry per data set."""
    found = []
    for result in metadata["model-index"][0]["results"]:
        values = {metric["name"]: metric["value"] for metric in result["metrics"]}
        text = f"{values['1-NN']:.1f}, {values['linear']:.1f} ({values['raw 1-NN']:.1f}, {values['raw linear']:.1f})"
        found.append({"dataset": result["dataset"]["name"], "values": values, "text": text})
    return found
