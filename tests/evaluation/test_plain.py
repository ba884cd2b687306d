"""gb.evaluate: the verb's numbers as a plain dictionary."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fake_features import install

import guidance_bench as gb


def test_evaluate_is_a_dictionary_of_the_metrics(tmp_path, monkeypatch):
    fake = install(monkeypatch)
    random = np.random.default_rng(0)
    images = {name: random.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8) for name, n in (("a", 40), ("b", 60))}
    for name, pixels in images.items():
        np.savez(tmp_path / f"{name}.npz", arr_0=pixels)
    result = gb.evaluate(tmp_path / "a.npz", tmp_path / "b.npz", metrics=["fid", "precision_recall"])
    statistics = [gb.metrics.feature_statistics(fake(images[name])["features"]) for name in "ba"]
    expected = gb.metrics.frechet_distance(*statistics[0], *statistics[1])
    assert result["metrics"]["fid"]["mean"] == pytest.approx(expected, rel=1e-9)
    assert set(result["metrics"]) == {"fid", "precision", "recall"}
    assert result["metrics"]["fid"]["values"] == [result["metrics"]["fid"]["mean"]]
    assert json.loads(json.dumps(result)) == result
