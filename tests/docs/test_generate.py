"""Pages made from the code, and pages that quote it."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

import ssl_skel
from finetune.protocols import PROTOCOLS
from ssl_skel.backbones import BACKBONES
from ssl_skel.cli.app import build
from ssl_skel.data.readers import READERS
from ssl_skel.layouts import LAYOUTS
from ssl_skel.pretexts import PRETEXTS

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _generators(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``docs/generate`` can be imported from, as ``python docs/generate`` does."""
    monkeypatch.syspath_prepend(str(ROOT / "docs/generate"))
    yield
    for name in ("commands", "layouts", "gallery", "results"):
        sys.modules.pop(name, None)


def test_the_page_of_commands_has_every_command_with_its_options() -> None:
    import commands

    sections = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", commands.page(), re.DOTALL | re.MULTILINE))
    found = typer.main.get_command(build()).commands  # type: ignore[attr-defined]
    assert sections.keys() == found.keys()
    for name, command in found.items():
        for option in command.params:
            if option.param_type_name == "option" and not option.hidden:
                assert f"`{option.opts[0]}`" in sections[name]
                assert (option.help or "").split(".")[0].split("[")[0] in sections[name].replace("\\", "")


def test_every_layout_has_a_picture_with_each_joint_in_a_place_of_its_own() -> None:
    import layouts

    for name in LAYOUTS:
        assert len(set(layouts.places(LAYOUTS[name]))) == LAYOUTS[name].num_joints, name
        assert layouts.picture(LAYOUTS[name]).count("<circle") == LAYOUTS[name].num_joints


def test_a_cell_of_the_gallery_is_shown_with_what_it_prints(tmp_path: Path) -> None:
    import gallery

    script = tmp_path / "one.py"
    script.write_text("# %% [markdown]\n# # Title\n\n# %%\nprint(6 * 7)\n\n# %%\nraise SystemExit(3)\n")
    with pytest.raises(SystemExit):
        gallery.run(script)
    script.write_text(script.read_text().rpartition("# %%")[0])
    text, pictures = gallery.run(script)
    assert text.startswith("# Title\n\n```python\nprint(6 * 7)\n```\n\n```text\n42\n```")
    assert pictures == {}


def test_the_messages_in_troubleshooting_are_those_of_the_code() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
    code = "".join(
        path.read_text("utf-8") for room in ("ssl_skel", "pretrain", "finetune") for path in (ROOT / room).rglob("*.py")
    )
    code = re.sub(r'"\n\s*f?"', "", code)  # one message over several lines
    messages = re.findall(r"^### `(.*)`$", page, re.MULTILINE)
    assert len(messages) > 8
    for message in messages:
        for part in message.split("…"):
            assert part.strip("; ") in code, message


def test_one_version_is_named_everywhere() -> None:
    changes = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"]
    (printed,) = re.findall(r"version = \{(.*)\}", (ROOT / "README.md").read_text("utf-8"))
    assert changes[0] == cited == printed == ssl_skel.__version__


def test_pages_name_every_entry_of_a_registry() -> None:
    pages = ((READERS, "formats"), (BACKBONES, "networks"), (PRETEXTS, "networks"), (PROTOCOLS, "evaluation"))
    for registry, page in pages:
        text = (ROOT / f"docs/{page}.md").read_text("utf-8")
        assert [name for name in registry if not re.search(rf"\b{name}\b", text)] == []


def test_every_network_and_pretext_is_held_to_a_source_by_a_test_that_exists() -> None:
    page = (ROOT / "docs/networks.md").read_text("utf-8")
    lines = page.partition("## Held to their sources")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]
    systems = " ".join(row[0] for row in rows)
    assert [name for name in (*BACKBONES, *PRETEXTS) if not re.search(rf"\b{name}\b", systems)] == []
    tests = {path.name for path in (ROOT / "tests").rglob("*.*")}
    for row in rows:
        held = re.findall(r"`(\w+)(\.py)?`", row[4])
        assert held, row
        assert [name for name, ending in held if name + (ending or ".npz") not in tests] == []


def test_the_page_of_installation_has_every_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    page = (ROOT / "docs/install.md").read_text("utf-8")
    assert [name for name in extras if f"| `{name}` |" not in page] == []


def test_every_page_is_in_the_menu() -> None:
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    menu = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert [page for page in pages if f": {page}\n" not in menu and not page.startswith("decisions/0")] == []
