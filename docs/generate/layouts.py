"""The built-in layouts as pictures: joints in the places they have in a person who faces the reader."""

from __future__ import annotations

from ssl_skel.layouts import LAYOUTS, SkeletonLayout

_COLOURS = {"left": "#0072b2", "right": "#c04e00", "middle": "#5b6470"}  # as on the pages of ``ssl-skel view``

# Joint names without their side: place to the person's left, and up. Units: a body is 170 high.
_PLACES = """
hip_centre spine_base mid_hip pelvis 0 95, spine1 0 105, spine spine_mid torso spine2 lower_back 0 115
spine3 upper_back 0 126, shoulder_centre spine_shoulder thorax 0 138, neck 0 146, upper_neck 0 151, head 0 162
head_top 0 172, nose 0 158, eye 6 164, ear 13 161, eye_inner 3 165, eye_outer 9 164, mouth_left 4 152
mouth_right -4 152, collar 8 141, shoulder 19 138, elbow 30 112, wrist 36 88, hand 38 78, palm 38 80
hand_tip 40 68, thumb 30 74, index 36 70, pinky 44 74, hip 10 90, knee 13 50, ankle 14 10, heel 10 4, foot 19 3
toes 23 0, foot_index 24 0, big_toe 20 0, small_toe 27 1
"""
_BODY = {
    name: (int(left), int(up))
    for *names, left, up in (entry.split() for entry in _PLACES.replace("\n", ",").split(",") if entry)
    for name in names
}
_FINGERS = {"thumb": (-26, 30), "index": (-12, 62), "middle": (0, 68), "ring": (11, 63), "pinky": (21, 54)}
_PHALANX = {"cmc": 0.3, "mcp": 0.45, "pip": 0.67, "dip": 0.84, "ip": 0.75, "tip": 1.0}


def places(layout: SkeletonLayout) -> list[tuple[float, float]]:
    """(x, y) of each joint, x to the reader's right.

    Raises:
        KeyError: a joint's name has no place.
    """
    hand = layout.joints[layout.root] == "wrist"
    return [_hand(name) if hand else _body(name) for name in layout.joints]


def _body(name: str) -> tuple[float, float]:
    if name in _BODY:
        return _BODY[name]
    side, _, kind = name.partition("_")
    left, up = _BODY[kind]
    return (left if side == "left" else -left), up


def _hand(name: str) -> tuple[float, float]:
    finger, _, bone = name.partition("_")
    if not bone:
        return 0, 0
    (across, up), far = _FINGERS[finger], _PHALANX[bone]
    return across * far, up * far


def picture(layout: SkeletonLayout) -> str:
    """A layout as SVG: joints with their numbers, bones, left in blue and right in orange, names as tooltips."""
    at = places(layout)
    scale = 320 / (max(y for _, y in at) - min(y for _, y in at))
    middle = 150
    top = max(y for _, y in at)
    points = [(middle + scale * x, 25 + scale * (top - y)) for x, y in at]
    lines = [
        f'<line x1="{points[a][0]:.1f}" y1="{points[a][1]:.1f}" x2="{points[b][0]:.1f}" y2="{points[b][1]:.1f}"/>'
        for a, b in layout.bones
    ]
    joints = []
    for number, (name, (x, y)) in enumerate(zip(layout.joints, points, strict=True)):
        side = name.split("_")[0]
        colour = _COLOURS.get(side, _COLOURS["middle"])
        ring = ' stroke="#d4a017" stroke-width="3"' if number == layout.centre else ""
        joints.append(
            f'<g><title>{number} {name}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="{colour}"{ring}/>'
            f'<text x="{x:.1f}" y="{y + 3.5:.1f}">{number}</text></g>'
        )
    style = "text{font:bold 9px sans-serif;fill:#fff;text-anchor:middle}line{stroke:#9aa1ab;stroke-width:3}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 370" width="300" height="370" role="img" '
        f'aria-label="{layout.name}"><style>{style}</style>{"".join(lines)}{"".join(joints)}</svg>\n'
    )


def pictures() -> dict[str, str]:
    """Layout's name -> its picture."""
    return {name: picture(LAYOUTS[name]) for name in LAYOUTS}


def table() -> str:
    """Every layout with its picture and the names of its joints, as Markdown."""
    parts = []
    for name in LAYOUTS:
        layout = LAYOUTS[name]
        joints = ", ".join(f"{number} `{joint}`" for number, joint in enumerate(layout.joints))
        groups = f"{len(layout.body)} groups, {len(layout.part)} parts, centre `{layout.joints[layout.centre]}`"
        parts.append(
            f'## {name}\n\n<div class="layout" markdown>\n![{name}](layouts/{name}.svg)\n\n'
            f"{layout.num_joints} joints, {groups}.\n\n{joints}\n</div>\n"
        )
    return "\n".join(parts)
