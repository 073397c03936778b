"""Registries: entries by name, options without the classes, one line for an unknown name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from finetune.protocols import PROTOCOLS
from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.recalibration import RECALIBRATIONS
from ssl_skel.config import EntryConfig
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.errors import UserError
from ssl_skel.pretexts import PRETEXTS
from ssl_skel.pretexts.masking import MASKS
from ssl_skel.registry import Registry

REGISTRIES = {
    "backbones": BACKBONES,
    "recalibrations": RECALIBRATIONS,
    "augmentations": AUGMENTATIONS,
    "pretexts": PRETEXTS,
    "masks": MASKS,
    "protocols": PROTOCOLS,
}
ENTRIES = [(table, name) for table in REGISTRIES for name in REGISTRIES[table]]


@pytest.mark.parametrize(("table", "name"), ENTRIES)
def test_an_entry_is_the_class_of_its_config(table: str, name: str) -> None:
    registry = REGISTRIES[table]
    assert registry[name].Config is registry.configs[name]
    assert registry.configs[name].model_fields["name"].default == name


@pytest.mark.parametrize("table", REGISTRIES)
def test_a_registry_is_a_mapping(table: str) -> None:
    registry = REGISTRIES[table]
    assert list(registry) == list(registry.configs)
    assert len(registry) == len(set(registry.values()))
    assert "nonsense" not in registry
    with pytest.raises(KeyError):
        registry["nonsense"]


def test_an_unknown_name_is_said_in_one_line() -> None:
    assert BACKBONES.config("man", "x.yaml: backbone") is BACKBONES.configs["man"]
    with pytest.raises(UserError, match=r"^x\.yaml: backbone\.name: unknown backbone 'mann'; did you mean 'man'"):
        BACKBONES.config("mann", "x.yaml: backbone.name")
    with pytest.raises(UserError, match="unknown backbone None"):
        BACKBONES.config(None, "x.yaml: backbone.name")


def test_no_class_is_imported_before_it_is_used() -> None:
    words = """
import sys
from ssl_skel.backbones import BACKBONES
assert "man" in BACKBONES and list(BACKBONES)
assert "torch" not in sys.modules
BACKBONES["man"]
assert "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", words], check=True)


def test_a_class_that_is_not_there_fails_when_it_is_used() -> None:
    registry: Registry[object, EntryConfig] = Registry(
        "backbone", {BACKBONES.configs["man"]: "ssl_skel.backbones.man:Man"}
    )
    with pytest.raises(AttributeError, match="Man"):
        registry["man"]
