"""Frames of many clips, decoded once and kept on disk.

::

    <folder>/<digest>.npy        (clips, T, side, side, 3) uint8, memory-mapped; appears when whole
    <folder>/.<digest>.part      being written: one clip after the other, so that interrupted work continues
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssl_skel.errors import UserError
from ssl_skel.files.atomic import publish
from ssl_skel.files.temporary import cannot_write, sync
from ssl_skel.progress import progress
from ssl_skel.video.frames import Crop, check_videos, read_frames

GIGABYTE = 10**9
READING = 2
"""Raise it when ``read_frames`` returns other frames of the same file, so that the cache is not reused."""


class FrameCache:
    """Evenly sampled frames of clips; nothing is decoded before ``fill``.

    Args:
        folder: where the frames are kept.
        rows: numbers of the clips, each once: rows of a store.
        videos: one file per clip.
        count: T, frames of a clip.
        side: pixels of a side.
        crop: see ``read_frames``.
        limit: most bytes to take on the disk.

    Attributes:
        digest: sha256 over what decides the frames: names and sizes of the files, the options, and ``READING``.

    Raises:
        UserError: the frames would take more than ``limit``, or a file cannot be accessed.
    """

    def __init__(
        self,
        folder: Path,
        rows: Sequence[int] | np.ndarray,
        videos: Sequence[Path],
        *,
        count: int,
        side: int,
        crop: Crop,
        limit: int,
    ) -> None:
        self.folder, self.videos, self.count, self.side, self.crop = folder, tuple(videos), count, side, crop
        self._slot = {int(row): slot for slot, row in enumerate(rows)}
        self._clip = count * side * side * 3
        need = self._clip * len(self.videos)
        if need > limit:
            raise UserError(
                f"cache_gb: {len(self.videos)} clips of {count} frames take {need / GIGABYTE:.3g} GB on the disk, more "
                f"than the {limit / GIGABYTE:.3g} allowed; allow more, or lower frames or side"
            )
        try:
            facts = [(video.name, video.stat().st_size) for video in self.videos]
        except OSError as error:
            raise UserError(f"{error.filename}: {error.strerror}; is the video still there?") from error
        self.digest = hashlib.sha256(repr([READING, facts, count, side, crop]).encode()).hexdigest()
        self._frames: np.ndarray | None = None

    @property
    def path(self) -> Path:
        """The file of frames."""
        return self.folder / f"{self.digest[:16]}.npy"

    def fill(self) -> None:
        """Decode what is not yet there, with a progress bar; frames that an interrupted process decoded are reused.

        One process at a time may do so. The beginnings of all videos are checked first, and unfinished work for other
        videos or options is removed.

        Raises:
            UserError: videos cannot be decoded, or the disk is full.
        """
        if self.path.exists():
            return
        header = self._header()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = self.path.with_name(f".{self.path.stem}.part")
            for other in set(self.folder.glob(".*.part")) - {partial}:
                other.unlink()
            with partial.open("ab") as file:
                done = max(0, file.tell() - len(header)) // self._clip
                if not done:
                    file.truncate(0)
                    file.write(header)
                file.truncate(len(header) + done * self._clip)
                check_videos(self.videos[done:])
                total = len(self.videos)
                for video in progress(self.videos[done:], "frames", total=total, initial=done, unit="clip", delay=1.0):
                    file.write(read_frames(video, self.count, self.side, self.crop).tobytes())
                sync(file)
            publish(partial, self.path)
        except OSError as error:
            raise cannot_write(self.folder, error, "make room for the frames") from error

    def _header(self) -> bytes:
        """What a .npy file of all clips begins with."""
        header, shape = io.BytesIO(), (len(self.videos), self.count, self.side, self.side, 3)
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return header.getvalue()

    def frames(self, rows: Tensor) -> Tensor:
        """Frames of some clips, on the device of ``rows``.

        Args:
            rows: (N,) int64, among those of the cache.

        Returns:
            (N, 3, T, side, side) uint8.
        """
        if self._frames is None:
            self._frames = np.load(self.path, mmap_mode="r", allow_pickle=False)
        slots = [self._slot[row] for row in rows.tolist()]
        return torch.from_numpy(self._frames[slots]).to(rows.device).permute(0, 4, 1, 2, 3)
