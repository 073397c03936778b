"""A regular expression for the names of recordings, guessed from all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORDS = {
    "subject": ("s", "sub", "subj", "subject", "p", "person", "actor", "participant", "id"),
    "label": ("a", "act", "action", "activity", "class", "gesture", "exercise"),
    "camera": ("c", "cam", "camera", "v", "view"),
    "take": ("t", "take", "trial", "e", "ep", "r", "rep", "repetition"),
    "session": ("ses", "sess", "session", "setup", "day"),
    "recording": ("rec", "recording"),
}
_FIELD = {word: field for field, words in _WORDS.items() for word in words}
_RUNS = re.compile(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9]+")
_SORTS = {"letters": "[A-Za-z]+", "digits": "[0-9]+"}


def guess_names(keys: Sequence[str]) -> str:
    """The pattern of ``Description.names`` that fits all recordings; "" where their names follow none.

    >>> guess_names(["s01_a03_t2", "s02_a01_t1"])
    's(?P<subject>[0-9]+)_a(?P<label>[0-9]+)_t(?P<take>[0-9]+)$'
    >>> guess_names(["anna_squat_1", "bert_squat_2", "bert_jump_1"])
    '(?P<subject>[A-Za-z]+)_(?P<label>[A-Za-z]+)_(?P<take>[0-9]+)$'
    >>> guess_names(["squat/anna_1", "jump/bert_2"])  # the folder is the class
    '(?P<subject>[A-Za-z]+)_(?P<take>[0-9]+)$'
    >>> guess_names(["wave01", "bow02"])
    '(?P<label>[A-Za-z]+)(?P<take>[0-9]+)$'
    >>> guess_names(["clip", "other clip 2"])
    ''

    Args:
        keys: paths below the folder, without endings; with one folder per class they have several folders.
    """
    in_classes = len({key.rpartition("/")[0] for key in keys}) > 1
    parts = [_RUNS.findall(key.rpartition("/")[2]) for key in keys]
    forms = {tuple(map(_sort, part)) for part in parts}
    if len(keys) < 2 or len(forms) != 1:
        return ""
    columns = list(zip(*parts, strict=True))
    fields = _fields(forms.pop(), columns, in_classes)
    if not any(fields):
        return ""
    pattern = "".join(map(_expression, columns, fields)) + "$"
    return pattern if all(re.search(pattern, key) for key in keys) else ""


def _sort(run: str) -> str:
    """letters, digits, or the run itself, which separates them."""
    return "letters" if run.isalpha() else "digits" if run.isdigit() else run


def _fields(form: Sequence[str], columns: Sequence[Sequence[str]], in_classes: bool) -> list[str]:
    """The column that each run of a name holds; "" for none."""
    prefixes = [""] * len(form)
    for at in range(1, len(form)):
        if form[at - 1 : at + 1] == ("letters", "digits") and len(set(columns[at - 1])) == 1:
            prefixes[at] = columns[at - 1][0].lower()
    persons = {"s": "session"} if "p" in prefixes else {}  # as in NTU's S001C002P003R002A013
    fields = [persons.get(prefix, _FIELD.get(prefix, "")) for prefix in prefixes]
    fields = [
        "" if field in fields[:at] or (in_classes and field == "label") else field for at, field in enumerate(fields)
    ]
    words = [at for at, sort in enumerate(form) if sort == "letters" and len(set(columns[at])) > 1]
    free = [field for field in ("subject", "label") if field not in fields and not (field == "label" and in_classes)]
    for at, field in zip(words, free[-1:] if len(words) == 1 else free, strict=False):
        fields[at] = field
    if form[-1] == "digits" and not fields[-1] and "take" not in fields:
        fields[-1] = "take"
    return fields


def _expression(column: Sequence[str], field: str) -> str:
    """What matches all runs at one place, as a group if they hold a column."""
    if not field and len(set(column)) == 1:
        return re.sub(r"([.^$*+?{}()|\[\]\\])", r"\\\1", column[0])
    expression = _SORTS[_sort(column[0])]
    return f"(?P<{field}>{expression})" if field else expression
