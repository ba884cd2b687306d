"""Edits that a method brings along: a function on the tokens, the attention, a branch or the whole of a block.

    @register_edit("colder", "attention")
    def colder(edit, q, k, v):
        return F.scaled_dot_product_attention(q * edit.amount, k, v)

``Edit("colder", layers=(3, 4), amount=2.0)`` then acts in these blocks like a built-in edit, on any network whose
``edit_places`` has "attention".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..core.errors import UserError

#: Where a function can act, and what it gets and returns. N samples that share the edit, T tokens of width D.
PLACES = {
    "tokens": "function(edit, tokens (N, T, D)): the tokens that the block is given, changed for good",
    "attention": "function(edit, q, k, v), each (N, heads, T, D / heads), normed and turned: the mixed values",
    "attention_branch": "function(edit, branch, tokens (N, T, D), normed): what attention adds; branch(tokens) runs it",
    "mlp_branch": "function(edit, branch, tokens (N, T, D), normed): what the MLP adds; branch(tokens) runs it",
    "block": "function(edit, block, tokens (N, T, D)): the tokens after the block; block(tokens) runs it",
}

#: Kinds of edit that networks know without a function.
BUILT_IN = frozenset({"skip_layers", "identity_attention", "query_blur", "token_shuffle", "time_noise", "class_noise"})

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class OwnEdit:
    """A registered edit: where it acts and its function (:data:`PLACES`)."""

    place: str
    function: Callable[..., Any]

    @property
    def home(self) -> tuple[str, str]:
        """The file and the name of the function."""
        return self.function.__code__.co_filename, self.function.__qualname__


_EDITS: dict[str, OwnEdit] = {}


def register_edit(kind: str, place: str) -> Callable[[Function], Function]:
    """Decorator: make a function the edit called ``kind``; what it does depends on ``place``, see :data:`PLACES`.

    The edit itself is the first argument: its ``amount``, and its ``random`` for draws, one index for each of the N
    samples; its ``layers`` is the one block in question. A function that needs more to know derives a frozen dataclass
    from :class:`~guidance_bench.networks.backbone.Edit`. Runs are named by the file that the function stands in, as by
    any plug-in.

    Raises:
        UserError: an unknown place, or a kind that is taken.
    """
    if place not in PLACES:
        raise UserError(f"edit {kind!r}: place={place!r} is not one of {', '.join(PLACES)}")

    def decorate(function: Function) -> Function:
        own, known = OwnEdit(place, function), _EDITS.get(kind)
        if kind in BUILT_IN or (known and known.home != own.home):
            where = f"at {':'.join(known.home)}" if known else "by guidance_bench"
            raise UserError(f"edit {kind!r} is registered already, {where}; choose another name")
        _EDITS[kind] = own
        return function

    return decorate


def own_edit(kind: str) -> OwnEdit | None:
    """The registered edit of a kind; None for a built-in or unknown one."""
    return _EDITS.get(kind)


def own_kinds() -> list[str]:
    """Every registered kind."""
    return sorted(_EDITS)
