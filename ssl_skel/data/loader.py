"""ClipLoader: rows of a store to batches, all clips of a batch at once.

A step's clips, crops and augmentations are a function of (seed, epoch, step) and are drawn for the
whole global batch. So any number of ranks see the same data as one, and an epoch can be resumed at any
step without saved state. There are no worker processes: a batch is one gather from the memory map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ssl_skel.batch import Batch, Rng
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.balance import BALANCES, BATCHES, Balance, Batches, chances, draw, set_by_set, windows
from ssl_skel.data.crop import SAMPLINGS, check_crop
from ssl_skel.data.lacking import parts_of, stand_in, stand_ins
from ssl_skel.data.performances import CAMERAS, Cameras, OtherCameras
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError


class Draw(IntEnum):
    """What random numbers are for: the last part of their key, so that no two uses share a sequence."""

    ORDER = 0
    CROP = 1
    AUGMENT = 2
    TASK = 3
    CAMERA = 4


class ClipLoader:
    """Batches of clips, cropped or sampled to a common length.

    A crop is a run of ``floor(share * frames)`` frames. Where ``crop`` is a true range, share and start
    are random, for each of the K draws; where both ends are equal, the crop is centred and repeats. (The
    convention of CTR-GCN's feeder, Chen et al., ICCV 2021; shuffling plays no part in it.) Crops are
    resampled on straight lines between frames with half-pixel centres, as ``torch.nn.functional.interpolate``
    does with ``align_corners=False``; a clip of one frame stands still.

    With ``sampling="sorted"`` a draw is T frames of the whole clip, at random and in order, so that its speed varies
    from frame to frame and short clips repeat frames. (CTR-GCN's feeder for NW-UCLA; PSP Learning, Xu & Shu, arXiv
    2302.02327. Departs from print: CTR-GCN takes them from a hundred copies of the clip; here each is drawn anew.)

    With ``max_frames`` a longer clip is first cut to a window of this many frames, at a random place that its K draws
    share; ``crop`` and ``sampling`` then treat the window as they treat a clip. So a long take gives local motion, and
    its draws show the same motion. With ``shuffle`` it enters an epoch as often as windows are needed to cover it.

    In memory each person's joints (C, T, V) are contiguous, as the encoder packs them; so ``x`` is a strided tensor,
    and needs ``reshape`` where ``view`` refuses.

    Departs from print: CTR-GCN never crops below 64 frames, which would leave most clips of data sets
    other than NTU whole; here the floor is ``min_frames``, default 16.

    Args:
        store: where the clips are.
        rows: numbers of the clips to load.
        num_frames: T, frames out.
        batch_size: clips per step over all ranks; the ranks share it evenly.
        crop: smallest and largest share of a clip's frames.
        min_frames: fewest frames of a crop; shorter clips stay whole.
        max_frames: most frames of a window; None: clips are taken whole, however long.
        sampling: ``crop``, or ``sorted``, which ignores ``crop`` and ``min_frames``.
        num_views: K, independent draws of each clip.
        cameras: where these are taken from, see ``ssl_skel.data.performances``.
        shuffle: another order every epoch; else that of ``rows``.
        balance: what is drawn equally often where ``shuffle``, see ``ssl_skel.data.balance``. An epoch keeps its
            length; clips of small groups repeat in it, and of large ones some are left out.
        batches: which clips meet in a batch where ``shuffle``, see there too.
        drop_last: only full batches. Fewer rows than one batch make one batch of all of them (less the
            few that the ranks cannot share evenly). Otherwise the last batch may be short, and its
            ranks' parts uneven or empty.
        augment: applied to each draw, on the device; joints that a part of a merged store lacks then go back to
            their parent's place, so that no draw shows a joint that nobody recorded.
        seed: with epoch and step, the source of all randomness; not negative.
        device: where batches are wanted.
        resident: ``always`` moves the store's joints whole to the device (on a CPU: reads them into
            memory), ``never`` gathers from the memory map, ``auto`` moves them to an accelerator with
            room for four times as much.
        rank, world_size: which even share of each batch to load.
        labels: else all labels are -1, for a task that must not see any.

    Raises:
        UserError: no rows, a batch that ranks cannot share, or an option out of range.
    """

    def __init__(
        self,
        store: Store,
        rows: Sequence[int] | np.ndarray,
        *,
        num_frames: int,
        batch_size: int,
        crop: tuple[float, float] = (1.0, 1.0),
        min_frames: int = 16,
        max_frames: int | None = None,
        sampling: str = "crop",
        num_views: int = 1,
        cameras: Cameras = "own",
        shuffle: bool = False,
        balance: Balance = "none",
        batches: Batches = "mixed",
        drop_last: bool = False,
        augment: Augment | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        resident: str = "auto",
        rank: int = 0,
        world_size: int = 1,
        labels: bool = True,
    ) -> None:
        self.store, self.rows = store, np.asarray(rows, np.int64)
        self.num_frames, self.num_views, self.crop, self.min_frames = num_frames, num_views, crop, min_frames
        self.max_frames, self.sampling, self.cameras = max_frames, sampling, cameras
        self.balance, self.batches = balance, batches
        self.shuffle, self.drop_last, self.augment, self.seed = shuffle, drop_last, augment, seed
        self.device, self.rank, self.world_size, self.labels = torch.device(device), rank, world_size, labels
        self._check(batch_size)
        self._windows = windows(store, self.rows, max_frames if shuffle else None)
        self._draws = int(self._windows.sum())
        self.batch_size = batch_size
        if drop_last and self._draws < batch_size:
            self.batch_size = self._draws - self._draws % world_size
        self._stand_ins = stand_ins(store)
        self._others = OtherCameras(store, self.rows) if cameras == "others" and num_views > 1 else None
        self._joints = _place(store, self.device, resident)

    def __len__(self) -> int:
        """Steps per epoch."""
        whole, rest = divmod(self._draws, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """Batches of one epoch, from step ``start`` on: the same as those of an uninterrupted epoch."""
        order = self._shuffled(epoch) if self.shuffle else self.rows
        for step in range(start, len(self)):
            yield self._batch(order[step * self.batch_size : (step + 1) * self.batch_size], (self.seed, epoch, step))

    def _shuffled(self, epoch: int) -> np.ndarray:
        """Rows of an epoch: each as often as it has windows, or as its group's share says."""
        random = np.random.default_rng((self.seed, epoch, 0, Draw.ORDER))
        if self.balance == "none":
            rows = np.repeat(self.rows, self._windows)
        else:
            shares = chances(self.store, self.rows, self._windows, self.balance)
            rows = self.rows[draw(shares, self._draws, random)]
        rows = random.permutation(rows)
        if self.batches == "mixed":
            return rows
        return set_by_set(rows, parts_of(self.store, rows), self.batch_size, random)

    def _batch(self, rows: np.ndarray, key: tuple[int, int, int]) -> Batch:
        """This rank's share of a global batch of clips."""
        share = -(-len(rows) // self.world_size)
        first = min(self.rank * share, len(rows))
        mine = rows[first : first + share]

        def rng(draw: Draw, device: torch.device | str, views: int = 1) -> Rng:
            return Rng((*key, draw), len(mine) * views, start=first * views, total=len(rows) * views, device=device)

        clips = mine[:, None]  # (N, 1) for all draws; or (N, K), each row of equally many persons
        if self._others is not None:
            chance = rng(Draw.CAMERA, "cpu").uniform(self.num_views - 1).numpy()
            clips = np.concatenate([clips, self._others.draw(mine, chance)], 1)
        choose = self._sorted if self.sampling == "sorted" else self._crops
        x, present = self._gather(clips, *choose(clips, rng(Draw.CROP, "cpu")))
        x, present = x.to(self.device), present.to(self.device)
        if self.augment is not None:
            draws = rng(Draw.AUGMENT, self.device, self.num_views)
            drawn = self.augment(x.flatten(0, 1), present.repeat_interleave(self.num_views, 0), draws)
            if len(self._stand_ins):
                joints = torch.from_numpy(self._stand_ins[parts_of(self.store, mine)]).to(self.device)
                drawn = stand_in(drawn, joints.repeat_interleave(self.num_views, 0))
            x = drawn.view(x.shape)
        label = self.store.label[mine] if self.labels else np.full(len(mine), -1)
        index, label = (torch.tensor(column, device=self.device) for column in (mine, label))
        return Batch(x, present, label, index, rng(Draw.TASK, self.device))

    def _crops(self, clips: np.ndarray, rng: Rng) -> tuple[np.ndarray, Tensor]:
        """First frame of each draw's crop, (N, K) int64, and the places of its T frames, counted from there, (N, K, T).

        Made on the CPU: the same on any device.
        """
        low, high = self.crop
        share, place = rng.uniform(self.num_views, 2).double().movedim(2, 0).numpy()
        first, frames = self._window(clips, rng)
        length = ((low + (high - low) * share) * frames).astype(np.int64)
        length = np.minimum(np.maximum(length, self.min_frames), frames)
        spare = frames - length
        start = spare // 2 if low == high else ((spare + 1) * place).astype(np.int64)
        middle = torch.arange(self.num_frames) + 0.5
        frames_of_crop = torch.from_numpy(length)[..., None]
        at = (frames_of_crop / self.num_frames * middle - 0.5).clamp(min=0)
        return first + start, at.minimum(frames_of_crop - 1)

    def _sorted(self, clips: np.ndarray, rng: Rng) -> tuple[np.ndarray, Tensor]:
        """The same for frames drawn at random from the whole clip, and their numbers in order."""
        chosen = rng.uniform(self.num_views, self.num_frames).double()
        first, frames = self._window(clips, rng)
        at = (chosen * torch.from_numpy(frames)[..., None]).floor()
        return np.broadcast_to(first, (len(clips), self.num_views)), at.float().sort().values

    def _window(self, clips: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        """First frame and number of frames, (N, K) or (N, 1), of what each clip's draws are taken from."""
        frames = self.store.frames[clips]
        if self.max_frames is None:
            return np.zeros_like(frames), frames
        length = np.minimum(frames, self.max_frames)
        return ((frames - length + 1) * rng.uniform(1).double().numpy()).astype(np.int64), length

    def _gather(self, clips: np.ndarray, start: np.ndarray, at: Tensor) -> tuple[Tensor, Tensor]:
        """Frames of clips, interpolated: x (N, K, C, T, V, M), absent persons zero, and present (N, M)."""
        store, home = self.store, self._joints.device
        frames, persons = store.frames[clips], store.persons[clips]
        draws = np.stack(np.broadcast_arrays(store.offset[clips] + start, frames, persons))
        first, frames, persons = torch.from_numpy(draws).to(home)[..., None, None]  # (N, K, 1, 1) each
        person = torch.arange(store.max_persons, device=home)[:, None]
        present = person < persons  # (N, K, M, 1)

        at = at.to(home)[:, :, None]  # (N, K, 1, T)
        before = at.long()
        # Absent persons are gathered too, as the first person with weight zero: cheaper than leaving them out.
        row = first + frames * person * present + before  # (N, K, M, T)
        both = torch.stack([row, row + (at > before)], -1)  # the last frame of a clip has none after it
        weight = torch.stack([1 - (at - before), at - before], -1) * present[..., None]
        table, both, weight = self._joints.flatten(1), both.view(-1, 2), weight.view(-1, 2)
        if table.dtype == torch.float16:  # rounded when stored, and not once more here
            points = (table[both].float() * weight[..., None]).sum(1)
        else:
            points = F.embedding_bag(both, table, per_sample_weights=weight, mode="sum")
        x = points.view(*row.shape, *self._joints.shape[1:])  # (N, K, M, T, V, C)
        # In memory a person's joints stay together, as the encoder will pack them.
        return x.permute(0, 1, 2, 5, 3, 4).contiguous().movedim(2, 5), present[:, 0, :, 0]

    def _check(self, batch_size: int) -> None:
        where = self.store.path
        if not len(self.rows):
            raise UserError(f"{where}: no clips to load; choose a split that has some")
        if self.rows.min() < 0 or self.rows.max() >= len(self.store):
            raise UserError(
                f"{where}: rows must lie in 0..{len(self.store) - 1}; was the split made for another store?"
            )
        for name, value in {
            "batch_size": batch_size,
            "num_frames": self.num_frames,
            "num_views": self.num_views,
            "min_frames": self.min_frames,
            "max_frames": 1 if self.max_frames is None else self.max_frames,
        }.items():
            if value < 1:
                raise UserError(f"{name}: must be at least 1, got {value}")
        if batch_size % self.world_size:
            raise UserError(
                f"batch_size: {batch_size} clips cannot be shared evenly by {self.world_size} ranks; take a multiple"
            )
        if self.drop_last and len(self.rows) < self.world_size:
            raise UserError(f"{where}: {len(self.rows)} clips for {self.world_size} ranks; use fewer ranks")
        for name, given, known in (
            ("sampling", self.sampling, SAMPLINGS),
            ("cameras", self.cameras, CAMERAS),
            ("balance", self.balance, BALANCES),
            ("batches", self.batches, BATCHES),
        ):
            if given not in known:
                raise UserError(f"{name}: must be {', '.join(known[:-1])} or {known[-1]}, got {given!r}")
        try:
            check_crop(self.crop)
        except ValueError as error:
            raise UserError(f"crop: {error}") from error
        if self.seed < 0:
            raise UserError(f"seed: must not be negative, got {self.seed}")


def _place(store: Store, device: torch.device, resident: str) -> Tensor:
    """The store's joints (F, V, C): in the memory map, or moved to the device."""
    mapped = torch.from_numpy(store.joints)
    if resident == "always":
        return mapped.to(device, copy=True)
    if resident == "auto" and device.type != "cpu" and 4 * mapped.nbytes <= _free_memory(device):
        return mapped.to(device)
    if resident not in ("auto", "never"):
        raise UserError(f"resident: must be auto, never or always, got {resident!r}")
    return mapped


def _free_memory(device: torch.device) -> int:
    """Free bytes of an accelerator; 0 where the backend does not say."""
    try:
        return torch.accelerator.get_memory_info(device)[0]
    except NotImplementedError:
        return 0
