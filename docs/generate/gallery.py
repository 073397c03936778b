"""Runs a script of the gallery and renders it: cells of ``# %%`` as text, code, printed lines and pictures.

The scripts are notebooks in the percent format, which Jupyter (with jupytext) and most editors open as such.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path
from typing import Any


def run(path: Path) -> tuple[str, dict[str, bytes]]:
    """Execute a script in an empty folder.

    Args:
        path: a Python file whose cells begin with ``# %%``, cells of text with ``# %% [markdown]``.

    Returns:
        The page as Markdown, and its pictures by name.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    parts, pictures = [], {}
    names: dict[str, Any] = {"__name__": "__main__"}
    source = path.read_text("utf-8")
    cells = re.split(r"^# %%", source, flags=re.MULTILINE)[1:]
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for cell in cells:
                head, _, body = cell.partition("\n")
                if "markdown" in head:
                    parts.append(re.sub(r"^# ?", "", body, flags=re.MULTILINE).strip())
                    continue
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    exec(compile(body, str(path), "exec"), names)  # noqa: S102
                parts.append(f"```python\n{body.strip()}\n```")
                if printed.getvalue().strip():
                    parts.append(f"```text\n{printed.getvalue().rstrip()}\n```")
                for number in pyplot.get_fignums():
                    name = f"{path.stem}_{len(pictures)}.png"
                    picture = io.BytesIO()
                    pyplot.figure(number).savefig(picture, dpi=110, bbox_inches="tight")
                    pictures[name] = picture.getvalue()
                    parts.append(f"![]({name})")
                pyplot.close("all")
        finally:
            os.chdir(before)
    source_note = f"This page is a notebook that `make docs` runs: `docs/gallery/{path.name}`."
    return "\n\n".join([*parts, f"*{source_note}*"]) + "\n", pictures
