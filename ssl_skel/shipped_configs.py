"""The configs that come with the package, by name: ``own_recordings`` is ``configs/pretrain/own_recordings.yaml``.

The name is the path below ``configs/`` without its ending, and without the folder of its verb: ``demo/linear`` keeps
its folder, which is not a verb's. Names are unique.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from ssl_skel.errors import UserError
from ssl_skel.names import unknown

SUFFIXES = (".yaml", ".yml")
_VERBS = ("pretrain", "finetune")
_POINTER = re.compile(r"(Notes|Sources|Commands|All figures|The store)\b.*docs/")


@dataclass(frozen=True)
class ConfigFacts:
    """The contents of a shipped config's header.

    Attributes:
        name: by which every command takes it.
        path: of the file.
        what: the method, the network and the data.
        commands: that lead to its figures, its own last.
        outcome: time and figures, or why there are none.
    """

    name: str
    path: str
    what: str
    commands: tuple[str, ...]
    outcome: str

    def to_dict(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


def find_config(config: Path | str) -> Path:
    """The file that a user means: a path, or the name of a shipped config.

    A file of that path takes precedence over a name.

    Raises:
        UserError: there is no such file, and the argument looks like a name but is unknown.
    """
    path = Path(config)
    if path.is_file():
        return path
    shipped = _shipped()
    if path.as_posix() in shipped:
        return shipped[path.as_posix()]
    if path.suffix not in SUFFIXES and not path.exists():
        raise UserError(f"{unknown('config', str(config), shipped)} (ssl-skel configs lists all; a path ends in .yaml)")
    return path


def config_facts() -> list[ConfigFacts]:
    """All shipped configs, by name."""
    return [_facts(name, path) for name, path in sorted(_shipped().items())]


def command_for(run: str) -> str:
    """The command that trains a run, where the shipped configs name it; "" where they do not.

    Args:
        run: its name.
    """
    for name, path in _shipped().items():
        if path.parts[-2] != "finetune" and re.search(rf"^name: {re.escape(run)}$", path.read_text("utf-8"), re.M):
            return f"ssl-skel pretrain {name}"
    return _first_with(f"name={run}")


def command_for_store(path: Path) -> str:
    """The command that makes a store, where the shipped configs name it; "" where they do not."""
    return _first_with(path.as_posix(), ("convert", "synthetic", "merge"))


def _first_with(word: str, verbs: tuple[str, ...] = _VERBS) -> str:
    """The first command of some verbs, among those of all headers, that has a word."""
    lines = (line for one in config_facts() for line in one.commands)
    return next((line for line in lines if line.split()[1] in verbs and word in line.split()), "")


def hint(path: Path) -> str:
    """The end of a message about a config file that is missing: the shipped one of that name; "" where none is."""
    found = next((name for name, file in _shipped().items() if file.parts[-2:] == path.parts[-2:]), "")
    return f"; the shipped one is found by its name, {found}" if found else ""


@cache
def _shipped() -> dict[str, Path]:
    """Name -> file."""
    package = Path(str(files("ssl_skel")))
    inside = package / "configs"  # in a wheel; in a checkout the folder stands at top level
    root = inside if inside.is_dir() else package.parent / "configs"
    return {_name(path.relative_to(root)): path for path in sorted(root.glob("*/*.yaml"))}


def _name(path: Path) -> str:
    """Name of a config, from its path below the folder of configs."""
    return path.stem if path.parts[0] in _VERBS else path.with_suffix("").as_posix()


def _facts(name: str, path: Path) -> ConfigFacts:
    lines = [line.removeprefix("# ") for line in path.read_text("utf-8").splitlines() if line.startswith("# ")]
    commands = tuple(line.partition("      #")[0] for line in lines if line.startswith("ssl-skel "))
    what, *rest = [line for line in lines if not line.startswith("ssl-skel ")]
    return ConfigFacts(name, str(path), what, commands, " ".join(line for line in rest if not _POINTER.match(line)))
