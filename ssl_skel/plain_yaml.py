"""YAML as plain data, in the words of YAML 1.2's core schema (YAML 1.2.2, section 10.3.2).

``010`` is ten, ``0o10`` is eight, and ``1:30``, ``1_000``, ``yes`` and dates are text, unlike in YAML 1.1, which PyYAML
reads. No key is given twice, nothing is tagged, and the size that aliases may add is limited.

Departs from the core schema: ``<<`` merges mappings, as in YAML 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, ClassVar

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from ssl_skel.errors import UserError

if yaml.__with_libyaml__:
    from yaml.cyaml import CParser as Events  # type: ignore[attr-defined]
else:  # several times slower

    class Events(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):  # type: ignore[no-redef]
        """The text's events in plain Python."""

        def __init__(self, text: str) -> None:
            yaml.reader.Reader.__init__(self, text)
            yaml.scanner.Scanner.__init__(self)
            yaml.parser.Parser.__init__(self)


_DEEPEST = 60  # brackets in brackets
_MOST_BY_ALIASES = 1_000_000  # characters
_TAG = "tag:yaml.org,2002:"
_CORE = {  # tag -> form, first characters
    "null": ("~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": ("true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": ("[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": ("<<", ["<"]),
}


def read_yaml(text: str, source: str) -> Any:
    """Parse YAML into mappings, lists, text, numbers, true, false and null.

    >>> read_yaml("{lr: 1e-3, name: mpae_net, at: 1:30}", "example")
    {'lr': 0.001, 'name': 'mpae_net', 'at': '1:30'}

    Args:
        text: one document.
        source: what messages begin with.

    Raises:
        UserError: the text is not YAML, a key is given twice, or it is nested too deep or grows too large by aliases.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError) as error:  # int() refuses 5,000 digits
        reason = " ".join(str(error).split())
        raise UserError(f"{source}: {'' if isinstance(error, _Refused) else 'is not YAML: '}{reason}") from error


def dump_yaml(value: Any) -> str:
    """Plain data as YAML, one key per line, which ``read_yaml`` and readers of YAML 1.1 understand alike."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Refused(yaml.YAMLError):
    """It is YAML that a file of this project may not hold."""


class _Loader(Composer, Events, SafeConstructor, Resolver):
    """Events are libyaml's; nodes are composed in Python, as libyaml's composer recurses in C however deep they are."""

    yaml_constructors: ClassVar[dict[Any, Any]] = {
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (None, *(f"tag:yaml.org,2002:{name}" for name in ("null", "str", "seq", "map")))
    }

    def __init__(self, text: str) -> None:
        Events.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self._depth > _DEEPEST:
            event: Any = self.peek_event()
            raise _Refused(f"line {event.start_mark.line + 1}: more than {_DEEPEST} levels; keep it flat")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        value.encode()  # an escape can stand for half a surrogate, which cannot be written again
        return value

    def compose_document(self) -> Any:
        node = super().compose_document()
        _refuse_growth(node)
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Any, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
                name, line = self.construct_object(key), key.start_mark.line + 1
                if name in lines:
                    where = f"in lines {lines[name]} and {line}" if lines[name] != line else f"in line {line}"
                    raise _Refused(f"{str(name)[:80]}: is given twice, {where}; keep one")
                lines[name] = line
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes everything that either version of YAML would not read as text."""


def _refuse_growth(root: Any) -> None:
    """Refuse a node that holds itself, and aliases that repeat or nest more than the limits.

    A node's size is counted once, with all that its aliases stand for: they stand behind what they repeat.
    """
    known: dict[int, tuple[int, int]] = {}  # node -> characters and levels, aliases written out
    open_, written = set(), 0

    def measure(node: Any) -> tuple[int, int]:
        nonlocal written
        if id(node) in open_:
            raise _Refused(f"line {node.start_mark.line + 1}: an alias within what it stands for; write it out")
        if id(node) not in known:
            open_.add(id(node))
            plain = isinstance(node, yaml.ScalarNode)
            items = [] if plain else node.value
            inner = [measure(part) for item in items for part in (item if isinstance(item, tuple) else (item,))]
            own = 1 + (len(node.value) if plain else 0)
            written += own
            known[id(node)] = own + sum(size for size, _ in inner), 1 + max((levels for _, levels in inner), default=0)
            open_.remove(id(node))
        return known[id(node)]

    size, levels = measure(root) if root is not None else (0, 0)
    if size - written > _MOST_BY_ALIASES or levels > _DEEPEST + 2:
        raise _Refused(f"its aliases stand for more than {_MOST_BY_ALIASES:,} characters, or nest too deep; write less")


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Text; PyYAML loses line ends of Unicode unless it escapes them."""
    style = '"' if set(text) & set("\x85\u2028\u2029") else None
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


def _bool(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> bool:
    if node.value.lower() not in ("true", "false"):
        raise ValueError(f"{node.value[:80]!r} is neither true nor false")
    return node.value.lower() == "true"


def _int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = node.value
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = node.value.lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_Loader.yaml_implicit_resolvers = {}
for _name, (_form, _first) in _CORE.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"(?:{_form})\Z"), _first)
for _name, _read in {"bool": _bool, "int": _int, "float": _float}.items():
    _Loader.add_constructor(f"{_TAG}{_name}", _read)
_Dumper.add_representer(str, _quoted)
