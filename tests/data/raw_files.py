"""Writers of raw files, made from the published descriptions."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.io import savemat

from ssl_skel.layouts import LAYOUTS

NTU_NAME = "S001C002P003R002A013"


def walk(seed: int, frames: int, joints: int = 25, persons: int = 1) -> np.ndarray:
    """People of fixed shape, taller than wide, who wander about: (M, T, V, 3) float32, no coordinate zero."""
    rng = np.random.default_rng(seed)
    body = rng.normal(size=(persons, 1, joints, 3)) * [0.15, 0.5, 0.1] + np.arange(1, persons + 1)[:, None, None, None]
    path = 0.02 * rng.normal(size=(persons, frames, 1, 3)).cumsum(1)
    return (body + path + 0.01 * rng.normal(size=(persons, frames, joints, 3)) + [0, 0, 3]).astype(np.float32)


def points(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def ntu_text(frames: Sequence[Mapping[int, np.ndarray]]) -> str:
    """A ``.skeleton`` file: for each frame the bodies seen, id -> joints (25, 3)."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for body, joints in bodies.items():
            lines.append(f"{body} 0 1 1 1 1 0 0.02764709 0.05745083 2")
            lines.append(str(len(joints)))
            for x, y, z in joints.astype(np.float32).astype(str):
                lines.append(
                    f"{x} {y} {z} 277.419 191.8218 1036.233 519.1677 -0.2059419 0.05349901 0.9692109 -0.1239193 2"
                )
    return "\n".join(lines) + "\n"


def ntu(folder: Path, name: str = NTU_NAME, joints: np.ndarray | None = None) -> Path:
    """Persons (M, T, 25, 3) as bodies; NaN: not seen in that frame."""
    joints = walk(0, 14) if joints is None else joints
    frames = [
        {72057594037931101 + m: person[t] for m, person in enumerate(joints) if np.isfinite(person[t]).all()}
        for t in range(joints.shape[1])
    ]
    file = folder / f"{name}.skeleton"
    file.write_text(ntu_text(frames), "ascii")
    return file


def ctrgcn(
    folder: Path,
    clips: Mapping[str, Sequence[tuple[np.ndarray, int]]] | None = None,
    name: str = "NTU60_CS",
    classes: int = 60,
    **changes: Any,
) -> Path:
    """Centred, padded and flattened as CTR-GCN does: side -> (joints (M, T, 25, 3), label)."""
    clips = clips or {"train": [(walk(0, 7), 3), (walk(1, 5, persons=2), 59)], "test": [(walk(2, 6), 0)]}
    members: dict[str, np.ndarray] = {}
    for side, rows in clips.items():
        x, y = np.zeros((len(rows), 300, 2, 25, 3), np.float32), np.zeros((len(rows), classes), np.float32)
        for row, (joints, label) in enumerate(rows):
            first = np.flatnonzero(np.isfinite(joints[0]).all((1, 2)))[0]
            centred = np.nan_to_num(joints - joints[0, first, 1])
            x[row, : joints.shape[1], : len(joints)] = centred.swapaxes(0, 1)
            y[row, label] = 1
        members |= {f"x_{side}": x.reshape(len(rows), 300, 150), f"y_{side}": y}
    np.savez_compressed(folder / f"{name}.npz", **(members | changes))
    return folder / f"{name}.npz"


def pyskl(
    folder: Path,
    clips: Sequence[Mapping[str, Any]] | None = None,
    split: Mapping[str, Any] | None = None,
    protocol: int = 4,
) -> Path:
    """An annotation file; a clip is its name, label and joints, and whatever else is given."""
    clips = clips or [{"frame_dir": NTU_NAME, "label": 12, "keypoint": walk(0, 14)}]
    annotations = [{"total_frames": 14} | dict(clip) for clip in clips]
    data = {"split": dict(split or {}), "annotations": annotations}
    file = folder / "anno.pkl"
    file.write_bytes(pickle.dumps(data, protocol))
    return file


def stgcn(
    folder: Path,
    clips: Mapping[str, Sequence[tuple[str, int, np.ndarray]]] | None = None,
    form: str = "{}_data.npy",
    frames: int = 20,
) -> Path:
    """Side -> (name, label, joints (M, T, V, C)), padded with zeros to two persons. Gives the training array."""
    clips = clips or {"train": [(NTU_NAME, 12, walk(0, 14))], "val": [("S001C001P003R002A060", 59, walk(1, 9))]}
    for side, rows in clips.items():
        joints, channels = rows[0][2].shape[2:]
        data = np.zeros((len(rows), channels, frames, joints, 2), np.float32)
        for row, (_, _, clip) in enumerate(rows):
            data[row, :, : clip.shape[1], :, : len(clip)] = np.nan_to_num(clip).transpose(3, 1, 2, 0)
        np.save(folder / form.format(side), data)
        labels = ([f"{name}.skeleton" for name, _, _ in rows], [label for _, label, _ in rows])
        (folder / f"{side}_label.pkl").write_bytes(pickle.dumps(labels))
    return folder / form.format("train")


def mediapipe(
    folder: Path, name: str = "wave/clip01", joints: np.ndarray | None = None, key: str = "pose_world_landmarks"
) -> Path:
    """Persons (M, T, 33, 3) as MediaPipe has them, y down; NaN: not found. One person is written without a list."""
    joints = walk(0, 5, 33) if joints is None else joints
    frames = []
    for t in range(joints.shape[1]):
        people = [
            [{"x": x, "y": y, "z": z, "visibility": 0.9} for x, y, z in person[t].tolist()]
            for person in joints
            if np.isfinite(person[t]).all()
        ]
        frames.append({key: people[0] if len(joints) == 1 and people else people})
    file = folder / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"frames": frames}), "utf-8")
    return file


def openpose(folder: Path, name: str = "wave/clip01", joints: np.ndarray | None = None) -> Path:
    """Persons (M, T, V, 2) in pixels; NaN: joint not found, or nobody. Gives the first frame's file."""
    joints = 1000 + 100 * walk(0, 3, 25)[..., :2] if joints is None else joints
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    files = [target / f"clip_{t:012}_keypoints.json" for t in range(joints.shape[1])]
    for t, file in enumerate(files):
        people = []
        for person in joints[:, t]:
            known = np.isfinite(person).all(-1, keepdims=True)
            if known.any():
                triples = np.concatenate([np.where(known, person, 0), 0.8 * known], -1)
                people.append({"person_id": [-1], "pose_keypoints_2d": triples.ravel().tolist()})
        file.write_text(json.dumps({"version": 1.3, "people": people}), "utf-8")
    return files[0]


def text(file: Path, rows: Any, gap: str = " ") -> Path:
    """Rows of numbers as text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(gap.join(f"{number:.7g}" for number in row) + "\n" for row in rows), "ascii")
    return file


def msr_action3d(folder: Path, name: str = "a08_s03_e02_skeleton3D", joints: np.ndarray | None = None) -> Path:
    """Joints (T, 20, 3) in the published order."""
    joints = walk(0, 4, 20)[0] if joints is None else joints
    rows = np.concatenate([joints, np.ones_like(joints[..., :1])], -1).reshape(-1, 4)
    return text(folder / f"{name}.txt", rows)


def utkinect(
    folder: Path, joints: np.ndarray | None = None, labels: str = "s01_e02\nwalk: 252 255\npush: NaN NaN\n"
) -> Path:
    """A session of frames (T, 20, 3) that are numbered from 250 on."""
    joints = walk(0, 10, 20)[0] if joints is None else joints
    (folder / "actionLabel.txt").write_bytes(labels.encode())
    rows = [[250 + t, *frame.ravel()] for t, frame in enumerate(joints)]
    return text(folder / "joints" / "joints_s01_e02.txt", rows)


def florence3d(folder: Path, clips: Sequence[tuple[int, int, int, np.ndarray]] | None = None) -> Path:
    """(video, actor, category, joints (T, 15, 3) with z up)."""
    clips = clips or [(1, 1, 9, walk(0, 4, 15)[0]), (2, 2, 1, walk(1, 3, 15)[0])]
    rows = [[*told, *frame.ravel()] for *told, joints in clips for frame in joints]
    return text(folder / "Florence_dataset_WorldCoordinates.txt", rows)


def pku_mmd(
    folder: Path,
    name: str = "0002-L",
    joints: np.ndarray | None = None,
    labels: Sequence[Sequence[int]] = ((5, 2, 6, 1),),
) -> Path:
    """A video (2, T, 25, 3), NaN: nobody; and rows of class, first frame, end, confidence."""
    joints = walk(0, 9, persons=2) if joints is None else joints
    text(folder / "label" / f"{name}.txt", labels, ",")
    rows = np.nan_to_num(joints).swapaxes(0, 1).reshape(joints.shape[1], -1)
    return text(folder / "skeleton" / f"{name}.txt", rows)


def kinetics(folder: Path, name: str = "kinetics_train/clip", joints: np.ndarray | None = None, **changes: Any) -> Path:
    """Persons (M, T, 18, 2) in 0..1; NaN: not found."""
    joints = 0.5 + 0.1 * walk(0, 4, 18)[..., :2] if joints is None else joints
    frames = []
    for t in range(joints.shape[1]):
        people = [np.nan_to_num(person[t]) for person in joints if np.isfinite(person[t]).any()]
        skeletons = [{"pose": p.ravel().tolist(), "score": (0.7 * (p != 0).any(-1)).tolist()} for p in people]
        frames.append({"frame_index": t + 1, "skeleton": skeletons})
    file = folder / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"data": frames, "label": "abseiling", "label_index": 0} | changes), "utf-8")
    return file


def nw_ucla(folder: Path, name: str = "a08_s03_e02_v01", **changes: Any) -> Path:
    data = {"file_name": name, "skeletons": points(4, 20, 3).tolist(), "label": 7} | changes
    (folder / f"{name}.json").write_text(json.dumps(data), "utf-8")
    return folder / f"{name}.json"


def utd_mhad(folder: Path, name: str = "a5_s2_t3", joints: Any = None) -> Path:
    file = folder / f"{name}_skeleton.mat"
    savemat(file, {"d_skel": points(20, 3, 6) if joints is None else joints}, do_compression=True)
    return file


def sbu(folder: Path, pair: str = "s01s02", joints: np.ndarray | None = None) -> Path:
    """Normalise metres as SBU did, and write them as text."""
    x = (points(5, 2, 15, 3) if joints is None else joints) * 1000.0
    raw = np.stack([(1280 - x[..., 0]) / 2560, (960 - x[..., 1]) / 1920, x[..., 2] * 7.8125 / 10000], -1)
    file = folder / pair / "03" / "001" / "skeleton_pos.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join([str(7 + t), *(f"{value:.9f}" for value in row.ravel())]) for t, row in enumerate(raw)]
    file.write_text("\n".join(lines) + "\n", "ascii")
    return file


def npz(folder: Path, stem: str = "mine", sidecar: dict[str, Any] | None = None, **members: Any) -> Path:
    sidecar = {"layout": "sbu15"} if sidecar is None else sidecar
    np.savez_compressed(folder / f"{stem}.npz", **({"joints": points(3, 6, 15, 3)} | members))
    if sidecar:
        (folder / f"{stem}.yaml").write_text(yaml.safe_dump(sidecar), "utf-8")
    return folder / f"{stem}.npz"


def describe(folder: Path, description: Mapping[str, Any]) -> None:
    """``recordings.yaml``."""
    (folder / "recordings.yaml").write_text(yaml.safe_dump(dict(description)), "utf-8")


Bone = tuple[str, str, Sequence[float], str]  # name (none: an end site), its parent's, offset, channels
ARMS: tuple[Bone, ...] = (
    ("Hips", "", (1, 90, 2), "Xposition Yposition Zposition Zrotation Xrotation Yrotation"),
    ("Spine", "Hips", (0, 20, 1), "Yrotation Xrotation Zrotation"),
    ("Head", "Spine", (0, 30, 0), "Zrotation Xrotation Yrotation"),
    ("", "Head", (0, 20, 0), ""),
    ("LeftArm", "Spine", (-18, 25, 0), "Xposition Yposition Zposition Zrotation Yrotation Xrotation"),
    ("LeftForeArm", "LeftArm", (-25, 0, 0), "Zrotation Xrotation"),
    ("", "LeftForeArm", (-24, 0, 1), ""),
    ("RightArm", "Spine", (18, 25, 0), "Xrotation Yrotation Zrotation"),
    ("RightForeArm", "RightArm", (25, 0, 0), "Zrotation"),
    ("", "RightForeArm", (24, 0, 1), ""),
)


def bvh_text(bones: Sequence[Bone], motion: np.ndarray) -> str:
    """A ``.bvh`` file, from bones with parents first, limb by limb, and (T, channels) numbers."""
    lines, inside = ["HIERARCHY"], list[str]()
    for name, parent, offset, channels in bones:
        while inside and inside[-1] != parent:
            inside.pop()
            lines.append("}")
        lines += [f"JOINT {name}" if parent and name else f"ROOT {name}" if name else "End Site", "{"]
        lines.append("OFFSET " + " ".join(map(str, offset)))
        lines += [f"CHANNELS {len(channels.split())} {channels}"] if channels else []
        inside.append(name)
    lines += ["}"] * len(inside)
    lines += ["MOTION", f"Frames: {len(motion)}", "Frame Time: 0.0333333"]
    return "\n".join([*lines, *(" ".join(f"{value:.6f}" for value in row) for row in motion)]) + "\n"


def bvh(
    folder: Path, name: str = "wave/clip01", motion: np.ndarray | None = None, bones: Sequence[Bone] = ARMS
) -> Path:
    """Angles (T, channels) of a rig, of half a body by default."""
    channels = sum(len(bone[3].split()) for bone in bones)
    motion = 40 * points(5, channels).astype(np.float64) if motion is None else motion
    file = folder / f"{name}.bvh"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(bvh_text(bones, motion), "utf-8")
    return file


# name, its parent's, direction, length, axis, dofs
ACCLAIM: tuple[tuple[str, str, Sequence[float], float, Sequence[float], str], ...] = (
    ("lhipjoint", "root", (0.6, -0.8, 0), 2.5, (0, 0, 0), ""),
    ("lfemur", "lhipjoint", (0.34, -0.94, 0), 7.0, (0, 0, 20), "rx ry rz"),
    ("ltibia", "lfemur", (0.34, -0.94, 0), 7.2, (0, 0, 20), "rx"),
    ("lfoot", "ltibia", (0, -0.2, 0.98), 2.0, (-90, 0, 20), "rx rz"),
    ("rhipjoint", "root", (-0.6, -0.8, 0), 2.5, (0, 0, 0), ""),
    ("rfemur", "rhipjoint", (-0.34, -0.94, 0), 7.0, (0, 0, -20), "rx ry rz"),
    ("rtibia", "rfemur", (-0.34, -0.94, 0), 7.2, (0, 0, -20), "rx"),
    ("rfoot", "rtibia", (0, -0.2, 0.98), 2.0, (-90, 0, -20), "rx rz"),
    ("thorax", "root", (0, 1, 0), 7.0, (0, 0, 0), "rx ry rz"),
    ("head", "thorax", (0, 1, 0.1), 3.5, (0, 0, 0), "rx ry rz"),
    ("lclavicle", "thorax", (0.97, 0.24, 0), 3.0, (0, 0, 0), "ry rz"),
    ("rclavicle", "thorax", (-0.97, 0.24, 0), 3.0, (0, 0, 0), "ry rz"),
    ("lhumerus", "lclavicle", (1, 0, 0), 5.0, (180, 30, -90), "rx ry rz"),
    ("lradius", "lhumerus", (1, 0, 0), 3.5, (180, 30, -90), "rx"),
    ("rhumerus", "rclavicle", (-1, 0, 0), 5.0, (180, -30, 90), "rx ry rz"),
    ("rradius", "rhumerus", (-1, 0, 0), 3.5, (180, -30, 90), "rx"),
)


def asf_text(length: float = 0.45) -> str:
    """The skeleton of ``ACCLAIM``."""
    lines = [":version 1.10", ":name someone", ":units", f"  length {length}", "  angle deg", ":root"]
    lines += ["  order TX TY TZ RX RY RZ", "  axis XYZ", "  position 0 0 0", "  orientation 0 0 0", ":bonedata"]
    for number, (name, _, direction, size, axis, dofs) in enumerate(ACCLAIM, 1):
        lines += ["  begin", f"    id {number}", f"    name {name}", "    direction " + " ".join(map(str, direction))]
        lines += [f"    length {size}", f"    axis {axis[0]} {axis[1]} {axis[2]}  XYZ"]
        lines += [f"    dof {dofs}", "    limits (-160.0 20.0)"] if dofs else []
        lines += [] if len(dofs) < 3 else ["      (-70.0 70.0)"] * dofs.count(" ")
        lines.append("  end")
    lines += [":hierarchy", "  begin"]
    for parent in dict.fromkeys(bone[1] for bone in ACCLAIM):
        lines.append(" ".join(["   ", parent, *(bone[0] for bone in ACCLAIM if bone[1] == parent)]))
    return "\n".join([*lines, "  end"]) + "\n"


def amc(folder: Path, name: str = "01/01_02", motion: np.ndarray | None = None, length: float = 0.45) -> Path:
    """Numbers (T, 6 + dofs) of the root and of the bones of ``ACCLAIM`` in turn, and their skeleton."""
    counts = [6, *(len(bone[5].split()) for bone in ACCLAIM)]
    motion = 30 * points(4, sum(counts)).astype(np.float64) if motion is None else motion
    lines = ["#!OML:ASF someone.ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    for t, row in enumerate(motion, 1):
        parts = np.split(row, np.cumsum(counts)[:-1])
        lines.append(str(t))
        for bone, numbers in zip(("root", *(bone[0] for bone in ACCLAIM)), parts, strict=True):
            if len(numbers):
                lines.append(" ".join([bone, *map(str, numbers)]))
    file = folder / f"{name}.amc"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", "ascii")
    file.with_name(f"{file.stem.partition('_')[0]}.asf").write_text(asf_text(length), "ascii")
    return file


def npy(folder: Path, name: str = "wave/clip01", joints: np.ndarray | None = None, **description: Any) -> Path:
    """An array (T, V, C) or (M, T, V, C)."""
    describe(folder, {"layout": "sbu15"} | description)
    file = folder / f"{name}.npy"
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, points(6, 15, 3) if joints is None else joints)
    return file


def plain_text(folder: Path, name: str = "wave/clip01", joints: np.ndarray | None = None) -> Path:
    """Frames (T, V, 3), a row each."""
    joints = walk(0, 4)[0] if joints is None else joints
    return text(folder / f"{name}.txt", joints.reshape(len(joints), -1))


def long_rows(clips: Mapping[str, np.ndarray], names: Sequence[str]) -> list[dict[str, Any]]:
    """A row a joint of clips (M, T, V, C)."""
    return [
        {
            "clip": clip,
            "person": f"p{m}",
            "frame": t,
            "joint": names[v],
            **dict(zip("xyz", place.tolist(), strict=False)),
        }
        for clip, joints in clips.items()
        for m, person in enumerate(joints)
        for t, frame in enumerate(person)
        for v, place in enumerate(frame)
    ]


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as text; NaN is written as nothing."""
    lines = [",".join(rows[0])]
    lines += [",".join("" if value != value else str(value) for value in row.values()) for row in rows]
    return "\n".join(lines) + "\n"


def table(folder: Path, name: str = "recordings", text: str | None = None, **description: Any) -> Path:
    """A CSV file; by default two clips of two and one persons, a row a joint."""
    describe(folder, {"layout": "sbu15"} | description)
    file = folder / f"{name}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    joints = {"one": walk(0, 3, 15, persons=2), "two": walk(1, 2, 15)}
    file.write_text(csv_text(long_rows(joints, LAYOUTS["sbu15"].joints)) if text is None else text, "utf-8")
    return file


WRITERS: dict[str, Callable[[Path], Path]] = {
    **{"nw-ucla": nw_ucla, "utd-mhad": utd_mhad, "sbu": sbu, "npz": npz},
    **{"ntu": ntu, "ctrgcn": ctrgcn, "pyskl": pyskl},
    **{"mediapipe": mediapipe, "openpose": openpose},
    **{"msr-action3d": msr_action3d, "utkinect": utkinect, "florence3d": florence3d},
    **{"stgcn": stgcn, "pku-mmd": pku_mmd, "kinetics": kinetics},
    **{"bvh": bvh, "table": table, "npy": npy, "text": plain_text, "amc": amc},
}
"""Format -> what writes a small file of it."""
