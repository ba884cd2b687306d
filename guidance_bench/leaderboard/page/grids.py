"""Sample grids for the page: each setting's samples of one seed, small enough to be many."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metric_columns import format_means

if TYPE_CHECKING:
    from ..figures.grid_classes import Images
    from ..protocol_tables import Table

#: Bytes of all grids of a board together; the best settings come first.
BUDGET = 1_200_000
COLUMNS = 10
#: Images up to this size are kept as they are.
EXACT = 32


def grids_of(table: Table, samples: Mapping[str, Images], sheets: str = "") -> dict[str, Any]:
    """The grids of one protocol, all of the first seed that most settings have.

    Args:
        table: the runs.
        samples: images by run id.
        sheets: where a run's images lie as one picture, seen from the page, with ``*`` for its id; "": in the page.

    Returns:
        ``seed``, ``width`` of an image in pixels, and ``methods``: method -> settings in the table's order, each
        {"setting", "value", "source"}; {} where there are no samples.
    """
    stored = {
        index: {seed: run for seed, run in zip(row["seeds"], row["run_ids"], strict=True) if run in samples}
        for index, row in table.settings.iterrows()
    }
    counts: dict[int, int] = {}
    for runs in stored.values():
        for seed in runs:
            counts[seed] = counts.get(seed, 0) + 1
    if not counts:
        return {}
    seed = min(counts, key=lambda s: (-counts[s], s))
    first = [index for index in table.best.index if seed in stored[index]]
    others = [index for index in table.settings.index if seed in stored[index] and index not in first]
    made, spent, pixels = {}, 0, 0
    for index in [*first, *others]:
        images = samples[stored[index][seed]]
        source = sheets.replace("*", stored[index][seed]) or _webp(images)
        spent += len(source)
        if spent > BUDGET and index not in first:
            break
        made[index], pixels = source, images.shape[2]
    values = format_means(table.settings[table.primary.name].tolist())
    methods: dict[str, list[dict[str, str]]] = {}
    for place, (index, row) in enumerate(table.settings.iterrows()):
        if index in made:
            shown = {"setting": row["setting"], "value": values[place], "source": made[index]}
            methods.setdefault(str(row["method"]), []).append(shown)
    return {"seed": int(seed), "width": int(pixels), "metric": table.primary.label, "methods": methods}


def _webp(images: Images) -> str:
    """Images (N, H, W, 1 or 3) as one picture of ten columns, as a data address."""
    from PIL import Image

    count, height, width, channels = images.shape
    rows = -(-count // COLUMNS)
    sheet = np.full((rows * COLUMNS, height, width, channels), 255, np.uint8)
    sheet[:count] = images
    picture = sheet.reshape(rows, COLUMNS, height, width, channels).swapaxes(1, 2)
    flat = picture.reshape(rows * height, COLUMNS * width, channels)
    data = io.BytesIO()
    small = max(height, width) <= EXACT and rows * height * COLUMNS * width <= 100_000
    options: dict[str, Any] = {"lossless": True, "method": 4} if small else {"quality": 80, "method": 4}
    Image.fromarray(flat[..., 0] if channels == 1 else flat).save(data, "webp", **options)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"
