"""The few samples of a run that its leaderboard shows, kept as a small PNG beside the records.

So sample grids can be drawn anew where the samples themselves are no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..storage.image_files import read_sheet, write_sheet
from .figures.grid_classes import Images


class Previews(Mapping[str, Images]):
    """Images by run id: of the stores at hand, else of the PNGs in ``folder``; what is asked for is kept there.

    Args:
        folder: of the PNGs.
        stores: samples at hand.
    """

    def __init__(self, folder: Path, stores: Mapping[str, Images]) -> None:
        self.folder = folder
        self._stores = stores
        self._kept = {file.stem for file in folder.glob("*.png")}
        self._asked: set[str] = set()

    def __getitem__(self, run_id: str) -> Images:
        self._asked.add(run_id)
        if run_id in self._stores:
            images = self._stores[run_id]
            write_sheet(self.folder / f"{run_id}.png", images)
            return images
        if run_id not in self._kept:
            raise KeyError(run_id)
        return read_sheet(self.folder / f"{run_id}.png")

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._stores or run_id in self._kept

    def __iter__(self) -> Iterator[str]:
        return iter({*self._stores, *self._kept})

    def __len__(self) -> int:
        return len({*self._stores, *self._kept})

    def drop_others(self) -> None:
        """Delete the PNGs that nobody has asked for: their setting is no longer shown."""
        for run_id in self._kept - self._asked:
            (self.folder / f"{run_id}.png").unlink()
