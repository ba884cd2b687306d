from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic_store import COST, fill, images_of, truncate

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.storage.export import export, find
from guidance_bench.storage.sample_store import SampleStore, Shard


def test_npz_is_adms_form(tmp_path):
    store = fill(tmp_path / "run")
    export(store, tmp_path / "samples.npz")
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as file:
        assert file.files == ["arr_0", "arr_1"]
        assert np.array_equal(file["arr_0"], images_of(0, 25, (6, 6, 3)))
        assert file["arr_1"].dtype == np.int64 and file["arr_1"].tolist() == [i * 7 % 10 for i in range(25)]
    with zipfile.ZipFile(tmp_path / "samples.npz") as archive:
        assert archive.testzip() is None


def test_grey_images_become_rgb_for_adm_and_stay_grey_in_png(tmp_path):
    store = fill(tmp_path / "run", shape=(6, 6, 1))
    export(store, tmp_path / "samples.npz")
    grey = images_of(0, 25, (6, 6, 1))
    with np.load(tmp_path / "samples.npz") as file:
        assert np.array_equal(file["arr_0"], grey.repeat(3, axis=-1))
    export(store, tmp_path / "png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "png" / "000003.png")), grey[3, ..., 0])


def test_png_folder_holds_every_sample_and_its_label(tmp_path):
    export(fill(tmp_path / "run"), tmp_path / "png")
    files = sorted((tmp_path / "png").glob("*.png"))
    assert [f.name for f in files] == [f"{i:06d}.png" for i in range(25)]
    assert np.array_equal(np.stack([np.asarray(Image.open(f)) for f in files]), images_of(0, 25, (6, 6, 3)))
    table = (tmp_path / "png" / "labels.csv").read_text().splitlines()
    assert table[0] == "file,label" and table[13] == "000012.png,4" and len(table) == 26


def test_grid_is_row_by_row_and_tiny_images_are_enlarged(tmp_path):
    export(fill(tmp_path / "run"), tmp_path / "grid.png", columns=4, rows=3)
    picture = np.asarray(Image.open(tmp_path / "grid.png"))
    assert picture.shape == (3 * 6 * 5, 4 * 6 * 5, 3)
    small = picture[::5, ::5].reshape(3, 6, 4, 6, 3).transpose(0, 2, 1, 3, 4).reshape(12, 6, 6, 3)
    assert np.array_equal(small, images_of(0, 12, (6, 6, 3)))


def test_a_grid_larger_than_the_set_ends_black(tmp_path):
    export(fill(tmp_path / "run"), tmp_path / "grid.png", columns=10, rows=10)
    picture = np.asarray(Image.open(tmp_path / "grid.png"))
    assert picture.shape == (3 * 30, 10 * 30, 3) and not picture[60:, 150:].any() and picture[60:, :150].any()


@pytest.mark.parametrize("target", ["samples.npz", "png", "grid.png"])
def test_damaged_samples_are_named_and_nothing_half_written_stays(tmp_path, target):
    store = fill(tmp_path / "run")
    for block in store.blocks[1:]:
        truncate(store.path(*block))
    with pytest.raises(gb.UserError, match="00000010-00000020.safetensors' is missing or damaged"):
        export(store, tmp_path / "to" / target)
    assert not list(tmp_path.glob("to/*"))


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    store = fill(tmp_path / "run")
    with pytest.raises(gb.UserError, match="exists already: give a new folder"):
        export(store, tmp_path / "run")


def test_a_run_is_found_by_its_id_or_its_folder(tmp_path, monkeypatch):
    fill(tmp_path / "outputs" / "0123456789ab")
    monkeypatch.chdir(tmp_path)
    for name in ("0123456789ab", "outputs/0123456789ab", "outputs/0123456789ab/samples"):
        assert len(find(name, Path("outputs"))) == 25
    with pytest.raises(gb.UserError, match=r"no run '0123456789aa' in 'outputs'.*did you mean '0123456789ab'"):
        find("0123456789aa", Path("outputs"))


def test_the_command(tmp_path, capsys, monkeypatch):
    fill(tmp_path / "outputs" / "0123456789ab")
    monkeypatch.chdir(tmp_path)
    assert main(["export", "0123456789ab", "to=a.npz"]) == 0
    assert capsys.readouterr().out == "a.npz\n"
    assert main(["export", "outputs/0123456789ab", "to=a.png", "columns=2", "rows=2"]) == 0
    assert Image.open("a.png").size == (60, 60)
    assert main(["export", "0123456789ab", "to=b/"]) == 0 and len(os.listdir("b")) == 26


WRONG = [
    ["0123456789ab"],
    ["to=a.npz"],
    ["0123456789ab", "to="],
    ["0123456789ab", "to=a.tar"],
    ["0123456789ab", "to=a.png", "columns=0"],
    ["0123456789ab", "to=a.png", "rows=x"],
    ["0123456789ab", "to=a.png", "rows=99999999999999999999999"],
    ["0123456789ab", "more", "to=a.npz"],
    ["0123456789ab", "too=a.npz"],
    ["nothing", "to=a.npz"],
    ["outputs", "to=a.npz"],
]


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_commands_get_one_line(tmp_path, capsys, monkeypatch, arguments):
    fill(tmp_path / "outputs" / "0123456789ab")
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("guidance-bench: ") and told.count("\n") == 1
    assert os.listdir() == ["outputs"]


PEAK = """
import sys
import numpy as np
import torch
from guidance_bench.experiments.benchmark import Evaluator
from guidance_bench.storage.export import export
from guidance_bench.core.environment import peak_memory
from guidance_bench.experiments.evidence import read_once
from guidance_bench.storage.sample_store import SampleStore
from pathlib import Path

store, target = SampleStore.open(sys.argv[1]), Path(sys.argv[2])
if target.name == "features":
    evaluator = Evaluator("mean", lambda images: {"features": images.mean((1, 2), dtype=np.float32)}, None, {})
    seen = read_once(evaluator, store)
    assert seen.features.array("features").shape == (len(store), 3)
elif target.name == "all":
    whole = [shard.images for shard in store]
else:
    export(store, target)
print(peak_memory(torch.device("cpu")))
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """128 x 128 images in shards of 9.8 MB: 400 images (20 MB), and four times as many (79 MB)."""
    folder = tmp_path_factory.mktemp("stores")
    images = np.random.default_rng(0).integers(0, 256, (200, 128, 128, 3), dtype=np.uint8)
    for count in (400, 1600):
        store = SampleStore(folder / str(count) / "samples", "abc", count, 200)
        for start, stop in store.blocks:
            store.write(Shard(start, stop, images, np.zeros(200, np.int64), COST))
    return folder


def peak(store: Path, target: Path) -> int:
    """Peak memory in bytes of a fresh process that does one thing with a store."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, store, target],
        capture_output=True, text=True, check=True, cwd=Path(gb.__file__).parent.parent,
    )  # fmt: skip
    return int(done.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("target", ["samples.npz", "png", "features"])
def test_peak_memory_does_not_grow_with_the_number_of_samples(stores, tmp_path, target):
    """Measured at 1x and 4x. The features alone grow: here 12 bytes a sample, of the digits' classifier 296."""
    peaks = [peak(stores / str(count), tmp_path / str(count) / target) for count in (400, 1600)]
    print(f"{target}: {peaks[0] / 1e6:.1f} MB and {peaks[1] / 1e6:.1f} MB")
    assert peaks[1] - peaks[0] < 12e6  # the samples themselves differ by 59 MB


@pytest.mark.slow
def test_the_measurement_would_see_samples_kept_in_memory(stores, tmp_path):
    few, many = (peak(stores / str(count), tmp_path / str(count) / "all") for count in (400, 1600))
    assert many - few > 45e6
