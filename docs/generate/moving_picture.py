"""Makes the moving picture of a search page in the README: ``python docs/generate/moving_picture.py``.

Synthetic motions, the encoder in the box, and Chromium, which shows the page moment by moment. Run it when pages
change.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

TARGET = Path(__file__).parents[1] / "assets/search.webp"
SIZE, MOMENTS, SECONDS = (1140, 850), 36, 3.0
QUERY = "throw_s01_r0_c1"
COMMANDS = (
    "synthetic motions",
    "index box/mpae_net motions -o motions.index",
    f"search motions.index {QUERY} -k 2 --page like.html",
)


def moments(page: Page) -> list[Image.Image]:
    """The page at moments that follow each other, once through the clips."""
    slider = page.locator("input[type=range]").first
    first, last = float(slider.get_attribute("min") or 0), float(slider.get_attribute("max") or 100)
    taken = []
    for moment in range(MOMENTS):
        slider.evaluate(
            "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})); }",
            str(first + (last - first) * moment / MOMENTS),
        )
        page.wait_for_timeout(60)
        taken.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    return taken


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as engine:
        for command in COMMANDS:
            subprocess.run([sys.executable, "-m", "ssl_skel", *command.split()], cwd=folder, check=True)  # noqa: S603
        browser = engine.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport=dict(zip(("width", "height"), SIZE, strict=True)))
        page.goto(Path(folder, "like.html").as_uri())
        page.wait_for_timeout(1000)
        page.get_by_role("button", name="Pause").click()
        pictures = moments(page)
        browser.close()
    rest = {"append_images": pictures[1:], "duration": round(1000 * SECONDS / MOMENTS), "loop": 0}
    pictures[0].save(TARGET, "WEBP", save_all=True, quality=60, method=6, **rest)


if __name__ == "__main__":
    main()
