"""Checkpoints to backbones, and back: official state dicts, and safetensors with the configuration inside."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..core.errors import UserError
from ..storage.checkpoint_files.containers import state_dict
from ..storage.checkpoint_files.reading import read_checkpoint
from ..storage.files import atomic
from ..storage.hub import fetch, known_checkpoints
from .backbone import BACKBONES, Backbone, BackboneConfig, config_of
from .official_layouts import UNUSED, check_given, check_telling, configuration, layout_of, recognise
from .origin import Origin, origin_in

NATIVE = "guidance_bench"  # the layout, and the key of its metadata
#: A training's result in its folder.
RESULT = "model.safetensors"


def load_backbone(
    source: str | Path | Mapping[str, Any],
    *,
    layout: str = "auto",
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    weights: str | None = None,
    **config: Any,
) -> Backbone:
    """Build the network of a checkpoint, in evaluation mode and in the project's convention of time and sign.

    Args:
        source: path to .pt, .pth or .safetensors, the folder of a finished training, a checkpoint of one that is not
            finished, the name of a known checkpoint, "hub-org/repo:file", a URL, or a mapping of names to tensors;
            bare or as training programs nest it (see :mod:`guidance_bench.storage.checkpoint_files.containers`), with
            or without the prefixes of wrappers.
        layout: "sit", "sit_ig" (also REPA's), "lightningdit", "lightningdit_ig", "guidance_bench", or "auto" to be told
            by the tensors.
        device: where the parameters go.
        dtype: what the parameters become; velocities have it too.
        weights: "ema" (averaged) or "model" (as trained); None takes averaged ones where there are any, and says so
            where it had a choice.
        config: what the tensors do not tell, by the names of the backbone's configuration (``num_heads``, ``tap``).

    Raises:
        UserError: no such file, not a checkpoint, a pickle that wants to run code, tensors that are missing,
            unexpected, of another shape, no floating-point numbers or not finite, or a configuration that is unknown,
            absent or contradicts the tensors.
    """
    if isinstance(source, str) and not os.path.exists(os.path.expanduser(source)):
        source, layout, config = _fetch(source, layout, config)
    where, content, metadata = _read(source)
    averaged = weights != "model"
    if NATIVE in content:
        content, metadata, weights = _of_training(content, weights, where)
    ours = NATIVE in metadata and weights is None  # its names are the network's own
    tensors = dict(content) if ours else state_dict(content, weights, where)
    if layout == NATIVE or NATIVE in metadata:
        spec, data_time, origin = _native(metadata, layout, config, where)
    else:
        spec, data_time, origin = *_official(tensors, layout, config, where), None
    backbone = _fill(spec, tensors, device, dtype, where)
    backbone.data_time, backbone.origin = data_time, origin if averaged or not origin else origin.as_trained()
    return backbone.eval()


def save_backbone(backbone: Backbone, path: str | Path, origin: Origin | None = None) -> None:
    """Write tensors, configuration and what is said of the training to one safetensors file, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in backbone.state_dict().items()}
    with atomic(Path(path)) as temporary:
        save_file(tensors, temporary, metadata={NATIVE: about_network(backbone, origin)})


def about_network(backbone: Backbone, origin: Origin | None = None) -> str:
    """What tensors do not tell of a network, as JSON: its class, configuration, convention of time, and training.

    One text, because safetensors writes several in no fixed order, and equal networks are to be equal files.
    """
    spec: BackboneConfig = backbone.config  # type: ignore[assignment]
    about = {"backbone": spec.name, "config": config_of(backbone), "data_time": backbone.data_time}
    return json.dumps({**about, **({"training": origin.as_dict()} if origin else {})})


def checkpoint_file(source: str | Path) -> Path:
    """The local file of a source as :func:`load_backbone` takes it; of a finished training's folder its result.

    Raises:
        UserError: it is not here and cannot be had, or a folder that holds no result.
    """
    return _result_of(fetch(source))


def _result_of(path: Path) -> Path:
    """A file as it is; of a training's folder the result."""
    if not path.is_dir() or (path / RESULT).is_file():
        return path / RESULT if path.is_dir() else path
    begun = sorted(path.glob("checkpoints/step_*.pt"))
    if begun:
        raise UserError(
            f"the training in {str(path)!r} is not finished: run its command again, or give {str(begun[-1])!r}"
        )
    raise UserError(
        f"{str(path)!r} is a folder without {RESULT}: give a checkpoint's file, or a finished training's folder"
    )


def _of_training(
    content: Mapping[str, Any], weights: str | None, where: str
) -> tuple[Mapping[str, Any], dict[str, str], None]:
    """Tensors and metadata of a checkpoint that a training goes on from (:mod:`guidance_bench.training.resume`)."""
    try:
        tensors = content["network"] if weights == "model" else content["averages"][0]
        return {**tensors}, {NATIVE: str(content[NATIVE])}, None
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(f"{where}: is a damaged checkpoint of a training ({error!r}): take another") from error


def _fetch(source: str, layout: str, config: dict[str, Any]) -> tuple[Path, str, dict[str, Any]]:
    """The local file of a known checkpoint, a hub address or a URL, with what is known of it where nothing is given."""
    path, known = checkpoint_file(source), known_checkpoints().get(source.lower())
    if known is None:
        return path, layout, config
    return path, known.layout if known.layout and layout == "auto" else layout, known.settings | config


def _read(source: str | Path | Mapping[str, Any]) -> tuple[str, Mapping[str, Any], dict[str, str]]:
    """What messages call the source, its content and its metadata."""
    if isinstance(source, Mapping):
        return "state dict", source, {}
    path = _result_of(Path(source).expanduser())
    return repr(str(path)), *read_checkpoint(path)


def _official(
    tensors: Mapping[str, Tensor], layout: str, given: Mapping[str, Any], where: str
) -> tuple[BackboneConfig, bool]:
    """Configuration of an official state dict, and whether its t = 1 is data."""
    if layout != "auto":
        layout_of(layout)
    check_telling(tensors, where)
    name = recognise(tensors, where) if layout == "auto" else layout
    kind = layout_of(name)
    return BACKBONES.create(kind.backbone, **configuration(tensors, name, given, where)), kind.data_time


def _native(
    metadata: Mapping[str, str], layout: str, given: Mapping[str, Any], where: str
) -> tuple[BackboneConfig, bool, Origin | None]:
    """Configuration of a checkpoint of :func:`save_backbone`, whether its t = 1 is data, and its training."""
    if layout not in ("auto", NATIVE):
        raise UserError(f"{where}: is a checkpoint of this project, its layout is {NATIVE!r}, not {layout!r}")
    if NATIVE not in metadata:
        raise UserError(f"{where}: has no {NATIVE!r} configuration in its metadata; name its official layout")
    try:
        about = json.loads(metadata[NATIVE])
        spec, data_time = BACKBONES.create(about["backbone"], **about["config"]), bool(about["data_time"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{where}: the configuration in its metadata is damaged: {error}") from error
    check_given(f"{where}: {spec.name}", type(spec), given)
    for name, value in given.items():
        if value != getattr(spec, name):
            raise UserError(f"{where}: {name}={value!r} contradicts its configuration, {getattr(spec, name)!r}")
    return spec, data_time, origin_in(about, where)


def _fill(
    spec: BackboneConfig, tensors: Mapping[str, Tensor], device: str | torch.device, dtype: torch.dtype, where: str
) -> Backbone:
    """Build the network without memory or initialisation, then give it copies of the tensors."""
    with torch.device("meta"):
        backbone = spec.build()
    wanted = backbone.state_dict()
    tensors = {name: tensor for name, tensor in tensors.items() if name in wanted or not name.startswith(UNUSED)}
    _check(tensors, wanted, where)
    _check_numbers(tensors, wanted, where)
    if any(buffer.is_meta and name not in wanted for name, buffer in backbone.named_buffers()):
        backbone = spec.build().to(device, dtype)  # what no state dict holds has to be computed
    copies = {
        name: tensor.detach().to(device, dtype if tensor.is_floating_point() else tensor.dtype, copy=True)
        for name, tensor in tensors.items()
    }
    backbone.load_state_dict(copies, assign=True)
    return backbone


def _check(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], where: str) -> None:
    """Raise one :class:`UserError` that names what is missing, unexpected or of another shape."""
    missing = [name for name in wanted if name not in tensors]
    unexpected = [name for name in tensors if name not in wanted]
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted
        if name in tensors and tensors[name].shape != wanted[name].shape
    ]
    problems = [
        f"{len(names)} {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
        if names
    ]
    if problems:
        raise UserError(f"{where}: tensors do not fit the network; {'; '.join(problems)}")


def _check_numbers(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], where: str) -> None:
    """Raise :class:`UserError` for weights that are whole numbers (quantised ones) or not finite."""
    for name, tensor in tensors.items():
        if not wanted[name].is_floating_point() or tensor.is_meta or not tensor.numel():
            continue
        if not tensor.is_floating_point():
            raise UserError(
                f"{where}: {name} holds {str(tensor.dtype).removeprefix('torch.')}, not floating-point weights; "
                "quantised checkpoints are not read, give the original"
            )
        ends = torch.stack(torch.aminmax(tensor if tensor.element_size() > 1 else tensor.float()))
        if not ends.isfinite().all():  # which NaN makes NaN
            raise UserError(
                f"{where}: {name} holds a weight that is not finite: the training that made it has diverged"
            )
