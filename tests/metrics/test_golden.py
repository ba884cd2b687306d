"""The numbers that OpenAI's evaluator gave on small feature sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from guidance_bench.metrics import feature_statistics, frechet_distance, inception_score, precision_recall

FILES = sorted((Path(__file__).parents[1] / "data/adm").glob("*.npz"))


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def golden(request):
    with np.load(request.param) as contents:
        return dict(contents)


def test_all_goldens_are_here():
    assert [file.stem for file in FILES] == ["g1_small_d32", "g2_d64_unequal", "g4_k5"]


def test_fid(golden):
    statistics = (*feature_statistics(golden["ref"]), *feature_statistics(golden["sample"]))
    assert frechet_distance(*statistics) == pytest.approx(float(golden["fid"]), rel=1e-6)


def test_inception_score(golden):
    score = inception_score(golden["sample"] @ golden["W"], int(golden["split_size"]))
    assert score == pytest.approx(float(golden["is"]), rel=1e-5)


def test_precision_recall_is_exact(golden):
    exact = float(golden["precision_f64"]), float(golden["recall_f64"])
    assert precision_recall(golden["ref"], golden["sample"], int(golden["k"])) == exact


def test_half_precision_is_the_evaluators(golden):
    theirs = float(golden["precision"]), float(golden["recall"])
    assert precision_recall(golden["ref"], golden["sample"], int(golden["k"]), mode="adm_fp16") == theirs
