"""The same command twice at once: one does the work, the other too or says in one line that it may not."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from typing import Any

from children import SAID, difference, fresh, start, unhindered, wait, workplace
from kills import COMMANDS

OTHER = SAID.with_name("other.txt")
"""What the second of the two says."""


def pair_all(count: int, seed: int) -> tuple[dict[str, Any], int]:
    """So many pairs of each command, the second begun while the first is at work: summary and number of faults."""
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    with workplace() as pristine:
        for name, command in COMMANDS.items():
            rng = random.Random(f"{seed} {name}")
            want, took = unhindered(command.words, pristine)
            for _ in range(count):
                with fresh(pristine):
                    outcome, fault = _pair(command.words, rng.uniform(0, took / 2))
                    fault = fault or ", ".join(difference(want))
                outcomes["fault" if fault else outcome] += 1
                if fault:
                    faults.append(f"{name}: {fault}")
                    print(faults[-1], file=sys.stderr, flush=True)
    summary = {"commands": len(COMMANDS), "pairs": outcomes.total(), "outcomes": dict(outcomes), "faults": faults}
    return summary, len(faults)


def _pair(words: str, pause: float) -> tuple[str, str]:
    """How two processes ended, and what was wrong with that or ""."""
    first = start(words)
    time.sleep(pause)
    second = start(words, OTHER)
    ends = wait(first), wait(second, said=OTHER)
    of_a_sweep = "failed with exit code 2"  # it goes on after a run that was refused, and ends with 1
    refused = [text for code, text in ends if code == 2 or (code == 1 and of_a_sweep in text)]
    for text in refused:
        errors = [line for line in text.splitlines() if line.startswith("error: ")]
        if len(errors) != 1 or not any(words in errors[0] for words in ("another process", "exists already")):
            return "", text[-500:]
    if len(refused) != sum(code != 0 for code, _ in ends) or len(refused) == len(ends):
        return "", "; ".join(f"exit code {code}: {text[-300:]}" for code, text in ends)
    return "one was refused" if refused else "both did it", ""
