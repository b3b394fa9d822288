"""A device that is not the CPU, on any machine: PyTorch's own way of writing a device in Python, with the CPU doing the work.

Its tensors say that they are elsewhere (``far:0``), and it is as strict as a GPU: operations over tensors of two devices are
refused, and what is fetched from it is counted. Like Apple's GPUs, it may know no double precision.

Making it known is for good, so that a test runs a program of its own (`other_device_program.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("far")
FAR = torch.device("far:0")
CPU = torch.device("cpu")
_aten = torch.ops.aten
_MOVES = (_aten._to_copy.default, _aten.copy_.default, _aten.to.device, _aten.to.dtype_layout, _aten.to.other)
"""Operations that may look at two devices."""


class _Far(torch.Tensor):
    """A tensor over there; ``inner`` is what it holds."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype, device=FAR
        )  # fmt: skip

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError("inside of other_device()")


def _here(leaf: Any) -> Any:
    if isinstance(leaf, torch.device) and leaf.type == FAR.type:
        return CPU
    return leaf.inner if isinstance(leaf, _Far) else leaf


class _Dispatch(TorchDispatchMode):
    def __init__(self, double: bool) -> None:
        super().__init__()
        self._double = double
        self.fetched = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        leaves = tree_leaves((args, kwargs or {}))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        far = [tensor for tensor in tensors if isinstance(tensor, _Far)]
        near = [tuple(tensor.shape) for tensor in tensors if not isinstance(tensor, _Far) and tensor.dim()]
        if far and near and func not in _MOVES:
            raise RuntimeError(f"{func}: tensors on two devices; those of shapes {near} are on the CPU")
        own_args, own_kwargs = tree_map(_here, (args, kwargs or {}))
        found = func(*own_args, **own_kwargs)
        if func is _aten.copy_.default:
            self.fetched += bool(far) and not isinstance(args[0], _Far)
            return args[0]
        wanted = [leaf for leaf in leaves if isinstance(leaf, torch.device)]
        there = wanted[0].type == FAR.type if wanted else bool(far)
        if not there or func is _aten._local_scalar_dense.default:
            self.fetched += bool(far)
            return found
        known = {id(tensor.inner): tensor for tensor in far}  # what was changed in place stays the tensor it was
        return tree_map(lambda leaf: known[id(leaf)] if id(leaf) in known else self._sent(leaf), found)

    def _sent(self, tensor):
        if not isinstance(tensor, torch.Tensor):
            return tensor
        if tensor.dtype == torch.float64 and not self._double:
            raise TypeError("this device has no float64")
        with torch.inference_mode(False):  # else PyTorch could not count the changes of what was made before
            return _Far(tensor)


class _Made(TorchFunctionMode):
    """What PyTorch does below the dispatcher: tensors made of lists, and lists made of tensors."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and kwargs.get("device") is not None:
            place = kwargs.pop("device")
            return func(*args, **kwargs).to(place)
        if func is torch.Tensor.tolist:
            return func(args[0].cpu())
        return func(*args, **kwargs)


@contextmanager
def other_device(double: bool) -> Iterator[_Dispatch]:
    """Inside of the block there is the device `FAR`.

    Args:
        double: whether it knows float64.

    Yields:
        What counts: ``fetched`` tensors and numbers so far. A GPU stops at each until all before it is done.
    """
    counter = _Dispatch(double)
    # Another thread, where a device's gradients are computed otherwise, knows nothing of this block.
    with torch.autograd.set_multithreading_enabled(False), _Made(), counter:
        yield counter
