"""Pages in a real browser: they open, play, turn, obey keys and themes, and fetch nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ssl_skel.view.draw.attention_page import AttentionMaps, attention_page
from ssl_skel.view.draw.charts import line_chart
from ssl_skel.view.draw.clips import RenderableClip
from ssl_skel.view.draw.html import document, point_map, points
from ssl_skel.view.draw.pages import Reconstruction, reconstruction_page, search_page
from ssl_skel.view.draw.run_pages import Compared, Failure, run_page

Visit = Callable[..., Any]
Until = Callable[..., None]


def picture(page: Any, selector: str = "canvas[data-clip='0']") -> str:
    return page.evaluate("(selector) => document.querySelector(selector).toDataURL()", selector)


def settled(page: Any, selector: str = "canvas[data-clip='0']") -> str:
    """The picture after everything asked for was drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return picture(page, selector)


LEFT, RIGHT, HEAT = "(b > 140 && r < 60)", "(r > 160 && b < 60)", "r > 150 && b > 130 && g < 80"  # in the light theme


def pixels(page: Any, condition: str, number: int = 0) -> list[int]:
    """Horizontal places of a clip's pixels of some colour, told by r, g and b."""
    return page.evaluate(
        f"""(number) => {{
            const canvas = document.querySelector(`canvas[data-clip="${{number}}"]`);
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
            copy.drawImage(canvas, 0, 0);
            const {{ data }} = copy.getImageData(0, 0, canvas.width, canvas.height);
            const places = [];
            for (let at = 0; at < data.length; at += 4) {{
                const [r, g, b, alpha] = data.slice(at, at + 4);
                if (alpha > 200 && {condition}) places.push((at / 4) % canvas.width);
            }}
            return places;
        }}""",
        number,
    )


def pause(page: Any, until: Until) -> None:
    if page.inner_text("#play") == "Pause":
        page.click("#play")
    until(page, "document.getElementById('play').textContent === 'Play'")


def test_it_opens_at_once_plays_and_pauses(visit: Visit, until: Until, shown: list[RenderableClip]) -> None:
    clips = (shown * 50)[:50]
    start = time.perf_counter()
    page = visit(search_page(clips[0], clips[1:]))
    pause(page, until)
    assert time.perf_counter() - start < 10  # about 0.6 s on an idle machine
    still = settled(page)
    assert still == settled(page)
    page.click("#play")
    until(page, "(old) => document.querySelector('canvas[data-clip]').toDataURL() !== old", still)
    assert page.locator("canvas[data-clip]").count() == 50


def test_drag_and_arrow_keys_turn_every_clip(visit: Visit, shown: list[RenderableClip]) -> None:
    page = visit(search_page(shown[0], shown[1:3]), reduced_motion="reduce")
    seen = [(settled(page), picture(page, "canvas[data-clip='1']"))]
    box = page.locator("canvas[data-clip='0']").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 50)
    page.mouse.up()
    seen.append((settled(page), picture(page, "canvas[data-clip='1']")))
    page.focus("canvas[data-clip='1']")
    for key in ("ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        seen.append((settled(page), picture(page, "canvas[data-clip='1']")))
    page.click("text=Front")
    back = settled(page), picture(page, "canvas[data-clip='1']")
    assert back == seen[0]
    for before, after in pairwise(seen):
        assert before[0] != after[0]
        assert before[1] != after[1]


def test_reduced_motion_starts_paused_and_keys_step(visit: Visit, until: Until, shown: list[RenderableClip]) -> None:
    page = visit(search_page(shown[0], shown[1:2]), reduced_motion="reduce")
    assert page.inner_text("#play") == "Play"
    first = settled(page)
    page.keyboard.press(".")
    second = settled(page)
    page.keyboard.press(",")
    assert settled(page) == first != second
    page.keyboard.press("Space")
    until(page, "document.getElementById('play').textContent === 'Pause'")


def test_scrubbing_and_two_ways_of_going_in_step(visit: Visit, until: Until, shown: list[RenderableClip]) -> None:
    long = replace(shown[0], joints=np.concatenate([shown[0].joints] * 3, 1))
    page = visit(search_page(shown[0], [long]), reduced_motion="reduce")
    assert page.inner_text("#clock").endswith(f"of {shown[0].seconds:.1f} s")
    page.evaluate("""() => {
        const scrub = document.getElementById('scrub');
        scrub.value = 900;
        scrub.dispatchEvent(new Event('input'));
    }""")
    phase = settled(page), picture(page, "canvas[data-clip='1']")
    page.select_option("#sync", "time")
    until(page, f"document.getElementById('clock').textContent.endsWith('of {long.seconds:.1f} s')")
    by_time = settled(page), picture(page, "canvas[data-clip='1']")
    assert by_time[0] != phase[0]  # the short one has come to its end by now
    assert by_time[1] == phase[1]  # the longest one's share of its own time is the page's


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_and_the_button(visit: Visit, shown: list[RenderableClip], scheme: str) -> None:
    page = visit(search_page(shown[0], shown[1:2]), color_scheme=scheme, reduced_motion="reduce")

    def paper() -> int:
        """Brightness of the page."""
        return page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")

    drawn, dark = settled(page), paper() < 128
    assert dark == (scheme == "dark")
    page.click("#theme")
    assert (paper() < 128) != dark
    assert settled(page) != drawn


def test_a_name_that_is_a_script_does_nothing(
    visit: Visit, until: Until, shown: list[RenderableClip], evil: str
) -> None:
    clip = replace(shown[0], name=evil, facts={"label": evil})
    maps = {"map": points(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0, 0]))}
    page = visit(document("Safe", "", point_map("map", [evil], evil), [clip, clip], maps=maps))
    page.locator(".map > canvas").focus()
    page.keyboard.press("ArrowRight")
    until(page, "document.querySelector('aside h3').textContent.includes('<script>')")
    assert page.title() == "Safe"
    assert page.locator("img").count() == 0


def test_the_map_plays_what_is_pointed_at(visit: Visit, until: Until, shown: list[RenderableClip]) -> None:
    places, kinds = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]), np.array([0, 1, 1])
    maps = {"map": points(places, kinds)}
    page = visit(document("Map", "", point_map("map", ["a", "b"], "A map"), shown[:3], maps=maps))
    empty = picture(page, "aside canvas")
    box = page.locator(".map > canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2 + 3)
    assert page.inner_text("aside h3") == shown[2].name
    assert page.inner_text("aside dd") == shown[2].facts["class"]
    drawn = settled(page, "aside canvas")
    assert drawn != empty
    until(page, "(old) => document.querySelector('aside canvas').toDataURL() !== old", drawn)
    page.click(".classes button >> text=a")  # class a alone: the middle, of class b, answers no more
    assert page.get_attribute(".classes button >> nth=0", "aria-pressed") == "true"
    box = page.locator(".map > canvas").bounding_box()  # the click may have scrolled
    page.mouse.move(box["x"] + 18, box["y"] + box["height"] - 18)
    assert page.inner_text("aside h3") == shown[0].name
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.inner_text("aside h3") == shown[0].name


def test_reconstructions_share_a_camera_and_hide_joints(visit: Visit, shown: list[RenderableClip]) -> None:
    masked = replace(shown[0], joints=np.array(shown[0].joints))
    masked.joints[:, :, 5:] = np.nan
    small = replace(shown[0], joints=shown[0].joints / 3)
    page = visit(reconstruction_page("run", [Reconstruction(shown[0], masked, shown[0])], ""), reduced_motion="reduce")
    real, partly, same = (settled(page, f"canvas[data-clip='{at}']") for at in range(3))
    assert real == same != partly
    empty = replace(shown[0], joints=np.full_like(shown[0].joints, np.nan))
    page = visit(reconstruction_page("run", [Reconstruction(shown[0], empty, small)], ""), color_scheme="light")
    assert pixels(page, LEFT, 0)
    assert not pixels(page, f"({LEFT} || {RIGHT})", 1)
    assert np.ptp(pixels(page, RIGHT, 2)) < 0.5 * np.ptp(
        pixels(page, RIGHT, 0)
    )  # as small as the first one's size tells


def test_the_left_hand_of_one_who_faces_us_is_at_our_right(visit: Visit, shown: list[RenderableClip]) -> None:
    layout = shown[0].layout
    joints = np.zeros((1, 1, layout.num_joints, 3))
    for name, place in (("left_shoulder", -0.5), ("left_elbow", -1.0), ("right_shoulder", 0.5), ("right_elbow", 1.0)):
        joints[0, 0, layout.joints.index(name), 0] = place
    page = visit(search_page(RenderableClip("x", joints, layout), []), reduced_motion="reduce", color_scheme="light")
    settled(page)
    middle = page.evaluate("document.querySelector('canvas[data-clip]').width") / 2
    assert np.mean(pixels(page, RIGHT)) < middle - 20
    assert np.mean(pixels(page, LEFT)) > middle + 20


def test_attention_is_drawn_on_the_body(visit: Visit, shown: list[RenderableClip]) -> None:
    clip = replace(shown[0], joints=shown[0].joints[:, :8])
    parts, gates = np.full((1, 4, 5, 5), 0.2), np.full((1, 4), 0.5)
    even, stare = np.full((1, 4, 25, 25), 1 / 25), np.zeros((1, 4, 25, 25))
    stare[..., 3] = 1
    looks = [AttentionMaps(even, parts, gates), AttentionMaps(stare, parts, gates)]
    page = visit(attention_page("look", clip, looks), reduced_motion="reduce", color_scheme="light")
    settled(page)
    assert len(pixels(page, HEAT, 0)) < 50
    assert len(pixels(page, HEAT, 1)) > 200  # a disc about the joint that is stared at
    page.click("details >> nth=0")
    assert page.locator("details >> nth=0 >> table").count() == 3


def test_a_run_page_works(visit: Visit, shown: list[RenderableClip]) -> None:
    places, kinds = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]), np.array([0, 1, 1])
    failure = Failure(shown[3], shown[4:6], "a, predicted as b")
    compared = Compared("Half.", ("a", "b"), np.array([[1, 1], [0, 2]]), shown[:3], kinds, places, [failure])
    chart = line_chart("loss", {"loss": [(1, 2.0), (2, 1.0)]})
    page = visit(run_page("run", {"method": "psp"}, [chart], [], compared), reduced_motion="reduce")
    assert page.locator("canvas[data-clip]").count() == 3
    page.locator(".map > canvas").scroll_into_view_if_needed()
    box = page.locator(".map > canvas").bounding_box()
    page.mouse.move(box["x"] + 18, box["y"] + box["height"] - 18)
    assert page.inner_text("aside h3") == shown[0].name


def test_everything_can_be_reached_by_keyboard_and_has_a_name(visit: Visit, shown: list[RenderableClip]) -> None:
    maps = {"map": points(np.zeros((1, 2)), np.array([0]))}
    page = visit(document("Keys", "", point_map("map", ["a"], "A map"), shown[:1], maps=maps))
    names = []
    for _ in range(20):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("""() => {
                const at = document.activeElement;
                const box = getComputedStyle(at);
                if (at === document.body) return '';
                if (box.outlineStyle === 'none') return 'no visible focus';
                return at.getAttribute('aria-label') || (at.labels && at.labels[0] ? at.labels[0] : at).textContent;
            }""")
        )
    for wanted in ("Pause", "Moment", "Speed", "In step", "Follow the body", "Light or dark", "A map", "movement", "a"):
        assert any(wanted in name for name in names), wanted
    assert "no visible focus" not in names
