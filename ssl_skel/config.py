"""Strict configs: one YAML file per run, plus ``key.path=value``, into a frozen model.

Every option lives in the ``Config`` above the class it configures, with its only default. A choice among the entries of
a registry is written ``{name: <entry>, ...its own fields}``.
"""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, Union

import pydantic
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails

from ssl_skel.errors import UserError, why_unreadable
from ssl_skel.names import PATH_NAME, check_path_name, nearest
from ssl_skel.plain_json import parse_json
from ssl_skel.plain_yaml import dump_yaml, read_yaml
from ssl_skel.shipped_configs import find_config, hint


class FormerName(FutureWarning):
    """A name of an earlier release was used; the command line prints it as one line."""


class Section(BaseModel):
    """Frozen options. Unknown keys and wrong types are errors; nothing is coerced.

    Attributes:
        former: key of the last release -> the key that took its place. Both are read for one release; the former one
            with a warning, unless the text was written by this project (``parse_config``).
        former_values: for a key, value of the last release -> the value that took its place.
        elsewhere: key that only the configs of another command have -> that command.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    former: ClassVar[Mapping[str, str]] = {}
    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    elsewhere: ClassVar[Mapping[str, str]] = {}


class EntryConfig(Section):
    """A ``Section`` for one entry of a registry, which it names: ``name: Literal["mpae_net"] = "mpae_net"``."""

    name: str = ""


_QUOTED = 80  # characters of a value

Model = TypeVar("Model", bound=BaseModel)


def _path_name(name: str) -> str:
    try:
        check_path_name(name)
    except UserError as error:
        raise ValueError(str(error)) from error
    return name


RunName = Annotated[str, Field(json_schema_extra={"pattern": PATH_NAME}), AfterValidator(_path_name)]
"""Name of a run and of its folder; see ``check_path_name``."""


class EntryOf:
    """Marks a field that holds the config of one entry of a registry.

    ``backbone: Annotated[EntryConfig, EntryOf(BACKBONES)]`` accepts the options of each entry and picks them by
    ``name``; the JSON schema lists them all.

    Args:
        table: a ``Registry``, or a mapping of classes with a ``Config``.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        known = getattr(table, "configs", None) or {name: entry.Config for name, entry in table.items()}
        self.configs: tuple[type[EntryConfig], ...] = tuple(known.values())

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if len(self.configs) == 1:
            return handler.generate_schema(self.configs[0])
        return handler.generate_schema(Annotated[Union[self.configs], Field(discriminator="name")])  # noqa: UP007


def load_config(model: type[Model], path: Path | str | Model, overrides: Iterable[str] = ()) -> Model:
    """Read a config once, strictly.

    Args:
        model: the frozen model it must fit.
        path: YAML file, or the name of a shipped one; or a config, to be changed by the overrides.
        overrides: ``key.path=value`` words; values are YAML.

    Raises:
        UserError: file, key path and remedy in one line.
    """
    source = "the config" if isinstance(path, BaseModel) else str(path)
    data = path.model_dump(mode="json") if isinstance(path, BaseModel) else read_mapping(path)
    data = _renamed(model, data, source)
    for word in _each_once(overrides):
        _override(data, word)
        data = _renamed(model, data, word, last_wins=True)
    return parse_config(model, data, source)


def read_mapping(path: Path | str) -> dict[str, Any]:
    """The keys and values of a YAML file, not yet checked against a model.

    Args:
        path: of the file, or the name of a shipped config.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    try:
        text = find_config(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = hint(Path(path)).removeprefix("; ") or "give the path of a YAML config"
        raise UserError(f"{path}: cannot be read: {why_unreadable(error, remedy)}") from error
    data = read_yaml(text, str(path))
    if not isinstance(data, dict):
        raise UserError(f"{path}: a config is a mapping of keys to values")
    return data


def config_from_words(model: type[Model], words: Iterable[str], source: str) -> Model:
    """A config given by ``key.path=value`` words alone.

    Raises:
        UserError: as ``load_config``.
    """
    data: dict[str, Any] = {}
    for word in _each_once(words):
        _override(data, word)
    return parse_config(model, data, source)


def parse_config(model: type[Model], data: Any, source: str, *, written: bool = False) -> Model:
    """Check plain data against a model.

    Args:
        model: the frozen model it must fit.
        data: as JSON or YAML gives it.
        source: what messages begin with.
        written: by this project, maybe an earlier release: former names pass without a warning.

    Raises:
        UserError: the first mistake, with its key path and the nearest known name.
    """
    data = _renamed(model, data, source, warn=not written)
    strange = getattr(model, "elsewhere", {}).keys() & data if isinstance(data, dict) else ()
    for key in strange:
        command = f"ssl-skel {model.elsewhere[key]}"  # type: ignore[attr-defined]
        raise UserError(f"{source}: {key}: this is a config for {command}; run {command} {source}")
    try:
        return model.model_validate_json(json.dumps(data))
    except TypeError as error:
        raise UserError(f"{source}: {error}; write dates and the like in quotes") from error
    except pydantic.ValidationError as error:
        lines = [_explain(model, data, mistake) for mistake in _causes(error.errors())]
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        raise UserError(f"{source}: {lines[0]}{more}") from error


def read_card(model: type[Model], path: Path, version: int, *, missing: str, remedy: str) -> Model:
    """A JSON file that describes the files beside it, in a format of this ``format_version``.

    Args:
        model: what it holds.
        path: the file.
        version: that this release reads.
        missing: what to do if there is no such file.
        remedy: what to do if it is damaged or of another version.

    Raises:
        UserError: it is missing, damaged or of another version.
    """
    try:
        data = parse_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; {missing}") from error
    except ValueError as error:
        raise UserError(f"{path}: is not JSON ({error}); it is damaged, {remedy}") from error
    found = data.get("format_version") if isinstance(data, dict) else None
    if found != version:
        raise UserError(f"{path}: format_version: is {found!r}, this version reads {version}; {remedy}")
    return parse_config(model, data, str(path), written=True)


def dump_config(config: BaseModel) -> str:
    """The whole config as YAML; ``load_config`` reads it back to an equal model."""
    return dump_yaml(config.model_dump(mode="json"))


def _each_once(words: Iterable[str]) -> list[str]:
    """The words, no key of which is given twice, if they are Unicode text."""
    found = list(words)
    for word in found:
        if word.encode(errors="replace").decode() != word:
            raise UserError(f"{word!r}: is not Unicode text; rename it")
    often = Counter(word.partition("=")[0] for word in found)
    for key, times in often.items():
        if times > 1:
            raise UserError(f"{key}: is given {'twice' if times == 2 else f'{times} times'}; keep one")
    return found


def _override(data: dict[str, Any], word: str) -> None:
    key, equals, value = word.partition("=")
    if not equals or not key:
        raise UserError(f"{word!r}: overrides must be written key.path=value")
    *parents, last = key.split(".")
    at: Any = data
    for step in parents:
        at = at.setdefault(step, {}) if isinstance(at, dict) else _item(at, step, key)
    if isinstance(at, list):
        _item(at, last, key)
        at[int(last)] = _value(value, key)
    elif isinstance(at, dict):
        at[last] = _value(value, key)
    else:
        raise UserError(f"{key}: {'.'.join(parents)} is a plain value and has no keys")


def _value(text: str, key: str) -> Any:
    """The value after the = of a word: YAML, or a pattern such as {joint}_{axis}, which is not YAML, as text."""
    try:
        return read_yaml(text, key)
    except UserError:
        if re.fullmatch(r"([^{}]*\{[a-z]+\})+[^{}]*", text):
            return text
        raise


def _item(at: Any, step: str, key: str) -> Any:
    if isinstance(at, list) and re.fullmatch("[0-9]{1,9}", step) and int(step) < len(at):
        return at[int(step)]
    raise UserError(f"{key}: nothing to set at {step!r}; list items are counted from 0")


def _renamed(model: type[BaseModel], data: Any, source: str, *, warn: bool = True, last_wins: bool = False) -> Any:
    """Data with former keys and values replaced by those that took their place, all the way down.

    Args:
        model: the frozen model the data is for.
        data: as JSON or YAML gives it.
        source: what messages begin with.
        warn: name the new names.
        last_wins: a former key was set after the rest, by an override, so its value replaces that of the new key.

    Raises:
        UserError: a key is given under both names.
    """
    if not isinstance(data, dict) or not issubclass(model, Section):
        return data
    found: dict[str, Any] = {}
    for key, value in data.items():
        name = model.former.get(key, key)
        if name != key and name in data and not (last_wins and not isinstance(value, dict)):
            raise UserError(f"{source}: {key} is the former name of {name}, and both are given; keep {name}")
        if isinstance(value, str):
            present = model.former_values.get(name, {}).get(value, value)
        else:
            present = _renamed_inside(model.model_fields.get(name), value, source, warn, last_wins)
        if warn and name != key:
            warnings.warn(f"{source}: {key} is now called {name}", FormerName, stacklevel=2)
        if warn and isinstance(value, str) and present != value:
            warnings.warn(f"{source}: {name}: {value} is now called {present}", FormerName, stacklevel=2)
        found[name] = present
    return found


def _renamed_inside(field: FieldInfo | None, value: Any, source: str, warn: bool, last_wins: bool) -> Any:
    """The same for the value of a field: a section, an entry of a registry, or several of them."""
    if isinstance(value, list):
        return [_renamed_inside(field, item, source, warn, last_wins) for item in value]
    models = _inside(field) if field and isinstance(value, dict) else []
    named = [m for m in models if "name" in m.model_fields and m.model_fields["name"].default == value.get("name")]
    chosen = named or models
    return _renamed(chosen[0], value, source, warn=warn, last_wins=last_wins) if len(chosen) == 1 else value


def _causes(mistakes: list[ErrorDetails]) -> list[ErrorDetails]:
    """Mistakes without those that only follow: a list whose entries are all wrong is also reported as too short."""
    paths = [mistake["loc"] for mistake in mistakes]

    def follows(mistake: ErrorDetails) -> bool:
        path = mistake["loc"]
        return mistake["type"] == "too_short" and any(other[: len(path)] == path for other in paths if other != path)

    return [mistake for mistake in mistakes if not follows(mistake)]


def _explain(model: type[BaseModel], data: Any, mistake: Any) -> str:
    """One line for one mistake: key path, what is wrong, what to write instead."""
    path, kind, text = list(mistake["loc"]), mistake["type"], mistake["msg"]
    keys, at = [], data
    for step in path:  # pydantic's path names union members too; the data does not
        here = step in (at if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ())
        if not here and (step != path[-1] or kind == "value_error"):
            continue
        keys.append(str(step))
        at = at[step] if here else None
    where = ".".join(keys)
    if kind == "extra_forbidden":
        return f"{where}: unknown key{nearest(keys[-1], _fields(model, path[:-1]))}"
    if kind == "missing":
        return f"{where}: missing; give it a value"
    if kind == "union_tag_invalid":
        known = re.findall(r"'([^']*)'", mistake["ctx"]["expected_tags"])
        return f"{where}.name: unknown {_brief(mistake['ctx']['tag'])}{nearest(mistake['ctx']['tag'], known)}"
    if kind == "union_tag_not_found":
        return f"{where}: needs a name, as in {{name: ...}}"
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", mistake["ctx"]["expected"])
        return f"{where}: unknown {_brief(mistake['input'])}{nearest(mistake['input'], known)}"
    if kind == "value_error":
        return f"{where}: {mistake['ctx']['error']}".lstrip(": ")
    return f"{where}: {text[0].lower()}{text[1:]}, got {_brief(mistake['input'])}"


def _brief(value: Any) -> str:
    """A value as it is quoted in a message."""
    text = repr(value)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]} ..."


def _fields(model: Any, path: Iterable[Any]) -> list[str]:
    """Field names of the model at a path; through lists, optionals and tagged unions."""
    models = _models(model)
    for step in path:
        if isinstance(step, int):
            continue
        tagged = [m for m in models if m.model_fields.get("name") and m.model_fields["name"].default == step]
        models = tagged or [inner for m in models if step in m.model_fields for inner in _inside(m.model_fields[step])]
    return [field for m in models for field in m.model_fields]


def _inside(field: FieldInfo) -> list[type[BaseModel]]:
    rows: list[type[BaseModel]] = [
        config for mark in field.metadata if isinstance(mark, EntryOf) for config in mark.configs
    ]
    return rows or _models(field.annotation)


def _models(annotation: Any) -> list[type[BaseModel]]:
    marks = getattr(annotation, "__metadata__", ())
    rows: list[type[BaseModel]] = [config for mark in marks if isinstance(mark, EntryOf) for config in mark.configs]
    if rows:
        return rows
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models(inner)]
