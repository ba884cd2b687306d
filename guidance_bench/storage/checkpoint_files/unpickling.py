"""A reader of pickles that builds tensors and plain values; whatever else a file asks for becomes a placeholder.

A pickle names functions and classes and has them called. Here every name is answered by this module: the few that make
tensors, by functions of ours that make tensors; all others, by classes that take any arguments and do nothing. So
nothing of what a file names is imported or called, and a training checkpoint's configuration, paths and random states
stand in nobody's way.
"""

from __future__ import annotations

import pickle
import pickletools
from collections import OrderedDict
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor


class Placeholder:
    """Stands for an object that is not built. Its class says in ``wanted`` what the file asked for."""

    wanted = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Placeholder:
        """Any arguments do."""
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Placeholder:
        """Itself: what a function that is not called would have made."""
        return self

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, value: Any) -> None:
        """Nothing: a list's item."""

    def extend(self, values: Any) -> None:
        """Nothing: a list's items."""

    def add(self, value: Any) -> None:
        """Nothing: a set's item."""


class RunsCode(pickle.UnpicklingError):
    """The file asks for what only a hostile one needs."""


#: No checkpoint of tensors needs these; a file that asks for one is refused, although it would not be called.
_HOSTILE_MODULES = {
    "os", "posix", "nt", "subprocess", "sys", "shutil", "socket", "importlib", "runpy", "pty", "ctypes", "webbrowser",
}  # fmt: skip
_HOSTILE_NAMES = {
    ("builtins", name) for name in ("eval", "exec", "compile", "__import__", "open", "input", "breakpoint")
} | {("types", "CodeType"), ("types", "FunctionType")}


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *rest: Any) -> Tensor:
    made: Tensor = torch._utils._rebuild_tensor(storage, offset, size, stride)
    return made


def _parameter(data: Any, *rest: Any) -> Any:
    return data


def _subclass(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    return function(*arguments) if function in (_tensor, _parameter) else Placeholder()


def _plain_dict(*arguments: Any) -> dict[Any, Any]:
    return {}


_TENSORS: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _subclass,
    ("torch", "Size"): torch.Size,
    ("torch.storage", "UntypedStorage"): torch.UntypedStorage,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): _plain_dict,
    ("builtins", "dict"): _plain_dict,
}


class Unpickler(pickle.Unpickler):
    """Python's unpickler with every name answered by this module."""

    def __init__(self, file: Any, **options: Any) -> None:
        _check_places(file)
        super().__init__(file, **options)

    def find_class(self, module: str, name: str) -> Any:
        """What stands for ``module.name``; :class:`RunsCode` for what only a hostile file needs."""
        module = "builtins" if module == "__builtin__" else module
        if module.split(".")[0] in _HOSTILE_MODULES or (module, name) in _HOSTILE_NAMES:
            raise RunsCode(f"{module}.{name}")
        return _TENSORS.get((module, name)) or _placeholder(module, name)


def _check_places(file: Any) -> None:
    """Raise ``UnpicklingError`` where a pickle wants to remember something at a place that it cannot have come to.

    Python's unpickler makes room up to that place, be it the two-thousand-millionth: a flipped bit fills the memory.
    """
    start = file.tell()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and (argument or 0) > count:
            raise pickle.UnpicklingError(f"place {argument} after {count} steps")
    file.seek(start)


@cache
def _placeholder(module: str, name: str) -> type[Placeholder]:
    return type("Placeholder", (Placeholder,), {"wanted": f"{module}.{name}"})


def _load(file: Any, **options: Any) -> Any:
    return Unpickler(file, **options).load()


#: For ``torch.load(pickle_module=...)``, which knows the containers of torch.save and leaves the pickles to this.
PICKLE_MODULE = SimpleNamespace(__name__="guidance_bench", Unpickler=Unpickler, load=_load)
