"""The raw formats as ``ssl-skel convert --help`` lists them. Nothing heavy is imported."""

from __future__ import annotations

FORMATS: dict[str, tuple[str, str]] = {
    "nw-ucla": (
        "Northwestern-UCLA: one JSON file per clip",
        'a08_s03_e02_v01.json  {"skeletons": [[[0.1, 0.2, 2.9], …20], …]}',
    ),
    "utd-mhad": ("UTD-MHAD: one MATLAB file per clip", "a5_s2_t3_skeleton.mat  d_skel (20, 3, T)"),
    "sbu": ("SBU Kinect Interaction: one text file per clip", "s01s02/03/001/skeleton_pos.txt  1,0.42,0.19,2.8,…"),
    "ntu": ("NTU RGB+D 60 and 120, raw", "S001C002P003R002A013.skeleton"),
    "ctrgcn": ("NTU as CTR-GCN prepares it", "NTU60_CS.npz  x_train (N, 300, 150), y_train, x_test, y_test"),
    "pyskl": ("PYSKL's and MMAction2's annotations", "ntu60_3danno.pkl  {split: …, annotations: [{frame_dir, …}]}"),
    "stgcn": ("ST-GCN's, 2s-AGCN's and AimCLR's arrays", "train_data.npy (N, C, T, V, M), train_label.pkl"),
    "pku-mmd": ("PKU-MMD: long videos and labels", "skeleton/0002-L.txt, label/0002-L.txt  5,120,180,1"),
    "msr-action3d": ("MSR-Action3D: one row per joint", "a01_s01_e01_skeleton3D.txt  0.12 0.31 2.87 1"),
    "utkinect": ("UTKinect-Action3D: sessions and labels", "joints/joints_s01_e02.txt, actionLabel.txt  walk: 252 390"),
    "florence3d": ("Florence 3D Actions: one text file", "Florence_dataset_WorldCoordinates.txt  1 1 9 x y z …15"),
    "kinetics": (
        "Kinetics-skeleton: one JSON file per clip",
        'kinetics_train/a.json  {"data": [{"skeleton": …}]}',
    ),
    "mediapipe": (
        "MediaPipe Pose as JSON or JSON lines",
        'wave/1.json  [{"pose_world_landmarks": [{…}, …33]}, …]',
    ),
    "openpose": (
        "OpenPose: one folder per recording",
        'wave/1/f_0_keypoints.json  {"people": [{"pose_keypoints_2d": …}]}',
    ),
    "bvh": ("BVH motion capture", "wave/1.bvh  HIERARCHY ROOT Hips { OFFSET … } MOTION Frames: 90 …"),
    "amc": ("Acclaim motion capture (CMU, HDM05)", "01/01_02.amc beside 01/01.asf  root 9.4 17.9 -17.3 -2.0 -7.6 -2.3"),
    "table": (
        "CSV or Parquet: one row per joint, or per frame",
        "all.csv  clip,frame,joint,x,y,z  or  frame,x_0,y_0,x_1,…",
    ),
    "text": ("plain text of a Kinect: one row per frame", "wave/1.txt  0.12 0.03 2.87 0.13 0.31 2.84 …75 numbers"),
    "npy": ("one array per recording", "wave/1.npy  (T, V, C) or (M, T, V, C)"),
    "npz": ("arrays of many recordings", "mine.npz  joints (N, T, V, C), label (N,), subject (N,), frames (N,)"),
}
"""Name -> what it is, and what a file looks like."""


def listed() -> str:
    """Two lines per format: what it is; what a file looks like."""
    width = max(map(len, FORMATS)) + 2
    rows = [f"{name:{width}}{what}\n{'':{width}}{example}" for name, (what, example) in FORMATS.items()]
    return "\n".join(["Formats, and what their files look like:", *rows])


def names(incomplete: str) -> list[str]:
    """Names of formats that begin so, for tab completion."""
    return [name for name in FORMATS if name.startswith(incomplete)]
