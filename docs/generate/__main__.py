"""``python docs/generate``: writes the pages of the site into ``build/pages``, from which ``zensical build`` makes it.

Most pages are files of ``docs``. Added are pages made from the code (commands, layouts, the gallery) and pages that
lie beside ``docs`` (README, CONTRIBUTING, CHANGELOG).
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import commands
import gallery
import growth
import layouts

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "build/pages"
BESIDE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Page beside ``docs`` -> its name in the site."""


def write_pages(target: Path) -> None:
    """Write all pages, pictures and data of the site into an empty folder.

    Args:
        target: is replaced.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "docs", target, ignore=shutil.ignore_patterns("generate", "*.py", "__pycache__"))
    shutil.copytree(ROOT / "results", target / "results")
    for page in target.rglob("*.md"):
        page.write_text(_inside(page.read_text("utf-8"), len(page.relative_to(target).parts) - 1), "utf-8")
    for name, page in BESIDE.items():
        text = re.sub(r"\]\((?:docs/)?", "](", (ROOT / name).read_text("utf-8"))
        (target / page).write_text(_inside(text.replace("](LICENSE)", "](#licence)"), 0, ""), "utf-8")
    (target / "commands.md").write_text(commands.page(), "utf-8")
    page = target / "layouts.md"
    page.write_text(page.read_text("utf-8").replace("<!-- layouts -->", layouts.table()), "utf-8")
    for name, picture in layouts.pictures().items():
        _file(target / f"layouts/{name}.svg").write_text(picture, "utf-8")
    (target / "growth.svg").write_text(growth.picture(), "utf-8")
    page = target / "scale.md"
    plot = "![Seconds and memory of each step over the number of clips](growth.svg)"
    page.write_text(page.read_text("utf-8").replace("<!-- growth -->", plot), "utf-8")
    for path in sorted((ROOT / "docs/gallery").glob("*.py")):
        text, pictures = gallery.run(path)
        _file(target / f"gallery/{path.stem}.md").write_text(text, "utf-8")
        for name, png in pictures.items():
            (target / "gallery" / name).write_bytes(png)


def _inside(text: str, depth: int, out: str = "../") -> str:
    """A page whose links out of ``docs`` lead to the same page of the site instead.

    Args:
        text: Markdown.
        depth: folders between the page and ``docs``.
        out: how its links leave ``docs``, before the way up to it.
    """
    up = "../" * depth
    for name, page in BESIDE.items():
        text = text.replace(f"]({up}{out}{name}", f"]({up}{page}")
    text = re.sub(r"\]\((\S*gallery/\w+)\.py\)", r"](\1.md)", text)
    return text.replace(f"]({up}{out}results/", f"]({up}results/")


def _file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


if __name__ == "__main__":
    write_pages(PAGES)
