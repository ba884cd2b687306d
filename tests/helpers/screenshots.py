"""Screenshots of the committed page for the README: ``python tests/helpers/screenshots.py`` (needs a Chromium)."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "benchmarks" / "leaderboard.html"
FOLDER = ROOT / "benchmarks" / "screenshots"
#: Name -> colours and size of the window in CSS pixels.
SHOTS: dict[str, dict[str, Any]] = {
    "desktop_light": {"color_scheme": "light", "viewport": {"width": 1240, "height": 620}},
    "phone_dark": {"color_scheme": "dark", "viewport": {"width": 390, "height": 620}},
}
COLOURS = 128


def chromium() -> str | None:
    """A Chromium of the system."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def take(page: Path = PAGE, folder: Path = FOLDER) -> list[Path]:
    """Write a PNG for each of :data:`SHOTS`, in few colours so that it is small."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for name, options in SHOTS.items():
            shown = browser.new_page(**options)
            shown.goto(page.as_uri())
            shown.wait_for_selector("body[data-ready=true]", timeout=60_000)
            shown.locator(".board").first.evaluate("board => board.scrollIntoView()")
            image = Image.open(io.BytesIO(shown.screenshot())).convert("RGB")
            path = folder / f"{name}.png"
            image.quantize(COLOURS).save(path, optimize=True)
            written.append(path)
            shown.close()
        browser.close()
    return written


if __name__ == "__main__":
    for path in take():
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")
