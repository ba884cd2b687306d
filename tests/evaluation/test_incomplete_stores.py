"""A sample store that is not whole is evaluated only by one who asks for it, and what is missing is counted."""

from __future__ import annotations

import numpy as np
import pytest
from fake_features import install, pictures
from synthetic_store import fill, flip, images_of

from guidance_bench.cli.main import main
from guidance_bench.core.errors import UserError
from guidance_bench.evaluation.evaluate import evaluate
from guidance_bench.storage.image_sets import ArrayImages, open_images

SHAPE = (8, 8, 3)


def damage(store, how):
    if how == "missing":
        store.path(10, 20).unlink()
    elif how == "damaged":
        flip(store.path(10, 20), -1)
    else:
        fill(store.folder.parent / "other", shape=SHAPE, run_id="def").path(10, 20).replace(store.path(10, 20))


@pytest.mark.parametrize("how", ["missing", "damaged", "of another run"])
@pytest.mark.parametrize("place", [".", "samples"])
def test_it_is_refused_unless_asked(tmp_path, how, place, capsys):
    store = fill(tmp_path, shape=SHAPE)
    damage(store, how)
    with pytest.raises(UserError, match=r"is not whole: 1 of 3 blocks, 10 of 25 samples, are missing or damaged; run"):
        open_images(tmp_path / place)
    source = open_images(tmp_path / place, partial=True)
    assert "10 of 25 samples, are missing or damaged; the other 15 are evaluated" in capsys.readouterr().err
    images = np.concatenate(list(source.batches(4)))
    assert len(source) == 15
    assert np.array_equal(images, np.concatenate([images_of(0, 10, SHAPE), images_of(20, 25, SHAPE)]))
    assert source.features is None  # kept features are of blocks by their place


def test_a_last_shard_that_is_gone_is_noticed(tmp_path):
    store = fill(tmp_path, shape=SHAPE)
    store.path(20, 25).unlink()
    with pytest.raises(UserError, match="1 of 3 blocks, 5 of 25 samples"):
        open_images(tmp_path)


def test_as_samples_and_as_reference_and_on_the_command_line(tmp_path, monkeypatch, capsys):
    install(monkeypatch)
    monkeypatch.chdir(tmp_path)
    store = fill(tmp_path / "run", shape=SHAPE)
    damage(store, "damaged")
    np.savez("real.npz", pictures(2, 40))
    with pytest.raises(UserError, match="is not whole"):
        evaluate("run", "real.npz", ["fid"])
    with pytest.raises(UserError, match="is not whole"):
        evaluate("real.npz", "run", ["fid"])
    assert main(["evaluate", "run", "reference=real.npz", "metrics=fid"]) == 2
    told = capsys.readouterr().err
    assert "10 of 25 samples" in told and "partial=true" in told and not (tmp_path / "outputs").exists()
    assert main(["evaluate", "run", "reference=real.npz", "metrics=fid", "partial=true", "output=x.json"]) == 0
    some = np.concatenate([images_of(0, 10, SHAPE), images_of(20, 25, SHAPE)])
    expected = evaluate(ArrayImages(some), "real.npz", ["fid"]).metrics["fid"].mean
    assert evaluate("run", "real.npz", ["fid"], partial=True).metrics["fid"].mean == expected
    assert main(["evaluate", "run", "reference=real.npz", "partial=perhaps"]) == 2
    assert "partial='perhaps' is neither true nor false" in capsys.readouterr().err
