"""Holds a method's object to its word: it keeps nothing of a batch in itself."""

from __future__ import annotations

import hashlib
import inspect
import pickle
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import UserError
from ..guidance.method import Guidance


class StateError(UserError):
    """A method keeps something of a batch in its object."""


class Unchanged:
    """A method's fields and class attributes as they are now, to be compared with later.

    Attributes of the instance, of the classes that it derives from (the project's own bases aside) and of methods
    inside it count. What a method keeps in its module's globals is not seen.
    """

    def __init__(self, method: Guidance) -> None:
        self.method = method
        self._before = _state(method)

    def check(self) -> None:
        """Raise :class:`StateError` where something has changed since."""
        after = _state(self.method)
        for name in {**self._before, **after}:
            if self._before.get(name) != after.get(name):
                raise StateError(
                    f"method {self.method.name!r} keeps {name!r} in its object while it guides, where another batch "
                    f"would meet it: keep it in step.state, which init() begins"
                )


def _state(method: Guidance) -> dict[str, object]:
    state: dict[str, object] = {}
    for cls in reversed(type(method).__mro__):
        if not cls.__module__.startswith("guidance_bench.guidance.") and cls.__module__.partition(".")[0] != "builtins":
            state |= {f"{cls.__name__}.{k}": _print(v) for k, v in vars(cls).items() if _is_value(k, v)}
    for name, value in vars(method).items():
        if isinstance(value, Guidance):
            state |= {f"{name}.{k}": v for k, v in _state(value).items()}
        else:
            state[name] = _print(value)
    return state


def _is_value(name: str, value: object) -> bool:
    return not name.startswith("__") and not name.startswith("_abc_") and not inspect.isroutine(value)


def _print(value: Any) -> object:
    """Something that is equal as long as a value is not changed."""
    if isinstance(value, nn.Module):
        return id(value), tuple(_print(tensor) for tensor in value.state_dict(keep_vars=True).values())
    if isinstance(value, Tensor) and not value.is_inference():
        return id(value), value._version
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    try:
        return hashlib.blake2b(pickle.dumps(value)).digest()
    except Exception:  # cannot be written down: at least it must stay the same object
        return id(value)
