"""Damage that leaves a file well-formed: another value in a tree, another header of an array, another member.

Each mutation takes the bytes of a whole file and a generator; where it finds nothing to change, it flips bits instead.
"""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import yaml
from mutations import BYTES, DEEP, NUMBERS, TEXTS, Mutation, flip_bits

RAW = "\x00raw "
"""Begins text that stands in the written tree as it is, without quotes."""


def _values(rng: random.Random) -> Any:
    """Values that no one expects: of other types, too large, too deep, or text that is not a number."""
    numbers = [-1, 0, 1, 2**31, 2**63, 2**64, -(2**63), 1e37, 1e308, -0.0, 0.5, 10**7, 10**9]
    raw = [*(number.decode() for number in NUMBERS), "NaN", "Infinity", '"\\ud800"', "[" * DEEP + "]" * DEEP]
    plain = [None, True, False, [], {}, [[]], {"a": 1}, [0] * 1000, [None], "1", *TEXTS, *numbers]
    return rng.choice((rng.choice(plain), rng.choice(numbers), RAW + rng.choice(raw), rng.choice(TEXTS)))


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Each (container, key) below a tree; of a long list its first and last items."""
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, list) else []
    keys = keys[:20] + keys[20:][-20:]
    return [(tree, key) for key in keys] + [place for key in keys for place in _places(tree[key])]


def change_tree(tree: Any, rng: random.Random) -> Any:
    """A key or an item is replaced, removed, doubled, renamed or exchanged for another."""
    places = _places(tree)
    if not places:
        return _values(rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        (at, key), (other, other_key) = rng.choice(places), rng.choice(places)
        kind = rng.choice(("value", "value", "value", "remove", "more", "rename", "exchange"))
        try:
            if kind == "value":
                at[key] = _values(rng)
            elif kind == "remove":
                del at[key]
            elif kind == "exchange":
                at[key], other[other_key] = other[other_key], at[key]
            elif isinstance(at, list):
                at[key:key] = [at[key]] * rng.choice((1, 2, 1000))
            else:
                at[rng.choice(TEXTS) if kind == "more" else "x"] = at[key] if kind == "more" else at.pop(key)
        except (KeyError, IndexError):  # an earlier change took it away
            continue
        if _circular(tree):  # by an exchange with a part of itself
            return _values(rng)
    return tree


def _circular(tree: Any) -> bool:
    try:
        json.dumps(tree)
    except (ValueError, RecursionError):
        return True
    return False


def _text(tree: Any) -> str:
    text = json.dumps(tree, ensure_ascii=False)
    parts = text.split('"\\u0000raw ')
    return parts[0] + "".join(_unquoted(part) for part in parts[1:])


def _unquoted(part: str) -> str:
    """What follows a mark: its text without quotes, and the rest."""
    value, end = json.JSONDecoder().raw_decode('"' + part)
    return f"{value}{part[end - 1 :]}"


def change_json(content: bytes, rng: random.Random) -> bytes:
    try:
        tree = json.loads(content)
    except ValueError:
        return change_json_line(content, rng)
    text = _text(change_tree(tree, rng))
    if rng.random() < 0.05:  # the first key once more
        text = text.replace("{", '{"name": 1, "name": 2, ', 1)
    return text.encode("utf-8", "surrogatepass")


def change_json_line(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines()
    try:
        at = rng.randrange(len(lines))
        lines[at] = _text(change_tree(json.loads(lines[at]), rng)).encode("utf-8", "surrogatepass")
    except ValueError:
        return flip_bits(content, rng)
    return b"\n".join(lines) + b"\n"


_YAML = (
    *("&a [*a]", "!!python/object/apply:os.system [false]", "!!timestamp x", "!!float x", "!!int x", "2001-02-30"),
    *("2001-01-01", "1:30", "010", "!!binary x", "!!set {a, b}", "? [a]\n: b", "[" * 800, "'", "*a", "<<: {a: 1}"),
    *("!!null x", "9" * 5000, "&a a", "|\n  x", "!!omap [a: 1]", "- - - a", ".nan", "-.inf", "1e400", "0x_", "\t"),
    "[&a [x, x, x, x, x, x, x, x], &b [*a, *a, *a, *a, *a, *a, *a, *a], &c [*b, *b, *b, *b, *b, *b, *b, *b], "
    "&d [*c, *c, *c, *c, *c, *c, *c, *c], &e [*d, *d, *d, *d, *d, *d, *d, *d], [*e, *e, *e, *e, *e, *e, *e, *e]]",
)


def change_yaml(content: bytes, rng: random.Random) -> bytes:
    try:
        tree = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError):
        return flip_bits(content, rng)
    if rng.random() < 0.5:
        return _text(change_tree(tree, rng)).encode("utf-8", "surrogatepass")
    lines = content.decode().splitlines() or [""]
    at = rng.randrange(len(lines))
    key, colon, _ = lines[at].partition(":")
    lines[at] = f"{key}{colon} {rng.choice(_YAML)}" if colon else rng.choice(_YAML)
    return "\n".join(lines).encode()


def change_array(content: bytes, rng: random.Random) -> bytes:
    """Another header, or other numbers, of a ``.npy`` file."""
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        return flip_bits(content, rng)
    if rng.random() < 0.5:
        return _with_header(array, rng)
    array = np.array(array)
    if array.size and array.dtype.kind in "iuf":
        flat = array.reshape(-1)
        values = (-1, 0, 1, 2**31 - 1, 10**9, *((np.nan, np.inf, 1e37) if array.dtype.kind == "f" else ()))
        with np.errstate(all="ignore"):
            flat[rng.randrange(flat.size)] = np.array(rng.choice(values)).astype(array.dtype)
    kinds = ("<f2", "<f8", "<i4", "<i8", ">f4", "<u8", "?", "<c8", "S1", "<U2", "<M8[s]", [("a", "<f4"), ("b", "<i4")])
    with np.errstate(all="ignore"):
        kind = rng.choice(kinds) if rng.random() < 0.3 else array.dtype
        try:
            array = array.astype(kind)
        except (TypeError, ValueError):
            array = np.zeros(array.shape, kind)
    changes: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
        *(lambda a: a, lambda a: a, lambda a: a[:0], lambda a: a[:1], np.asfortranarray, lambda a: a.reshape(-1)),
        *(
            lambda a: a[None],
            lambda a: np.concatenate([a, a]) if a.ndim else a,
            lambda a: a[..., ::-1] if a.ndim else a,
        ),
    )
    try:
        return _npy(rng.choice(changes)(array))
    except (IndexError, ValueError):
        return _npy(array[None])


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=array.dtype.hasobject)
    return out.getvalue()


def _with_header(array: np.ndarray, rng: random.Random) -> bytes:
    """A header that claims something else, before the array's own numbers."""
    big = rng.choice((10**3, 10**9, 10**12, 2**31, 2**63 - 1, 2**64, -1))
    shapes = (array.shape, (big,), (big, *array.shape[1:]), (*array.shape, big), (0,), (), (big, big), "x", (1.5,))
    kinds = (array.dtype.str, "|O", "<f8", "|S1000000000", "|V8", "<U500000000", "x", [["a", "<f4"]], None, 7)
    header = repr({"descr": rng.choice(kinds), "fortran_order": rng.random() < 0.3, "shape": rng.choice(shapes)})
    header = rng.choice((header, header, header, "(" * 500 + ")" * 500, "{}", header[:-1], "__import__('os')"))
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) % 65536) + text + array.tobytes()


@cache
def _bomb() -> bytes:
    """A small archive whose one member unpacks to 400 MB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("joints.npy", "w") as member:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            head, {"descr": "<f4", "fortran_order": False, "shape": (100_000_000 // 75, 25, 3)}
        )
        member.write(head.getvalue())
        for _ in range(400):
            member.write(bytes(1_000_000))
    return out.getvalue()


def change_archive(content: bytes, rng: random.Random) -> bytes:
    """A member of a zip file is changed, dropped, doubled, renamed or joined by another."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
    except (zipfile.BadZipFile, ValueError, OSError):
        return flip_bits(content, rng)
    if rng.random() < 0.02:
        return _bomb()
    at = rng.randrange(len(members))
    name, data = members[at]
    kind = rng.choice(("array", "array", "array", "bytes", "exchange", "drop", "rename", "more", "twice", "foreign"))
    if kind == "array":
        members[at] = name, change_array(data, rng)
    elif kind == "bytes":
        members[at] = name, rng.choice(list(BYTES.values()))(data, rng)
    elif kind == "exchange":
        other = rng.randrange(len(members))
        members[at], members[other] = (name, members[other][1]), (members[other][0], data)
    elif kind == "drop":
        members.pop(at)
    elif kind == "rename":
        members[at] = rng.choice(("x.npy", "../x.npy", name.upper(), f"{name}.npy", "y_train.npy")), data
    elif kind == "more":
        members.append((rng.choice(("x.npy", "../../x.npy", "x", "/x.npy")), data))
    elif kind == "foreign":
        members[at] = name, rng.choice((b"", b"x" * 100, b"\x93NUMPY", pickle.dumps({"a": 1}), b"\x1f\x8b"))
    return _zipped(members, twice=at if kind == "twice" else None)


def _zipped(members: list[tuple[str, bytes]], twice: int | None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for at, (name, data) in enumerate(members):
            info = zipfile.ZipInfo(name)
            archive.writestr(info, data)
            if at == twice:
                archive.fp.write(b"")  # type: ignore[union-attr]
                archive.NameToInfo.pop(name)
                archive.writestr(zipfile.ZipInfo(name), data[: len(data) // 2])
    return out.getvalue()


def change_tensors(content: bytes, rng: random.Random) -> bytes:
    """Another header of a safetensors file."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    text = _text(change_tree(header, rng)).encode("utf-8", "surrogatepass")
    claimed = rng.choice((len(text), len(text), len(text), len(text), 0, 2**62, len(text) + 1, len(content)))
    return claimed.to_bytes(8, "little") + text + content[8 + size :]


def _opcodes() -> tuple[bytes, ...]:
    """Pickles that call, import, swell or nest."""
    swelling = b"(lp0\n" + b"".join(b"(lp%d\n" % n + b"g%d\na" % (n - 1) * 10 for n in range(1, 12)) + b"."
    return (
        b"cos\nsystem\n(S'false'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"cnumpy\nndarray\n(tR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000\ntS'b'\ntR.",
        b"\x80\x04" + b"]" * 1000 + b"a" * 999 + b".",
        b"\x80\x04" + b"(" * DEEP + b"t" * DEEP + b".",
        b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"x.",
        b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b"N.",
        b"\x80\x04r\xff\xff\xff\x7f.",
        b"L" + b"9" * 5000 + b"L\n.",
        swelling,
        pickle.dumps({"split": {}, "annotations": [{"frame_dir": "a", "keypoint": "x"}]}),
    )


def change_pickle(content: bytes, rng: random.Random) -> bytes:
    """Another pickle, or the same with one value changed."""
    if rng.random() < 0.3:
        return rng.choice(_opcodes())
    tree = pickle.loads(content)
    tree = list(tree) if isinstance(tree, tuple) else tree
    places = _places(tree)
    at, key = rng.choice(places)
    value = _values(rng)
    value = rng.choice((np.float32(3), np.zeros((1, 2)), b"x", (1,))) if isinstance(value, str) else value
    if rng.random() < 0.2:
        del at[key]
    else:
        at[key] = value
    return pickle.dumps(tuple(tree) if isinstance(tree, list) else tree)


BY_SUFFIX: dict[str, tuple[Mutation, ...]] = {
    ".json": (change_json,),
    ".jsonl": (change_json_line,),
    ".yaml": (change_yaml,),
    ".npy": (change_array,),
    ".npz": (change_archive,),
    ".pt": (change_archive,),
    ".safetensors": (change_tensors,),
    ".pkl": (change_pickle,),
}
"""Suffix -> mutations that know such files; any other file has those of its bytes alone."""
