"""A device that every machine has: its tensors compute on the CPU, and refuse to meet a tensor that was left there.

A GPU refuses to compute with a tensor of the CPU; here the same mistake fails without a GPU. The device calls itself
``meta``, the only one besides the CPU for which autograd needs no driver. Its numbers are real. As on a GPU, single
numbers of the CPU may take part, and whole numbers of the CPU may index.

Recurrent networks take another path here than on a GPU, so they are left to ``make gpu``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

from ssl_skel.batch import Rng

ELSEWHERE = torch.device("meta")
_ATEN: Any = torch.ops.aten
_COPY, _MOVE = _ATEN.copy_.default, _ATEN._to_copy.default
_INDEX = {_ATEN.index.Tensor, _ATEN.index_put.default, _ATEN.index_put_.default, _ATEN._index_put_impl_.default}


class Elsewhere(Tensor):
    """A tensor that says it is on another device."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> Elsewhere:
        made: Elsewhere = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=ELSEWHERE,
        )
        made.here = here
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"elsewhere {self.here!r}"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})

    def __getitem__(self, at: Any) -> Any:
        return super().__getitem__(_with_tensors(at))

    def __setitem__(self, at: Any, value: Any) -> None:
        super().__setitem__(_with_tensors(at), value)

    def tolist(self) -> Any:
        return self.here.tolist()

    def new_tensor(self, data: Any, **options: Any) -> Tensor:  # type: ignore[override]
        return torch.tensor(data, dtype=options.get("dtype", self.dtype)).to(ELSEWHERE)


def _with_tensors(at: Any) -> Any:
    """An index whose lists are tensors; torch would make them on this device, where it knows no numbers."""
    if isinstance(at, tuple):
        return tuple(torch.tensor(one) if isinstance(one, list | tuple) else one for one in at)
    return torch.tensor(at) if isinstance(at, list) else at


class _Factories(TorchDispatchMode):
    """Sees what is made from nothing, on a device that is named."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
    there = any(isinstance(value, Elsewhere) for value in tensors)
    if there and func not in (_COPY, _MOVE):
        _refuse_strangers(func, tensors)
    if kwargs.get("device") is not None:
        there, kwargs = torch.device(kwargs["device"]) == ELSEWHERE, kwargs | {"device": torch.device("cpu")}
    args_here, kwargs_here = tree_map_only(Elsewhere, lambda value: value.here, (args, kwargs))
    found = func(*args_here, **kwargs_here)
    if func._schema.name.endswith("_"):
        return args[0]  # changed in place
    wrap = lambda value: value if isinstance(value, Elsewhere) else Elsewhere(value)  # noqa: E731
    return tree_map_only(Tensor, wrap, found) if there else found


def _refuse_strangers(func: Any, tensors: list[Tensor]) -> None:
    for value in tensors:
        if isinstance(value, Elsewhere):
            continue
        assert value.device.type == "cpu", f"{func}: numbers were lost"
        if value.dim() and not (func in _INDEX and value.dtype in (torch.int64, torch.bool)):
            raise RuntimeError(f"{func}: a tensor of the CPU, of shape {tuple(value.shape)}, among others elsewhere")


class _RngElsewhere(Rng):
    """Draws the numbers of the CPU, and hands them out on the device that was wanted."""

    def __init__(self, *args: Any, device: torch.device | str = "cpu", **options: Any) -> None:
        super().__init__(*args, **options)
        self._device = torch.device(device)

    def _mine(self, draw: Tensor) -> Tensor:
        return super()._mine(draw).to(self._device)


@contextmanager
def elsewhere() -> Iterator[torch.device]:
    """A device on which everything must be that meets there."""
    enabled, dtype, autocast = torch.is_autocast_enabled, torch.get_autocast_dtype, torch.autocast
    tensor = torch.tensor
    with ExitStack() as stack:
        for name, stand_in in (
            ("is_autocast_enabled", lambda device: enabled(_known(device))),
            ("get_autocast_dtype", lambda device: dtype(_known(device))),
            ("autocast", lambda device, *args, **options: autocast(_known(device), *args, **options)),
            ("tensor", lambda data, device="cpu", **options: tensor(data, **options).to(device)),
            ("inference_mode", torch.no_grad),  # a tensor of inference takes no other's version
        ):
            stack.enter_context(patch.object(torch, name, stand_in))
        stack.enter_context(patch("ssl_skel.data.loader.Rng", _RngElsewhere))
        stack.enter_context(_Factories())
        yield ELSEWHERE


def _known(device: str) -> str:
    """A type of device that autocast knows."""
    return "cpu" if device == ELSEWHERE.type else device
