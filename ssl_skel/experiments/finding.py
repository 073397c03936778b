"""All runs of a folder. What was read is kept beside them, so that a list reads only what has changed since.

The kept file, ``.runs.json``, repairs itself: an entry of a run is valid only while each file that it was read from
keeps its time and size, and a file that is damaged or of another release is ignored.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter

from ssl_skel import __version__
from ssl_skel.errors import UserError
from ssl_skel.experiments.record import CARDS, RunRecord, encoder_paths, read_run
from ssl_skel.files.atomic import write_bytes

KEPT = ".runs.json"
_READ = ("config.yaml", "log.jsonl", "checkpoints", "encoder/card.json", "report.json")  # of a run
_Stamps = dict[str, tuple[int, int] | None]  # file -> time in ns and size
_Entries = dict[str, tuple[_Stamps, _Stamps, RunRecord]]  # run -> its files, cards of encoders elsewhere, what they say
_FORM = TypeAdapter(tuple[str, _Entries])  # with the release


def find_runs(folder: Path) -> tuple[list[RunRecord], list[str]]:
    """All runs directly below a folder, by name, and a line for each folder that is not a run or is damaged; for a
    run's own folder, that run.

    Raises:
        UserError: no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: is not a folder; give the one that run directories are made in")
    if (folder / "config.yaml").exists():
        return _read([folder], {})[:2]
    kept = _kept(folder / KEPT)
    found, skipped, entries = _read(sorted(folder.iterdir()), kept)
    if entries != kept:
        with suppress(UserError):  # a folder that is read-only, or a full disk
            write_bytes(folder / KEPT, _FORM.dump_json((__version__, entries)))
    return found, skipped


def _kept(file: Path) -> _Entries:
    try:
        version, entries = _FORM.validate_json(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return entries if version == __version__ else {}


def _read(paths: Iterable[Path], kept: _Entries) -> tuple[list[RunRecord], list[str], _Entries]:
    found, skipped = [], []
    entries: _Entries = {}
    for path in paths:
        if not path.is_dir() or path.name.startswith("."):
            continue
        own = _stamps(path, _READ)
        entry = kept.get(path.name)
        if not entry or entry[0] != own or entry[1] != _stamps(Path(), entry[1]) or entry[2].path != path:
            try:
                run = read_run(path)
            except UserError as error:
                skipped.append(str(error))
                continue
            cards = [f"{encoder}/{card}" for encoder in encoder_paths(run.config) for card in CARDS]
            entry = own, _stamps(Path(), cards), run
        entries[path.name] = entry
        found.append(entry[2])
    return found, skipped, entries


def _stamps(folder: Path, names: Iterable[str]) -> _Stamps:
    stamps: _Stamps = {}
    for name in names:
        try:
            facts = os.stat(folder / name)
        except OSError:
            stamps[name] = None
        else:
            stamps[name] = facts.st_mtime_ns, facts.st_size
    return stamps
