"""What sampling costs, counted where it is spent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Ledger:
    """What sampling has cost, counted by the driver.

    Attributes:
        forwards: batched forward passes.
        main: evaluations of the main network for each sample (two in a batch are two; a skipped block its share less).
        weak: evaluations of weak networks for each sample.
        weak_work: what those cost in main evaluations.
        backward: what backward passes cost in main evaluations: each as much as its forward pass, for gradients with
            respect to the latents alone.
    """

    forwards: int = 0
    main: float = 0.0
    weak: float = 0.0
    weak_work: float = 0.0
    backward: float = 0.0

    @property
    def nfe(self) -> float:
        """Evaluations for each sample, in units of the main network."""
        return self.main + self.weak_work + self.backward
