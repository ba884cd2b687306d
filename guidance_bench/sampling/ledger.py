"""What sampling costs, counted where it is spent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Ledger:
    """What sampling has cost, counted by the driver.

    Attributes:
        forwards: batched forward passes.
        main: evaluations of the main network for each sample (two in a batch are two; a skipped block its share less).
        weak: evaluations of the weak network for each sample.
        weak_cost: cost of one weak evaluation in main evaluations.
    """

    forwards: int = 0
    main: float = 0.0
    weak: float = 0.0
    weak_cost: float = 0.0

    @property
    def nfe(self) -> float:
        """Evaluations for each sample, in units of the main network."""
        return self.main + self.weak * self.weak_cost
