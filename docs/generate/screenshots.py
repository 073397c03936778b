"""``python docs/generate/screenshots.py``: pictures of every kind of page, into ``docs/assets/pages``.

Made by hand when pages change, from synthetic motions; needs Chromium and takes two minutes. Each page is shown on a
desktop and on a phone, in light and in dark, as WebP of a few tens of kilobytes.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import which

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs/assets/pages"
CLIP = "shake_hands_s01_r0_c1"
COMMANDS = f"""
synthetic stores/demo
pretrain {ROOT}/configs/demo/pretrain.yaml train.epochs=60 train.eval_every=10
finetune {ROOT}/configs/demo/linear.yaml
index box/mpae_net stores/demo -o demo.index --pooling part
view stores/demo -o store.html
view runs/demo -o run.html
view runs/demo_linear -o evaluation.html
view runs/demo --reconstructions --count 3 -o reconstructions.html
view runs/demo --attention wave_s01_r0_c1 -o attention.html
view demo.index -o index.html
search demo.index {CLIP} -k 8 --page search.html
audit stores/demo -o audit
"""
PAGES = ("search", "store", "run", "evaluation", "index", "reconstructions", "attention", "audit")
DEVICES = {
    "desktop": {"viewport": {"width": 1200, "height": 850}, "device_scale_factor": 0.8},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1, "is_mobile": True},
}
# Where the page is scrolled to, and at which part of the movement it stands.
SCROLLS = {"run": 240, "index": 230, "evaluation": 760, "audit": 1050}
MOMENT = 0.4


def write_pages(folder: Path) -> None:
    """Everything that there is to see, by the commands that a user would type."""
    for line in COMMANDS.strip().splitlines():
        subprocess.run([sys.executable, "-m", "ssl_skel", *line.split()], cwd=folder, check=True)  # noqa: S603
    (folder / "audit/audit.html").rename(folder / "audit.html")


def photograph(browser: Browser, page: Path, device: str, scheme: str) -> bytes:
    """A page as it looks on a device, as WebP."""
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", **DEVICES[device])
    tab = context.new_page()
    tab.goto(page.as_uri())
    script = """([top, moment]) => {
        scrollTo(0, top);
        const scrub = document.getElementById("scrub");
        if (!scrub) return;
        scrub.value = 1000 * moment;
        scrub.dispatchEvent(new Event("input"));
    }"""
    tab.evaluate(script, [SCROLLS.get(page.stem, 0), MOMENT])
    tab.wait_for_timeout(500)
    picture, out = Image.open(io.BytesIO(tab.screenshot())), io.BytesIO()
    picture.convert("RGB").save(out, "WEBP", quality=60, method=6)
    context.close()
    return out.getvalue()


def main() -> None:
    """All pictures anew."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        write_pages(Path(folder))
        browser = playwright.chromium.launch(executable_path=which("chromium"), args=["--no-sandbox"])
        for name in PAGES:
            for device in DEVICES:
                for scheme in ("light", "dark"):
                    picture = photograph(browser, Path(folder) / f"{name}.html", device, scheme)
                    (PICTURES / f"{name}-{device}-{scheme}.webp").write_bytes(picture)
        browser.close()


if __name__ == "__main__":
    main()
