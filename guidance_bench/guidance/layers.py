"""Which blocks of a network a method acts on."""

from __future__ import annotations

from ..core.errors import UserError

#: What names blocks to leave out: blocks from 1, a share of the depth, or none for the middle third.
Layers = tuple[int, ...] | float | None


def middle_blocks(depth: int, layers: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """The blocks that a method names; none named: the middle third of ``depth`` blocks, at least one."""
    if layers is not None:
        return layers
    first = depth // 3 + 1
    return tuple(range(first, max(first, 2 * depth // 3) + 1))


def chosen_blocks(depth: int, layers: Layers) -> tuple[int, ...]:
    """The blocks named; a number below 1 is the one block at that share of ``depth``; none: :func:`middle_blocks`.

    Raises:
        UserError: a number that is neither a share between 0 and 1 nor a whole block.
    """
    if layers is None or isinstance(layers, tuple):
        return middle_blocks(depth, layers)
    if 0 < layers < 1:
        return (max(1, round(layers * depth)),)
    if layers != int(layers) or layers < 1:
        raise UserError(f"layers={layers:g} is neither a share of the depth, between 0 and 1, nor a block's number")
    return (int(layers),)
