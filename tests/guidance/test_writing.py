"""Every Python block of the page on writing methods runs; each of its methods keeps what methods promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import guidance_bench as gb
from guidance_bench.core.parameters import param
from guidance_bench.guidance.composition import Interval
from guidance_bench.sampling.method_contract import check_space, make_case, run_checks

PAGE = Path(__file__).parents[2] / "methods" / "WRITING.md"
BLOCKS = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S))
FILES = [name for name in BLOCKS if name.endswith(".py")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("page")


def load(name: str, folder: Path) -> str:
    path = folder / name
    path.write_text(BLOCKS[name].replace(f'"{name[:-3]}"', f'"page_{name[:-3]}"'))
    return gb.METHODS.load_file(path)[0]


def test_no_block_is_left_out():
    text = PAGE.read_text(encoding="utf-8")
    assert len(BLOCKS) == text.count("```python") == 7 and len(FILES) == 5


@pytest.mark.parametrize("name", FILES)
def test_each_method_of_the_page_passes_check_method(name, folder):
    method = gb.METHODS.create(load(name, folder))
    assert run_checks(method, "sit") == {}


def test_the_method_with_memory_does_what_its_docstring_says(folder):
    """On the toy mixture, against the recursion written out in data predictions."""
    name = load("momentum_x0.py", folder)
    toy = gb.BACKBONES.create("toy", depth=2).build()
    noise = torch.randn(2, 2, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels, steps, scale, beta = torch.tensor([0, 1]), 4, 1.7, -0.4
    method = gb.METHODS.create(name, scale=scale, beta=beta)
    made = gb.sample(toy, method, gb.SOLVERS.create("euler", steps=steps), labels=labels, noise=noise)
    x, m = noise.clone(), 0.0
    with torch.inference_mode():
        for index in range(steps):
            t, after = 1 - index / steps, 1 - (index + 1) / steps
            times = torch.full((2,), t)
            cond, null = (
                x - t * toy(x.float(), times, y).velocity.double()
                for y in (labels, torch.full_like(labels, toy.num_classes))
            )
            m = cond - null + beta * m
            x = x + (after - t) * (x - (cond + (scale - 1) * m)) / t
    assert (made - x).abs().max() < 1e-6


def test_the_compositions_of_the_page_are_methods():
    space: dict = {}
    exec(BLOCKS["compositions"], space)
    assert isinstance(space["late_pag"], Interval)
    toy = gb.BACKBONES.create("toy", depth=2).build()
    for name in ("both", "ig_inside_cfg"):
        assert isinstance(space[name], gb.Guidance)
    made = gb.sample(toy, space["ig_inside_cfg"], "euler", labels=torch.tensor([0]), noise=torch.ones(1, 2, 1, 1))
    assert made.isfinite().all()


def test_the_notebook_block_defines_what_it_says():
    space: dict = {}
    exec(BLOCKS["notebook"], space)
    assert callable(space["compare"])


def test_messages_say_what_to_write(tmp_path):
    path = tmp_path / "signs.py"
    path.write_text(
        "from guidance_bench import Guidance, register_method\n@register_method('page_signs')\n"
        "class Signs(Guidance):\n    scale: float = 1.5\n    def guide(self, step, query):\n"
        "        cond, null = yield query, query.null()\n"
        "        return cond + (self.scale - 1) * (cond - null).sign() * 0.1\n"
    )
    (name,) = gb.METHODS.load_file(path)
    with pytest.raises(AssertionError, match=r'declare space = "v" \(or "x0", "eps"\)'):
        check_space(make_case(gb.METHODS.create(name), "sit"))
    negative = tmp_path / "negative.py"
    negative.write_text(path.read_text().replace("page_signs", "page_negative").replace("1.5", "-1.5"))
    with pytest.raises(gb.UserError, match=r"scale: float = param\(-1.5, low=-1.5\)"):
        gb.METHODS.load_file(negative)
    assert param(-1.5, low=-1.5).metadata["low"] == -1.5
