"""What readers of motion capture share: a rig whose joints are placed by forward kinematics, one person per file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_skel.data.clip import RawClip
from ssl_skel.data.readers.described import DescribedReader, name_of
from ssl_skel.data.readers.description import NamedJoints, to_metres
from ssl_skel.data.readers.rig import END, joint_names, known_layout, rig_layout, rig_map
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout


@dataclass(frozen=True)
class Rigged:
    """One recording.

    Attributes:
        joints: names in the file, ``END`` for end sites.
        parents: (V,) of each joint, its own number at the root.
        places: makes (T, V, 3), in the file's unit.
        fps: frames a second; 0 where unknown.
    """

    joints: Sequence[str]
    parents: Sequence[int]
    places: Callable[[], np.ndarray]
    fps: float = 0.0


class RigReader(DescribedReader):
    """Files of a rig, described by ``recordings.yaml`` (see ``DescribedReader``, ``NamedJoints``).

    Without a layout, theirs follows from the hierarchy, which must be the same in all files but for its lengths (see
    ``rig``); one whose joints are called like a built-in layout's is that. With one, joints are found by name
    (``layout_map``); those that a file lacks are not tracked.
    """

    Options = NamedJoints
    options: NamedJoints

    @abstractmethod
    def _open(self, file: Path) -> Rigged:
        """A file, whose joints are placed when they are needed.

        Raises:
            UserError: it is damaged; names the line.
        """

    def read(self, file: Path) -> Iterator[RawClip]:
        opened = self._open(file)
        own = self._rig(file, opened)
        joints = to_metres(opened.places(), self.options, file)
        if self._derived and own != self.layout:
            raise UserError(
                f"{file}: has other joints than {self._derived.name}; convert it separately, or give --layout"
            )
        if not self._derived:
            joints = rig_map(own, self.layout, str(file))(joints)
        for key, facts in self._keys(file):
            columns = self._columns(file, self._texts(file, key, facts))
            yield RawClip(name_of(key), joints[None], fps=opened.fps, **columns)

    _derived: Path | None = None  # the file that the layout comes from

    def _own_layout(self, files: list[Path]) -> SkeletonLayout:
        if self.options.layout:
            return super()._own_layout(files)
        problem: UserError | None = None
        for file in files:
            try:
                layout = self._rig(file, self._open(file))
            except UserError as error:  # reported by read later
                problem = problem or error
                continue
            self._derived = file
            return layout
        raise problem or UserError(f"{self.source}: holds no recording")

    def _rig(self, file: Path, opened: Rigged) -> SkeletonLayout:
        unknown = sorted(set(self.options.joints) - set(opened.joints))
        if unknown:
            known = ", ".join(set(opened.joints) - {END})
            raise UserError(f"{file}: joints: {unknown[0]!r} is not one of its joints; they are {known}")
        names = joint_names(opened.joints, opened.parents, self.options.joints)
        return known_layout(rig_layout(names, opened.parents, str(file)))
