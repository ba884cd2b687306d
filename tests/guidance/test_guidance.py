"""The algebra of guidance: batching, the ledger, state, spaces, edits in part of a batch, compositions."""

from __future__ import annotations

import pytest
import torch

import guidance_bench as gb
from guidance_bench.core.randomness import KeyedRandom
from guidance_bench.guidance.composition import CFGOver, Interval, Scheduled, Sum
from guidance_bench.guidance.method import chosen_blocks, held, middle_blocks
from guidance_bench.sampling.driver import Driver
from guidance_bench.sampling.dry_run import dry_steps
from guidance_bench.sampling.method_contract import make_case, tiny

CASE = make_case(gb.METHODS.create("none"), "lightningdit")


def made(method: gb.Guidance, solver: str = "euler", ledger: gb.Ledger | None = None) -> torch.Tensor:
    return CASE.sample(method, solver=solver, steps=4, ledger=ledger or gb.Ledger())


def create(name: str, **parameters) -> gb.Guidance:
    return gb.METHODS.create(name, **parameters)


def ask(*queries: gb.Query) -> tuple[tuple[torch.Tensor, ...], gb.Ledger]:
    ledger = gb.Ledger()
    driver = Driver(CASE.backbone, CASE.labels, CASE.weak, ledger)
    at = dry_steps(CASE.method, CASE.noise.double(), CASE.labels, CASE.backbone)[3]
    with torch.inference_mode():
        return driver.answering(at)(queries), ledger


def alone(*edits: gb.Edit, y: torch.Tensor = CASE.labels) -> torch.Tensor:
    with torch.inference_mode():
        return CASE.backbone(CASE.noise, torch.full((3,), 0.7), y, edits=edits).velocity.double()


RANDOM = KeyedRandom(0, range(3), 3)
EDITS = (
    gb.Edit("skip_layers", (2,)),
    gb.Edit("identity_attention", (2, 3)),
    gb.Edit("query_blur", (1, 2), 1.5),
    gb.Edit("query_blur", (1, 2), float("inf")),
    gb.Edit("token_shuffle", (2, 3), random=RANDOM),
    gb.Edit("time_noise", (2, 3), 0.5, RANDOM),
    gb.Edit("time_noise", (), 0.5, RANDOM),
    gb.Edit("class_noise", (), 0.5, RANDOM),
    gb.Edit("class_noise", (), float("inf"), RANDOM),
)


def test_edited_rows_share_a_forward_and_change_nothing_else():
    q = gb.Query()
    answers, ledger = ask(q, *(q.edited(edit) for edit in EDITS), q.null(), q.edited(EDITS[0]).null())
    null = torch.full((3,), CASE.backbone.num_classes)
    expected = [alone(), *(alone(edit) for edit in EDITS), alone(y=null), alone(EDITS[0], y=null)]
    for answer, velocity in zip(answers, expected, strict=True):
        torch.testing.assert_close(answer, velocity, rtol=1e-4, atol=1e-5)
    moved = [float((velocity - expected[0]).abs().max()) for velocity in expected[1:]]
    assert min(moved) > 1e-4
    assert (ledger.forwards, ledger.main) == (1, 12 - 2 / 4)


@pytest.mark.parametrize("name", ["sit", "lightningdit"])
def test_time_noise_is_measured_in_the_time_embedding(name):
    """The condition of one block of the network, recomputed: its time embedding and so many of its deviations."""
    network, seen = tiny(name), []
    t, y, edit = torch.full((3,), 0.7), CASE.labels, gb.Edit("time_noise", (2,), 0.5, RANDOM)
    hooks = [block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1])) for block in network.blocks]
    with torch.inference_mode():
        network.predict(CASE.noise, t, y, (), (edit,))
        time, label = network.t_embedder(t), network.y_embedder(y)
    for hook in hooks:
        hook.remove()
    noise = RANDOM.normal("time_noise", (16,)).float() * time.std(dim=1, keepdim=True)
    for layer, condition in enumerate(seen, start=1):
        torch.testing.assert_close(condition, time + label + (0.5 * noise if layer == 2 else 0))


def test_equal_queries_are_evaluated_once_and_heads_share_a_forward():
    q = gb.Query()
    (a, b, tap), ledger = ask(q, q, q.internal())
    assert torch.equal(a, b) and not torch.equal(a, tap) and (ledger.forwards, ledger.main) == (1, 1)


def test_some_samples_alone():
    q, some = gb.Query(), torch.tensor([True, False, True])
    shuffle = gb.Edit("token_shuffle", (2, 3), random=RANDOM)
    (full, part), ledger = ask(q.edited(shuffle), q.edited(shuffle).where(some))
    torch.testing.assert_close(part[some], full[some], rtol=1e-4, atol=1e-5)
    assert part[1].isnan().all() and ledger.main == pytest.approx(5 / 3)


def test_attention_maps_are_those_that_the_block_uses():
    for name in ("sit", "lightningdit"):
        block, tokens = tiny(name).blocks[1], torch.randn(2, 16, 16)
        rotary = tiny(name).feat_rope
        q, k, v = block.attn.qkv(tokens).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        mixed = block.attn._mix(q, k, v, rotary, ())
        torch.testing.assert_close(block.attn.map(tokens, rotary) @ v, mixed, rtol=1e-4, atol=1e-5)
    (attention,), _ = ask(gb.Query().attention_map(2))
    torch.testing.assert_close(attention.sum(-1), torch.ones(3, 2, 16, dtype=torch.float64), rtol=1e-5, atol=1e-5)


def test_a_query_that_cannot_be_answered_is_named():
    with pytest.raises(gb.UserError, match="give it random=step.random"):
        alone(gb.Edit("token_shuffle", (2,)))
    for kind in ("query_blur", "time_noise", "class_noise"):
        with pytest.raises(gb.UserError, match=f"'{kind}' of amount 0 changes nothing"):
            alone(gb.Edit(kind, (2,), 0.0, RANDOM))
    with pytest.raises(gb.UserError, match="names no block"):
        alone(gb.Edit("skip_layers"))
    with pytest.raises(gb.UserError, match="attention map: block 9"):
        CASE.backbone(CASE.noise, torch.ones(3), CASE.labels, maps=(9,))


@pytest.mark.parametrize("space", ["x0", "eps"])
def test_a_method_receives_and_returns_its_space(space):
    seen = []

    class Spy(gb.Guidance):
        def guide(self, step, query):
            value = yield query
            seen.append((step, value))
            return 2 * value

    Spy.space, Spy.name = space, "spy"
    driver = Driver(CASE.backbone, CASE.labels, None, gb.Ledger())
    x = CASE.noise.double()
    with torch.inference_mode():
        for at in dry_steps(Spy(), x, CASE.labels, CASE.backbone):
            velocity, plain = driver.velocity(Spy(), at), driver.velocity(create("none"), at)
            t = held(space, at.t)
            value = x - t * plain if space == "x0" else x + (1 - t) * plain
            torch.testing.assert_close(seen[-1][1], value)
            back = x - t * velocity if space == "x0" else x + (1 - t) * velocity
            torch.testing.assert_close(back, 2 * value)
    assert held("eps", 1.0) == 0.999 and held("x0", 0.0) == 1e-3 and held("v", 1.0) == 1.0


def test_state_is_kept_from_the_first_stage_of_a_step():
    log = []

    class Counting(gb.Guidance):
        fixed_grid = True

        def init(self):
            return {"calls": 0}

        def guide(self, step, query):
            step.state["calls"] += 1
            log.append((step.index, step.stage, step.state["calls"], step.t_start))
            return (yield query)

        def observe(self, step, x_next, state):
            assert not torch.equal(x_next, step.x)
            return {"calls": state["calls"] + 10}

    Counting.name = "counting"
    CASE.sample(Counting(), solver="heun", steps=2)
    assert log[-4:] == [(0, 0, 1, 1.0), (0, 1, 1, 1.0), (1, 0, 12, 0.5), (1, 1, 12, 0.5)]  # a dry run comes before


def test_ig_cfg_is_cfg_over_ig():
    ledger = gb.Ledger()
    composed = made(CFGOver(create("ig", scale=1.4), scale=1.3), ledger=ledger)
    assert torch.equal(composed, made(create("ig_cfg", ig_scale=1.4, cfg_scale=1.3, cfg_high=1.0)))
    assert (ledger.forwards, ledger.main) == (4, 8)


def test_interval_and_schedule_around_cfg():
    assert torch.equal(
        made(Interval(create("cfg", scale=2.0), 0.3, 0.8)), made(create("cfg", scale=2.0, low=0.3, high=0.8))
    )
    scheduled = made(Scheduled(create("cfg", scale=1.7), "cosine"))
    assert torch.equal(scheduled, made(create("cfg_schedule", scale=1.7, shape="cosine")))
    with pytest.raises(gb.UserError, match="has no parameter 'scale'"):
        Scheduled(create("none"))


def test_sum_adds_updates_and_shares_the_conditional():
    ledger = gb.Ledger()
    both = made(Sum((create("cfg", scale=1.3), create("cfg", scale=1.4))), ledger=ledger)
    torch.testing.assert_close(both, made(create("cfg", scale=1.7)), rtol=1e-5, atol=1e-5)
    assert (ledger.forwards, ledger.main) == (4, 8)
    assert torch.equal(made(Sum(())), made(create("none")))


@pytest.mark.parametrize("solver", ["euler", "heun", "euler_maruyama"])
def test_a_composition_keeps_the_state_of_what_is_inside(solver):
    for name in ("apg", "feedback", "sg_prev"):
        inside = create(name)
        torch.testing.assert_close(made(Interval(inside), solver), made(inside, solver), rtol=1e-6, atol=1e-6)
        nested = Interval(Sum((inside,)))
        torch.testing.assert_close(made(nested, solver), made(inside, solver), rtol=1e-5, atol=1e-5)
    assert Interval(create("apg")).fixed_grid and not Interval(create("cfg")).fixed_grid
    with pytest.raises(gb.UserError, match="needs fixed steps"):
        gb.sample(CASE.backbone, Interval(create("apg")), "dopri5", labels=CASE.labels, noise=CASE.noise)


def test_autoguidance_inside_cfg():
    def velocity(label: str):
        main, weak = gb.Query(), gb.Query().weak()
        pair = (main, weak) if label == "class" else (main.null(), weak.null())
        (strong, bad), _ = ask(*pair)
        return bad + 1.5 * (strong - bad)

    driver = Driver(CASE.backbone, CASE.labels, CASE.weak, gb.Ledger())
    method = CFGOver(create("autoguidance", scale=1.5), scale=2.0)
    at = dry_steps(method, CASE.noise.double(), CASE.labels, CASE.backbone)[3]
    with torch.inference_mode():
        composed = driver.velocity(method, at)
    null = velocity("null")
    torch.testing.assert_close(composed, null + 2 * (velocity("class") - null), rtol=1e-5, atol=1e-5)


def test_middle_blocks():
    assert [middle_blocks(d) for d in (1, 2, 6, 12)] == [(1,), (1,), (3, 4), (5, 6, 7, 8)]
    assert middle_blocks(6, (2,)) == (2,)


def test_blocks_by_number_share_or_none():
    assert [chosen_blocks(d, 0.25) for d in (1, 4, 12, 24, 28)] == [(1,), (1,), (3,), (6,), (7,)]
    assert chosen_blocks(12, None) == (5, 6, 7, 8) and chosen_blocks(12, (2, 9)) == (2, 9)
    assert chosen_blocks(12, 4) == (4,)
    for wrong in (4.5, 0.0):
        with pytest.raises(gb.UserError, match="neither a share"):
            chosen_blocks(12, wrong)
