"""The weights in what a training program saved: under which name, in which wrapping, averaged or as trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...core.console import warn
from ...core.errors import UserError
from .unpickling import Placeholder

#: What DistributedDataParallel, torch.compile, FSDP and activation checkpointing put into names.
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}

#: Where programs keep averaged weights, and weights as trained; as entries, or as the first part of every name.
KINDS = {
    "ema": (
        "ema", "EMA", "ema_state_dict", "state_dict_ema", "ema_params", "params_ema", "model_ema", "ema_model",
        "ema_weights",
    ),
    "model": (
        "model", "state_dict", "model_state_dict", "module", "net", "network", "params", "weights", "online_model",
    ),
}  # fmt: skip
_INSIDE = (*KINDS["model"], "shadow", "shadow_params", *KINDS["ema"])  # an average's own wrapping
_COUNTERS = {"n_averaged", "num_updates", "decay", "initted", "step"}  # what averages keep beside their tensors


@dataclass(frozen=True)
class Weights:
    """A state dict and where it was.

    Attributes:
        tensors: by the names they have in the file.
        place: the entry, e.g. "ema" or "ema.shadow"; empty for a bare state dict.
    """

    tensors: Mapping[str, Any]
    place: str


def state_dict(content: Mapping[str, Any], weights: str | None, where: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint under their plain names. Where there are several sets, it says which it takes.

    Args:
        content: a bare state dict, or a mapping that holds one: under one of :data:`KINDS`, there perhaps in a further
            mapping, with or without the prefixes of wrappers.
        weights: "ema" for averaged weights, "model" for those as trained; None takes "ema" where there is one, then
            "model", then the mapping itself.
        where: what messages call the checkpoint.

    Raises:
        UserError: the weights asked for are not there, or what is there is no state dict.
    """
    if weights not in (None, *KINDS):
        raise UserError(f"weights={weights!r} is not one of {', '.join(KINDS)}")
    found = _entries(content) or _parts(content)
    if weights is not None and weights not in found:
        has = ", ".join(repr(entry.place) for entry in found.values()) or "one bare state dict"
        raise UserError(f"{where}: holds no {weights!r} weights (it has: {has}){_empty(content, weights)}")
    kind = weights or next(iter(found), None)
    tensors = _tensors(found[kind] if kind else Weights(content, ""), where)
    if weights is None:
        _say(found, content, where)
    return {_plain(name): tensor for name, tensor in _without_beginning(tensors).items()}


def _say(found: Mapping[str, Weights], content: Mapping[str, Any], where: str) -> None:
    if len(found) > 1:
        taken, left = found["ema"].place, found["model"].place
        warn(f"{where}: the averaged weights under {taken!r} are taken; weights='model' takes those under {left!r}")
    elif "model" in found and _empty(content, "ema"):
        warn(f"{where}: the weights under {found['model'].place!r} are taken{_empty(content, 'ema')}")


def _empty(content: Mapping[str, Any], kind: str) -> str:
    """Words on an entry that should hold weights and is empty."""
    return next((f"; its {name!r} is empty" for name in KINDS[kind] if content.get(name, 0) in ({}, None)), "")


def _entries(content: Mapping[str, Any]) -> dict[str, Weights]:
    """The weights that lie under names of their own, by kind."""
    found: dict[str, Weights] = {}
    second: dict[str, Weights] = {}  # of another kind than the entry's, in the same mapping
    for kind, names in KINDS.items():
        for name in names:
            value = content.get(name)
            entry = _unwrap(value, name) if isinstance(value, Mapping) else None
            if entry is None:
                continue
            parts = _parts(entry.tensors)
            if len(parts) < 2:
                found.setdefault(kind, entry)
                continue
            for other, part in parts.items():
                target = found if other == kind else second
                target.setdefault(other, Weights(part.tensors, f"{entry.place}.{part.place}"))
    both = second | found
    return {kind: both[kind] for kind in KINDS if kind in both}


def _unwrap(value: Mapping[str, Any], place: str) -> Weights | None:
    """A mapping of tensors itself, or the one in it; with a list instead of a mapping where that is all there is."""
    if not value:
        return None
    if not any(isinstance(v, Tensor) and v.dim() for v in value.values()):
        for name in _INSIDE:
            inner = value.get(name)
            if isinstance(inner, Mapping) and (found := _unwrap(inner, f"{place}.{name}")):
                return found
            if isinstance(inner, (list, tuple)) and inner and all(isinstance(v, Tensor) for v in inner):
                return Weights(inner, f"{place}.{name}")  # type: ignore[arg-type]
    return Weights(value, place)


def _parts(tensors: Mapping[str, Any]) -> dict[str, Weights]:
    """Weights whose every name begins with one of :data:`KINDS`, by kind, without that beginning."""
    if not isinstance(tensors, Mapping):
        return {}
    kinds = {name: kind for kind, names in KINDS.items() for name in names if name not in WRAPPERS}
    parts: dict[str, dict[str, Any]] = {}
    for name, value in tensors.items():
        first, dot, rest = _plain(str(name)).partition(".")
        if not dot and first in _COUNTERS:
            continue
        if not dot or first not in kinds or not isinstance(value, Tensor):
            return {}
        parts.setdefault(first, {})[rest] = value
    found = {kinds[first]: Weights(part, first) for first, part in parts.items()}
    return {kind: found[kind] for kind in KINDS if kind in found} if len(found) == len(parts) else {}


def _without_beginning(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    while len(parts := _parts(tensors)) == 1:
        tensors = next(iter(parts.values())).tensors
    return tensors


def _tensors(chosen: Weights, where: str) -> Mapping[str, Tensor]:
    if not isinstance(chosen.tensors, Mapping):
        raise UserError(
            f"{where}: {chosen.place!r} keeps tensors without names, which cannot be told apart; "
            "weights='model' takes the weights as trained, where they are there"
        )
    beside = f" under {chosen.place!r}" if chosen.place else ""
    tensors = {str(k): v for k, v in chosen.tensors.items() if not (k in _COUNTERS and _is_counter(v))}
    wrong = next((name for name, value in tensors.items() if not isinstance(value, Tensor)), None)
    if tensors and wrong is None:
        return tensors
    if not tensors:
        raise UserError(f"{where}: is not a state dict, it is empty{beside}")
    value = tensors[wrong]  # type: ignore[index]
    if isinstance(value, Placeholder):
        raise UserError(
            f"{where}: is not a state dict, {wrong!r}{beside} is a whole object of {value.wanted}: "
            "save its state_dict() instead"
        )
    known = ", ".join(KINDS["ema"][:3] + KINDS["model"][:3])
    hint = "" if beside else f"; weights are looked for under {known} and the like"
    raise UserError(f"{where}: is not a state dict, {wrong!r}{beside} is no tensor{hint}")


def _is_counter(value: Any) -> bool:
    return not isinstance(value, Tensor) or value.dim() == 0


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)
