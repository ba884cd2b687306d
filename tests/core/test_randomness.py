from __future__ import annotations

import numpy as np
import pytest
import torch

import guidance_bench as gb
from guidance_bench.core.randomness import KeyedRandom, generator, initial_noise, label_sequence


def test_the_draws_are_pinned():
    """A change of any of these numbers changes every sample of every run."""
    expected = [[0.8527976274490356, -0.7720168828964233], [-1.4896928071975708, -1.5549222230911255]]
    assert torch.equal(initial_noise(0, [0, 1], (2,)), torch.tensor(expected))
    assert initial_noise(0, [49999], (1,)).item() == -1.177505373954773
    random = KeyedRandom(7, [3], 2)
    assert random.normal("sde", (2,)).tolist() == [[1.9197642795100751, -1.272240798210369]]
    assert random.uniform("u", (2,)).tolist() == [[0.5592897447171278, 0.7053854484044996]]
    assert label_sequence("balanced", 12, 5, 0).tolist() == [4, 1, 1, 0, 2, 3, 0, 2, 4, 3, 1, 0]
    assert label_sequence("random", 12, 5, 0).tolist() == [3, 0, 2, 2, 2, 0, 0, 0, 4, 2, 2, 0]


@pytest.mark.parametrize("kind", ["normal", "uniform", "integers", "permutation"])
def test_a_draw_depends_on_its_own_sample_alone(kind):
    arguments = {"normal": ((3, 2),), "uniform": ((4,),), "integers": (1000,), "permutation": (9,)}[kind]
    indices = [5, 0, 77, 123456]
    whole = getattr(KeyedRandom(1, indices), kind)("p", *arguments)
    for row, index in enumerate(indices):
        assert torch.equal(getattr(KeyedRandom(1, [index]), kind)("p", *arguments)[0], whole[row])
    backwards = getattr(KeyedRandom(1, indices[::-1]), kind)("p", *arguments)
    assert torch.equal(backwards, whole.flip(0))


def test_seed_sample_purpose_and_step_all_matter():
    draws = [
        generator(seed, purpose, index, step).standard_normal()
        for seed in (0, 1, 2**64 - 1)
        for purpose in ("initial noise", "sde")
        for index in (0, 1, 10**6)
        for step in (0, 1, 250)
    ]
    assert len(set(draws)) == len(draws) == 54


def test_the_noise_is_standard_normal_and_uncorrelated():
    x = initial_noise(3, range(2000), (8,)).double()
    assert abs(float(x.mean())) < 4 / np.sqrt(x.numel())
    assert abs(float(x.var()) - 1) < 4 * np.sqrt(2 / x.numel())
    correlation = np.corrcoef(x.numpy().T) - np.eye(8)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(2000)
    neighbours = (x[:-1] * x[1:]).mean()
    assert abs(float(neighbours)) < 4 / np.sqrt(x.numel())


@pytest.mark.parametrize(("count", "classes"), [(1000, 10), (1797, 10), (7, 10), (50_000, 1000)])
def test_balanced_labels_give_every_class_its_share_in_a_shuffled_order(count, classes):
    labels = label_sequence("balanced", count, classes, 0)
    shares = torch.bincount(labels, minlength=classes)
    assert int(shares.max() - shares.min()) <= 1
    assert len(labels) == count
    if count > classes:
        assert not torch.equal(labels, labels.sort().values)
        assert not torch.equal(labels, label_sequence("balanced", count, classes, 1))
        # As ADM's Inception Score sees them: no tenth of the file holds only a few of the classes.
        tenths = labels[: count // 10 * 10].view(10, -1)
        assert all(len(tenth.unique()) > 0.5 * min(classes, len(tenth)) for tenth in tenths)


def test_random_labels_do_not_depend_on_how_many_there_are():
    assert torch.equal(label_sequence("random", 300, 10, 5)[:40], label_sequence("random", 40, 10, 5))
    shares = torch.bincount(label_sequence("random", 5000, 10, 5), minlength=10)
    assert float((shares - 500).abs().max()) < 5 * np.sqrt(5000 * 0.09)


def test_an_unknown_policy_is_named():
    with pytest.raises(gb.UserError, match="labels='sorted' is not one of random, balanced"):
        label_sequence("sorted", 4, 2, 0)


def test_a_named_branch_draws_apart_and_stays_apart():
    plain, named = KeyedRandom(0, range(3), 2), KeyedRandom(0, range(3), 2).named("null")
    assert not torch.equal(plain.normal("class_noise", (4,)), named.normal("class_noise", (4,)))
    assert plain.shared("order").integers(1 << 40) != named.shared("order").integers(1 << 40)
    chosen = torch.tensor([True, False, True])
    assert torch.equal(named.subset(chosen).normal("a", (4,)), named.normal("a", (4,))[chosen])
    assert torch.equal(named.at(2).normal("a", (4,)), named.normal("a", (4,)))


def test_a_batchs_draws_are_those_of_each_samples_own_generator():
    """One generator object, set to each sample in turn, draws what a new one would, however much was drawn before."""
    indices = [0, 7, 3, 2**40, 2**64 - 1]
    random = KeyedRandom(2**64 - 1, indices, step=9)
    own = [generator(2**64 - 1, "p", index, 9) for index in indices]
    assert np.array_equal(random.normal("p", (3, 5)), [g.standard_normal((3, 5)) for g in own])
    own = [generator(2**64 - 1, "p", index, 9) for index in indices]
    assert np.array_equal(random.uniform("p", (7,)), [g.random(7) for g in own])
    assert np.array_equal(random.uniform("p"), [generator(2**64 - 1, "p", i, 9).random() for i in indices])
    assert np.array_equal(random.integers("p", 10), [generator(2**64 - 1, "p", i, 9).integers(10) for i in indices])
    wanted = [generator(2**64 - 1, "p", i, 9).permutation(6) for i in indices]
    assert np.array_equal(random.permutation("p", 6), wanted)
    assert random.integers("p", 10).dtype == random.permutation("p", 6).dtype == torch.int64
    assert random.uniform("p").shape == (5,) and random.normal("p", ()).shape == (5,)
    assert KeyedRandom(0, []).normal("p", (2,)).shape == (0, 2)
