"""Strict configs: what is refused, in which words, and what survives a round trip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from ssl_skel.config import (
    EntryConfig,
    EntryOf,
    FormerName,
    Section,
    config_from_words,
    dump_config,
    load_config,
    parse_config,
)
from ssl_skel.errors import UserError
from ssl_skel.plain_yaml import read_yaml


class AppleConfig(EntryConfig):
    name: Literal["apple"] = "apple"
    sweetness: float = 0.5


class PearConfig(EntryConfig):
    name: Literal["pear"] = "pear"
    size: int = 3


class Apple:
    Config = AppleConfig


class Pear:
    Config = PearConfig


FRUIT = {"apple": Apple, "pear": Pear}


class Inner(Section):
    rate: float = 0.1
    steps: int = 5


class Run(Section):
    fruit: Annotated[EntryConfig, EntryOf(FRUIT)]
    basket: tuple[Annotated[EntryConfig, EntryOf(FRUIT)], ...] = ()
    spare: Annotated[EntryConfig, EntryOf(FRUIT)] | None = None
    only: Annotated[EntryConfig, EntryOf({"apple": Apple})] = AppleConfig()
    inner: Inner = Inner()
    folder: Path = Path("runs")
    span: tuple[float, float] = (0.5, 1.0)
    paths: dict[str, Path | tuple[Path, ...]] = Field(default_factory=dict)


GOOD = {"fruit": {"name": "apple"}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fruit": {"name": "apple", "sweetnes": 1}}, "fruit.sweetnes: unknown key; did you mean 'sweetness'?"),
        ({"fruit": {"name": "aple"}}, "fruit.name: unknown 'aple'; did you mean 'apple'?"),
        ({"fruit": {}}, "fruit: needs a name"),
        ({"fruit": {"name": "pear", "size": "3"}}, "fruit.size: input should be a valid integer, got '3'"),
        ({"fruit": {"name": "pear", "size": True}}, "fruit.size: input should be a valid integer, got True"),
        (
            {"basket": [{"name": "pear"}, {"name": "pear", "sise": 1}]},
            "basket.1.sise: unknown key; did you mean 'size'?",
        ),
        ({"spare": {"name": "pear", "sizes": 1}}, "spare.sizes: unknown key; did you mean 'size'?"),
        ({"only": {"name": "pear"}}, "only.name: unknown 'pear'; known: apple"),
        ({"iner": {}}, "iner: unknown key; did you mean 'inner'?"),
        ({"inner": {"rate": "fast"}}, "inner.rate: input should be a valid number, got 'fast'"),
        ({"span": [0.5]}, "span.1: missing"),
        ({"span": [0.5, "x"]}, "span.1: input should be a valid number, got 'x'"),
        ({"paths": {"a": ["b", 3]}}, "paths.a"),
        ({"inner": {"stps": 3}}, "inner.stps: unknown key; did you mean 'steps'?"),
    ],
)
def test_mistakes_name_the_key_and_the_remedy(change: dict, words: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_config(Run, GOOD | change, "run.yaml")
    assert str(caught.value).startswith("run.yaml: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_key_is_named() -> None:
    with pytest.raises(UserError, match=r"fruit: missing"):
        parse_config(Run, {}, "run.yaml")


def test_several_mistakes_are_counted() -> None:
    with pytest.raises(UserError, match=r"\(and 1 more\)"):
        parse_config(Run, GOOD | {"iner": 1, "baskt": 2}, "run.yaml")


def test_a_list_whose_rows_are_all_wrong_counts_its_rows_only() -> None:
    class Basket(Section):
        fruits: tuple[Annotated[EntryConfig, EntryOf(FRUIT)], ...] = Field(min_length=1)

    with pytest.raises(UserError, match=r"fruits\.0\.sise: unknown key; did you mean 'size'\?$"):
        parse_config(Basket, {"fruits": [{"name": "pear", "sise": 1}]}, "run.yaml")
    with pytest.raises(UserError, match=r"fruits: .*at least 1 item"):
        parse_config(Basket, {"fruits": []}, "run.yaml")


def test_overrides_reach_into_sections_and_lists(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("fruit: {name: apple}\nbasket: [{name: pear}]\n")
    words = ["inner.rate=1e-3", "basket.0.size=9", "fruit={name: pear, size: 4}", "folder=elsewhere"]
    run = load_config(Run, path, words)
    assert run.inner.rate == 1e-3
    assert run.basket == (PearConfig(size=9),)
    assert run.fruit == PearConfig(size=4)
    assert run.folder == Path("elsewhere")


def test_a_key_is_given_once(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("fruit: {name: apple}\n")
    words = ["inner.steps=1", "inner.rate=1", "inner.steps=2"]
    for read in (
        lambda: load_config(Run, tmp_path / "run.yaml", words),
        lambda: config_from_words(Run, words, "the words"),
    ):
        with pytest.raises(UserError, match=r"^inner\.steps: is given twice; keep one$"):
            read()


@pytest.mark.parametrize(
    "change",
    [
        {"x" * 5000: 1},
        {"inner": {"rate": "x" * 5000}},
        {"inner": {"steps": [7] * 5000}},
        {"fruit": {"name": "x" * 5000}},
        {"paths": {"x" * 5000: 3}},
    ],
)
def test_no_message_repeats_a_long_value(change: dict) -> None:
    with pytest.raises(UserError) as caught:
        parse_config(Run, GOOD | change, "run.yaml")
    assert len(str(caught.value)) <= 505
    assert str(caught.value).startswith("run.yaml: ")


@pytest.mark.parametrize(
    "word",
    [
        "inner.rate",
        "=3",
        f"basket.{'9' * 5000}=1",
        "basket.²=1",
        "inner.rate=\ud800",
        "\ud800=1",
        "basket.7.size=1",
        "fruit.name.x=1",
    ],
)
def test_bad_overrides_are_refused(tmp_path: Path, word: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("fruit: {name: apple}\nbasket: [{name: pear}]\n")
    with pytest.raises(UserError) as caught:
        load_config(Run, path, [word])
    assert len(str(caught.value)) <= 505


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2", "7"])
def test_files_that_hold_no_mapping_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"run\.yaml"):
        load_config(Run, path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml: cannot be read"):
        load_config(Run, tmp_path / "nowhere.yaml")


def test_yaml_cannot_build_objects() -> None:
    with pytest.raises(UserError):
        read_yaml("!!python/object/apply:os.getcwd []", "evil.yaml")


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**31), 2**31), st.booleans())
def test_round_trip(rate: float, steps: int, pear: bool) -> None:
    run = Run(
        fruit=PearConfig(size=steps) if pear else AppleConfig(sweetness=rate),
        basket=(AppleConfig(), PearConfig()),
        inner=Inner(rate=rate, steps=steps),
    )
    assert parse_config(Run, read_yaml(dump_config(run), "dump"), "dump") == run


def test_scientific_notation_is_a_number() -> None:
    assert read_yaml("[1e-3, 2E5, 1.5e-4, -3e2]", "numbers") == [1e-3, 2e5, 1.5e-4, -3e2]
    assert read_yaml("[e3, 1e, one, 1-3]", "words") == ["e3", "1e", "one", "1-3"]


def test_configs_are_frozen() -> None:
    run = parse_config(Run, GOOD, "run.yaml")
    with pytest.raises(ValueError, match="frozen"):
        run.folder = Path("other")  # type: ignore[misc]


def test_schema_lists_every_row() -> None:
    text = str(Run.model_json_schema())
    assert "apple" in text
    assert "pear" in text


class Renamed(Section):
    former: ClassVar[Mapping[str, str]] = {"readout": "pooling"}
    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {"pooling": {"quarters": "part:4"}}

    pooling: str = "mean"
    """How."""


class Outer(Section):
    inner: Renamed = Renamed()
    """A section in a section."""


def test_former_names_are_read_with_a_warning_that_names_the_new_one() -> None:
    with pytest.warns(FormerName, match="readout is now called pooling"):
        found = parse_config(Outer, {"inner": {"readout": "body"}}, "old.yaml")
    assert found == Outer(inner=Renamed(pooling="body"))
    with pytest.warns(FormerName, match="pooling: quarters is now called part:4"):
        assert parse_config(Renamed, {"pooling": "quarters"}, "old.yaml").pooling == "part:4"


def test_what_an_earlier_release_wrote_is_read_without_a_word() -> None:
    assert parse_config(Renamed, {"readout": "quarters"}, "card.json", written=True).pooling == "part:4"


def test_a_former_name_beside_the_new_one_is_refused() -> None:
    with pytest.raises(UserError, match=r"old\.yaml: readout is the former name of pooling, and both are given"):
        parse_config(Renamed, {"readout": "body", "pooling": "part"}, "old.yaml")


@pytest.mark.parametrize("inner", ["{pooling: part}", "{}"])
def test_an_override_under_a_former_name_replaces_what_the_file_says(tmp_path: Path, inner: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"inner: {inner}\n")
    with pytest.warns(FormerName, match=r"inner\.readout=body: readout is now called pooling"):
        found = load_config(Outer, path, ["inner.readout=body"])
    assert found == Outer(inner=Renamed(pooling="body"))
