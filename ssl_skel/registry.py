"""Tables of interchangeable parts: a name, its options, and the class that is imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from ssl_skel.config import EntryConfig
from ssl_skel.names import unknown

T = TypeVar("T")
C = TypeVar("C", bound=EntryConfig)


class Registry(Mapping[str, type[T]], Generic[T, C]):
    """Name -> class, each class imported on first use.

    The options of every entry are known without importing any class, so that a config can be checked before torch is
    loaded. An entry's name is its config's ``name``.

    >>> from ssl_skel.backbones import BACKBONES
    >>> BACKBONES.configs["man"]
    <class 'ssl_skel.backbones.configs.man.MANConfig'>
    >>> BACKBONES["man"].__name__
    'MAN'

    Args:
        kind: what an entry is, for messages: ``backbone``, ``pretext``.
        entries: config -> ``module:Class``; the class names that config as its ``Config``.

    Attributes:
        configs: name -> options.
        entries: as given; another registry may be built of them and more.
    """

    def __init__(self, kind: str, entries: Mapping[type[C], str]) -> None:
        self.kind = kind
        self.configs: dict[str, type[C]] = {config.model_fields["name"].default: config for config in entries}
        self.entries = dict(entries)
        self._loaded: dict[str, type[T]] = {}

    def __getitem__(self, name: str) -> type[T]:
        if name not in self._loaded:
            module, _, cls = self.entries[self.configs[name]].partition(":")
            self._loaded[name] = getattr(importlib.import_module(module), cls)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:  # a mapping's own would import the class
        return name in self.configs

    def __iter__(self) -> Iterator[str]:
        return iter(self.configs)

    def __len__(self) -> int:
        return len(self.configs)

    def config(self, name: object, source: str) -> type[C]:
        """The options of an entry that a file or a user names.

        Args:
            name: as given.
            source: file and field, or another beginning of the message.

        Raises:
            UserError: no entry has that name; suggests the nearest.
        """
        if not isinstance(name, str) or name not in self.configs:
            raise unknown(self.kind, name, self, where=source)
        return self.configs[name]
