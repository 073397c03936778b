"""What README.md, docs and the headers of shipped configs print: commands that the command line accepts, Python that
uses public names, links to files and headings that exist."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

import ssl_skel
from finetune.config import FinetuneConfig
from pretrain.config import PretrainConfig
from ssl_skel.cli.app import build
from ssl_skel.config import load_config
from ssl_skel.experiments.sweep import plan, verb_for

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
RESULTS = sorted(ROOT.glob("results/*.json"))
MODELS = {"pretrain": PretrainConfig, "finetune": FinetuneConfig}


def printed() -> list[str]:
    """Commands that stand on lines of their own, without what follows two blanks or a ``#``."""
    files = [*PAGES, *sorted(ROOT.glob("configs/*/*.yaml"))]
    lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    lines = [re.sub(r"^(?:srun )?torchrun .* -m (pretrain|finetune)", r"ssl-skel \1", line) for line in lines]
    found = [re.match(r"(?:# )?(ssl-skel [a-z].*?)(?:   .*| +#.*)?$", line) for line in lines]
    return sorted({match[1] for match in found if match})


def mentioned() -> list[str]:
    """Commands within sentences, whose words may stand for others, such as ``ssl-skel view STORE``."""
    text = "".join(page.read_text("utf-8") for page in PAGES)
    return sorted(set(re.findall(r"`(ssl-skel [a-z][^`\n]*)`", text)))


@cache
def commands() -> dict[str, typer.core.TyperCommand]:
    """The verbs with their options, as the command line has them."""
    return typer.main.get_command(build()).commands  # type: ignore[attr-defined, no-any-return]


def understood(line: str) -> list[PretrainConfig | FinetuneConfig]:
    """The runs that a command of one line makes, where it makes any; a mistake in it is raised."""
    _, verb, *words = shlex.split(line, comments=True)
    given = commands()[verb].make_context(verb, list(words)).params
    if verb in MODELS:
        changes = [word for word in given["overrides"] or [] if not word.startswith("resume=")]
        return [load_config(MODELS[verb], given["config"], changes)]
    if verb == "sweep":
        model = MODELS[verb_for(given["config"], MODELS)]
        runs = plan(model, given["config"], given["grid"])
        assert runs
        return [load_config(model, given["config"], run.words) for run in runs]
    return []


@pytest.mark.parametrize("line", printed())
def test_the_command_line_takes_it(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    understood(line)


def looped(line: str) -> list[str]:
    """The commands of a line of the shell, which may be a loop or several."""
    loop = re.fullmatch(r"for (\w+) in ([^;]+); do (.+); done", line)
    if loop is None:
        return [line]
    name, words, body = loop.groups()
    return [one for word in words.split() for one in looped(re.sub(rf"\$({name}\b|{{{name}}})", word, body))]


def of_results(file: Path) -> list[str]:
    """The commands of this package in a file of figures."""

    def texts(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                yield from texts(inner)

    found = dict.fromkeys(texts(json.loads(file.read_text("utf-8"))))
    return [line for text in found if re.match(r"ssl-skel |for ", text) for line in looped(text)]


@cache
def made() -> set[str]:
    """Run directories that commands make, those of all figures and those on pages and in configs."""
    lines = [*printed(), *(line for file in RESULTS for line in of_results(file))]
    return {str(one.runs / one.name) for line in lines for one in understood(line)}


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_the_commands_of_figures_are_taken_and_name_encoders_that_commands_make(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for line in of_results(file):
        for one in understood(line):
            used = {str(path) for paths in getattr(one, "encoders", {}).values() for path in paths}
            used |= {str(one.init_from)} if getattr(one, "init_from", None) else set()
            lacking = {path for path in used - made() if not path.startswith("box/")}
            assert not lacking, f"{file.name}: no command makes {lacking}: {line}"


def test_commands_in_sentences_have_verbs_and_options_that_exist() -> None:
    for line in mentioned():
        _, verb, *words = line.split()
        for name in verb.split("|"):
            options = {name for option in commands()[name].params for name in (*option.opts, *option.secondary_opts)}
            given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            assert given <= {*options, "--help"}, line


def python_blocks() -> list[str]:
    return [block for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]


@pytest.mark.parametrize("block", python_blocks())
def test_printed_python_uses_public_names(block: str) -> None:
    """It compiles, and every ``ssl_skel.name`` in it, or name it imports, exists."""
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ssl_skel":
            assert getattr(ssl_skel, node.attr)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ssl_skel"):
            assert all(hasattr(importlib.import_module(str(node.module)), alias.name) for alias in node.names)


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_lists_every_decision_newest_first() -> None:
    folder = ROOT / "docs/decisions"
    files = sorted((path.name for path in folder.glob("0*.md")), reverse=True)
    rows = re.findall(r"^\| \[(\d{4})\]\((.*?)\) \| (.*) \|$", (folder / "index.md").read_text("utf-8"), re.MULTILINE)
    assert [file for _, file, _ in rows] == files
    assert [number for number, _, _ in rows] == [f"{n:04}" for n in range(len(files), 0, -1)]
    for _, file, title in rows:
        assert (folder / file).read_text("utf-8").startswith(f"# {title}\n\n## Context\n\n"), file


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
