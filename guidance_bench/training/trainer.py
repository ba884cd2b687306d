"""The training loop: batches in, weights, averages, checkpoints and a log out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from ..core.console import bar, rank
from ..core.errors import UserError
from ..networks.backbone import Backbone
from ..networks.checkpoints import NATIVE, about_network, save_backbone
from ..networks.origin import Origin
from .alone import Alone
from .data.ahead import in_advance
from .data.dataset import TrainingData
from .data.draws import Batch, Batches, Draws
from .ema import EMA
from .execution import Execution, explained, make_accelerator, prepared
from .journal import Journal
from .loss import flow_matching_loss
from .optimisers.of_recipe import optimisers, rate
from .recipe import TrainingRecipe, decay_name
from .resume import Checkpoints


@dataclass
class Trainer:
    """One training.

    Attributes:
        recipe: what to train.
        data: on what.
        network: untrained, on the CPU.
        place: folder of the log and the checkpoints.
        name: of the training.
        device: where to train.
        execution: how, without an effect on the result beyond rounding.
        draws: the batches; None: those of :class:`guidance_bench.training.data.draws.Draws`.
        title: shown beside the progress bar; "": the name.
    """

    recipe: TrainingRecipe
    data: TrainingData
    network: Backbone
    place: Path
    name: str
    device: torch.device
    execution: Execution
    draws: Batches | None = None
    title: str = ""
    step: int = 0
    seconds: float = 0.0
    _bad: Tensor = field(init=False)

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.accelerator: Accelerator | Alone = make_accelerator(recipe, self.device, self.execution, self.place)
        self.device = self.accelerator.device
        self.network.to(self.device).train()
        self.averages = [EMA(self.network, decay, recipe.ema_ramp) for decay in recipe.ema]
        self.optimisers = optimisers(recipe, self.network)
        self.batches: Batches = self.draws or Draws(
            self.data, recipe.seed, recipe.batch, recipe.label_drop, recipe.times, recipe.flip
        )
        self.journal = Journal(self.accelerator, self.execution, self.place)
        self.checkpoints = Checkpoints(self.place / "checkpoints", self.name, self.execution.keep_last)
        self._bad = torch.full((), -1, dtype=torch.int64, device=self.device)
        self._resume()
        self.model, *self.stepped = prepared(self.accelerator, self.execution, self.network, self.optimisers)
        self.journal.begin(self.step, {"training": self.name, **self.recipe.parameters()})

    def run(self) -> None:
        """Train to the last step.

        Raises:
            UserError: the loss is not finite, memory runs out, data or disk fail; what is saved stays.
        """
        begun = saved = noted = time.perf_counter()
        before, first = self.seconds, self.step
        with (
            explained(self.name, self.recipe, self.execution),
            bar(self.recipe.steps, self.title or f"train {self.name}", "step", self.step) as progress,
        ):
            for batch in self._batches():
                losses, norm = self._take(batch)
                self.step += 1
                progress.update()
                now = time.perf_counter()
                self.seconds = before + now - begun
                if self._due(self.execution.log_every):
                    row = self._note(losses, norm, (self.step - first) / (now - noted))
                    first, noted = self.step, now
                    progress.set_postfix(
                        loss=f"{row['loss']:.4f}",
                        norm=f"{row['grad_norm']:.3g}",
                        images=f"{row['images_per_second']:.0f}/s",
                    )
                self._keep()
                self._observe()
                if self._save_due(now - saved):
                    self._save()
                    saved = time.perf_counter()
        self._check()
        self.journal.end()

    def facts(self) -> dict[str, Any]:
        """What is said of a finished training, whatever it was for."""
        count = sum(p.numel() for p in self.network.parameters() if p.requires_grad)
        return {"seconds": self.seconds, "losses": self.journal.losses(), "parameters": count}

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.recipe.steps

    def _save_due(self, seconds: float) -> bool:
        every = self.execution.checkpoint_every
        if self.step == self.recipe.steps:
            return False  # the result is written instead
        if every:
            return self.step % every == 0
        if self.accelerator.num_processes == 1:
            return seconds > self.execution.checkpoint_seconds
        return self.step % (20 * self.execution.log_every) == 0  # clocks differ; all processes must agree

    def _batches(self) -> Iterator[Batch]:
        """This process's part of every step to come."""
        size = self.recipe.batch // self.accelerator.num_processes
        part = slice(rank() * size, (rank() + 1) * size) if self.accelerator.num_processes > 1 else slice(None)
        return in_advance(self.batches, range(self.step, self.recipe.steps), part)

    def _take(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """One optimiser step; returns the losses of this process's samples and the gradient's norm."""
        parts = self.execution.accumulate
        sums: dict[str, Tensor] = {}
        for optimiser in self.stepped:
            optimiser.zero_grad(set_to_none=True)
        pieces = [tensor.chunk(parts) for tensor in (batch.x, batch.y, batch.t, batch.noise)]
        for number, (x, y, t, noise) in enumerate(zip(*pieces, strict=True)):
            x, y, t, noise = (v.to(self.device, non_blocking=True) for v in (x, y, t, noise))  # noqa: PLW2901
            last = number == parts - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model), self.accelerator.autocast():
                losses = self._losses(x, y, t, noise)
            for name, value in losses.items():
                share = value.detach().float().mean() / parts
                sums[name] = sums[name] + share if name in sums else share
            self.accelerator.backward(losses["total"] / parts)
        norm = self._clip()
        for optimiser in self.stepped:
            for group in optimiser.param_groups:
                group["lr"] = rate(self.recipe, self.step)
            optimiser.step()
        for average in self.averages:
            average.update(self.network, self.step)
        fresh = (self._bad < 0) & ~torch.isfinite(sums["total"])
        self._bad = torch.where(fresh, self.step, self._bad)
        return sums, norm

    def _losses(self, x: Tensor, y: Tensor, t: Tensor, noise: Tensor) -> dict[str, Tensor]:
        taps = self.network.trained_taps
        return flow_matching_loss(
            self.model, x, y, t, noise,
            tap=taps[0] if taps else None, tap_weight=self.recipe.tap_weight, cosine=self.recipe.cosine,
        )  # fmt: skip

    def _clip(self) -> Tensor:
        """The gradient's norm, before it is cut to the recipe's; NaN at steps where nobody asks."""
        if self.recipe.clip:
            return self.accelerator.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        if (self.step + 1) % self.execution.log_every == 0 or self.step + 1 == self.recipe.steps:
            return self.accelerator.clip_grad_norm_(self.network.parameters(), float("inf"))
        return torch.tensor(float("nan"))

    def _note(self, losses: dict[str, Tensor], norm: Tensor, steps_per_second: float) -> dict[str, float]:
        """A row of the log: means over all processes."""
        self._check()
        values = self.accelerator.reduce(torch.stack([*losses.values()]), "mean").tolist()
        named = dict(zip(losses, values, strict=True))
        row = {
            "step": self.step,
            "epoch": self.step * self.recipe.batch / len(self.data),
            "loss": named.pop("total"),
            **named,
            "grad_norm": float(norm),
            "learning_rate": rate(self.recipe, self.step - 1),
            "images_per_second": steps_per_second * self.recipe.batch,
            "seconds": self.seconds,
        }
        self.journal.add(row)
        return row

    def _keep(self) -> None:
        """Averaged weights of this step, kept for good: weak networks of later use."""
        every = self.execution.keep_every
        if not every or self.step % every:
            return
        self._check()
        if not self.accelerator.is_main_process:
            return
        self.save_averages(self.place / "snapshots", f"step_{self.step:09d}_")

    def save_averages(self, folder: Path, prefix: str = "") -> None:
        """Write each averaged network with what is said of the training: ``ema_0.9999.safetensors``."""
        for average in self.averages:
            file = folder / f"{prefix}{decay_name(average.decay)}.safetensors"
            save_backbone(average.network, file, self.origin(average.decay))

    def origin(self, decay: float) -> Origin:
        """What the file of averaged weights of this step says of the training."""
        recipe = self.recipe.name or type(self.recipe).__name__
        return Origin(recipe=recipe, data=self.data.name[:200] or "?", training=self.name, steps=self.step, ema=decay)

    def _observe(self) -> None:
        every = self.execution.observe_every
        if self.execution.observer and every and self._due(every):
            self._check()
            self.journal.observe(self.step, self.averages[0].network)

    def _check(self) -> None:
        """Raise :class:`UserError` where a loss was not finite, on all processes together."""
        seen = self._bad[None] if self.accelerator.num_processes == 1 else self.accelerator.gather(self._bad[None])
        bad = min((int(step) for step in seen.tolist() if step >= 0), default=-1)
        if bad < 0:
            return
        steps = self.checkpoints.steps()
        kept = f"the last good checkpoint is of step {steps[-1]}" if steps else "no checkpoint was written yet"
        raise UserError(
            f"training {self.name}: the loss of step {bad + 1} is not finite; {kept} in "
            f"{str(self.checkpoints.folder)!r}: lower recipe.learning_rate, set recipe.clip=1 or a "
            "recipe.warmup, or train with recipe.precision=fp32"
        )

    def _save(self) -> None:
        self._check()
        if self.accelerator.is_main_process:
            self.checkpoints.save(self.step, self._state())
        self.accelerator.wait_for_everyone()

    def _state(self) -> dict[str, Any]:
        return {
            NATIVE: about_network(self.network, self.origin(self.recipe.ema[0])),
            "network": self.network.state_dict(),
            "averages": [average.network.state_dict() for average in self.averages],
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else None,
            "seconds": self.seconds,
        }

    def _resume(self) -> None:
        found = self.checkpoints.load(self.device)
        if found:
            self.step, state = found
            self.network.load_state_dict(state["network"])
            for average, weights in zip(self.averages, state["averages"], strict=True):
                average.network.load_state_dict(weights)
            for optimiser, values in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(values)
            if self.accelerator.scaler and state["scaler"]:
                self.accelerator.scaler.load_state_dict(state["scaler"])
            self.seconds = state["seconds"]
        self.accelerator.wait_for_everyone()
