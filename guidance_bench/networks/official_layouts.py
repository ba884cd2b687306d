"""Official state dicts: which architecture, which convention of time, which configuration.

Tensors tell nearly everything. What they do not tell is the number of heads (unless rotary positions or qk-norm show a
head's width) and the block of the Internal Guidance head: both are known for the official sizes and required otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..core.errors import UserError, did_you_mean
from ..core.parameters import check_names, check_value, fields_of
from .backbone import BACKBONES

HEAD = "final_layer_xr."  # the internal head of Internal Guidance
UNUSED = "projectors."  # REPA's projections, of use in training alone


@dataclass(frozen=True)
class Layout:
    """One official program's checkpoints.

    Attributes:
        backbone: registered name of the architecture.
        data_time: t = 1 is data and v = x0 - eps.
        head: whether the internal head must (True), must not (False) or may (None) be there.
    """

    backbone: str
    data_time: bool
    head: bool | None


LAYOUTS = {
    "sit": Layout("sit", data_time=True, head=False),  # willisma/SiT
    "sit_ig": Layout("sit", data_time=False, head=None),  # CVL-UESTC/Internal-Guidance, sihyun-yu/REPA
    "lightningdit": Layout("lightningdit", data_time=True, head=False),  # hustvl/LightningDiT
    "lightningdit_ig": Layout("lightningdit", data_time=True, head=True),  # CVL-UESTC/Internal-Guidance
}

# Block of the internal head by (width, depth). B has 4, as in the paper's ablation (arXiv 2512.24176); the larger ones
# have 8, the default of the released program, which takes 8 for B too: such a B is loaded with tap=8.
HEAD_BLOCKS = {(768, 12): 4, (1024, 24): 8, (1152, 28): 8, (1536, 24): 8, (1792, 28): 8}

# Tensors that the configuration is read from, with their ranks.
_TELLING = {
    "pos_embed": 3,
    "x_embedder.proj.weight": 4,
    "y_embedder.embedding_table.weight": 2,
    "blocks.0.adaLN_modulation.1.weight": 2,
    "final_layer.linear.weight": 2,
}
_TELLING_WHERE_THERE = {
    "feat_rope.freqs_cos": 2,
    "blocks.0.attn.q_norm.weight": 1,
    "blocks.0.mlp.w3.weight": 2,
    "blocks.0.mlp.fc2.weight": 2,
}


def layout_of(name: str) -> Layout:
    """The layout called ``name``; :class:`UserError` where there is none."""
    if name not in LAYOUTS:
        known = [*LAYOUTS, "guidance_bench", "auto"]
        raise UserError(f"unknown layout {name!r} (known: {', '.join(known)}){did_you_mean(name, known)}")
    return LAYOUTS[name]


def check_telling(tensors: Mapping[str, Tensor], where: str) -> None:
    """Raise :class:`UserError` where a tensor that the configuration is read from is missing or of another rank."""
    missing = [name for name in _TELLING if name not in tensors]
    if missing:
        raise UserError(f"{where}: is no SiT or LightningDiT checkpoint, for it lacks {', '.join(missing)}")
    for name, rank in (_TELLING | _TELLING_WHERE_THERE).items():
        shape = tuple(tensors[name].shape) if name in tensors else (1,) * rank
        if len(shape) != rank or 0 in shape:
            raise UserError(f"{where}: {name} has shape {shape}, expected {rank} dimensions, none of them 0")


def recognise(tensors: Mapping[str, Tensor], where: str) -> str:
    """The layout of a state dict, where its tensors tell; a LightningDiT without any of its options passes for a SiT.

    Raises:
        UserError: a plain SiT, whose convention of time no tensor shows.
    """
    if any(_options(tensors).values()):
        return "lightningdit_ig" if _has(tensors, HEAD) else "lightningdit"
    if _has(tensors, HEAD) or _has(tensors, UNUSED):
        return "sit_ig"
    if _learn_sigma(tensors):
        return "sit"
    raise UserError(
        f"{where}: the tensors do not tell in which direction time runs; give layout='sit' (t = 1 is data, as upstream "
        "SiT) or layout='sit_ig' (t = 1 is noise, as REPA and Internal Guidance); to run: backbone.layout=sit"
    )


def configuration(tensors: Mapping[str, Tensor], layout: str, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Parameters of the layout's backbone: read from the tensors, completed by what is given and by official sizes.

    Raises:
        UserError: a given parameter is unknown or contradicts the tensors, or one is needed and not given.
    """
    backbone = layout_of(layout).backbone
    cls = BACKBONES.entry(backbone).cls
    check_given(f"{where}: {backbone}", cls, given)
    _check_head(tensors, layout, given, where)
    told = _read(tensors, given) | (_options(tensors) if backbone == "lightningdit" else {})
    for name, value in given.items():
        if told.get(name, value) != value:
            raise UserError(f"{where}: {name}={value!r} contradicts the tensors, which say {told[name]!r}")
    official = _official(cls, tensors, told)
    complete = official | told | dict(given)
    absent = [name for name in official if complete[name] is None]
    if absent:
        words = " ".join(f"backbone.{name}=..." for name in absent)
        raise UserError(
            f"{where}: tensors do not tell {' and '.join(absent)}, and width {told['hidden_size']} with depth "
            f"{told['depth']} is no official size; give {', '.join(f'{name}=...' for name in absent)} to "
            f"load_backbone; to run: {words} (weak. for the weaker network)"
        )
    return complete


def check_given(owner: str, cls: type, given: Mapping[str, Any]) -> None:
    """Raise :class:`UserError` for a parameter that ``cls`` does not have, or a value of another type or range."""
    check_names(owner, cls, given)
    for field in fields_of(cls):
        if field.name in given:
            check_value(owner, field, given[field.name])


def _official(cls: type, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> dict[str, Any]:
    """Heads and internal head of the official size of this width and depth; None where there is no such size."""
    size = (told["hidden_size"], told["depth"])
    heads = {(s["hidden_size"], s["depth"]): s["num_heads"] for s in cls.sizes.values()}  # type: ignore[attr-defined]
    known = {"num_heads": heads.get(size)}
    return known | {"tap": HEAD_BLOCKS.get(size)} if _has(tensors, HEAD) else known


def _check_head(tensors: Mapping[str, Tensor], layout: str, given: Mapping[str, Any], where: str) -> None:
    wanted, has = LAYOUTS[layout].head, _has(tensors, HEAD)
    if has and wanted is False:
        raise UserError(f"{where}: has tensors {HEAD}*, which layout {layout!r} does not; give layout='{layout}_ig'")
    if not has and wanted:
        raise UserError(f"{where}: has no tensors {HEAD}*, which layout {layout!r} needs")
    if not has and given.get("tap") is not None:
        raise UserError(f"{where}: has no tensors {HEAD}*, so no internal head can hang after block tap={given['tap']}")


def _has(tensors: Mapping[str, Tensor], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in tensors)


def _learn_sigma(tensors: Mapping[str, Tensor]) -> bool:
    _, channels, patch, _ = tensors["x_embedder.proj.weight"].shape
    return tensors["final_layer.linear.weight"].shape[0] == 2 * channels * patch**2


def _read(tensors: Mapping[str, Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
    """What the tensors say of either architecture. The official programs all train a null label."""
    width, channels, patch, _ = tensors["x_embedder.proj.weight"].shape
    rows = tensors["y_embedder.embedding_table.weight"].shape[0]
    null = given.get("null_label", given.get("num_classes") != rows)
    told = {
        "input_size": math.isqrt(tensors["pos_embed"].shape[1]) * patch,
        "patch_size": patch,
        "in_channels": channels,
        "hidden_size": width,
        "depth": 1 + max(int(match[1]) for match in map(re.compile(r"blocks\.(\d+)\.").match, tensors) if match),
        "num_classes": rows - null,
        "null_label": null,
        "learn_sigma": _learn_sigma(tensors),
        "qk_norm": "blocks.0.attn.q_norm.weight" in tensors,
    }
    return told | _read_heads(tensors, width) | _read_mlp(tensors, width, given.get("mlp_ratio", 4.0))


def _read_heads(tensors: Mapping[str, Tensor], width: int) -> dict[str, Any]:
    """The number of heads, where a tensor has a head's width."""
    for name in ("feat_rope.freqs_cos", "blocks.0.attn.q_norm.weight"):
        if name in tensors:
            return {"num_heads": width // tensors[name].shape[-1]}
    return {}


def _read_mlp(tensors: Mapping[str, Tensor], width: int, ratio: float) -> dict[str, Any]:
    """The given or usual ratio where it leads to the MLP's width, else the smallest that does."""
    gated = "blocks.0.mlp.w3.weight" in tensors
    name = "blocks.0.mlp.w3.weight" if gated else "blocks.0.mlp.fc2.weight"
    if name not in tensors:
        return {}
    hidden = tensors[name].shape[-1]
    share = 2 / 3 if gated else 1.0  # a gated MLP has three matrices instead of two
    if int(share * int(width * ratio + 1e-6)) == hidden:
        return {"mlp_ratio": ratio}
    return {"mlp_ratio": math.ceil(hidden / share) / width}


def _options(tensors: Mapping[str, Tensor]) -> dict[str, bool]:
    """The options that LightningDiT alone has."""
    rows, width = tensors["blocks.0.adaLN_modulation.1.weight"].shape
    return {
        "rmsnorm": "blocks.0.norm1.weight" in tensors,
        "swiglu": "blocks.0.mlp.w12.weight" in tensors,
        "rope": "feat_rope.freqs_cos" in tensors,
        "wo_shift": rows == 4 * width,
    }
