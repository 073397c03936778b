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
from ssl_skel.view.draw.html import Scenes, document, gallery, point_map, points
from ssl_skel.view.draw.pages import Reconstruction, reconstruction_page, search_page, store_page
from ssl_skel.view.draw.run_pages import Compared, Curves, Failure, Recipe, run_page
from ssl_skel.view.draw.tables import confusion_table

Visit = Callable[..., Any]
Until = Callable[..., None]


def picture(page: Any, selector: str = "canvas[data-clip='0']") -> str:
    return page.evaluate("(selector) => document.querySelector(selector).toDataURL()", selector)


def settled(page: Any, selector: str = "canvas[data-clip='0']") -> str:
    """The picture after everything asked for was drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return picture(page, selector)


LEFT, RIGHT = "(b > 140 && r < 60)", "(r > 160 && b < 60)"  # in the light theme
MORE, LESS = "r > 150 && b > 130 && g < 100", "g > 110 && r < 80 && b < 120"


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
    scenes = Scenes({"map": points(np.array([[0.0, 0.0], [1.0, 1.0]]), [clip, clip])}, {"clips": [0, 1]})
    body = point_map("map", evil) + gallery("clips")
    page = visit(document("Safe", "", body, [clip, clip], scenes=scenes))
    until(page, "document.querySelector('.map h3').textContent.includes('<script>')")
    assert page.locator(".gallery h3").all_inner_texts() == [evil, evil]
    assert page.title() == "Safe"
    assert page.locator("img").count() == 0


def test_the_map_plays_what_is_pointed_at(visit: Visit, until: Until, shown: list[RenderableClip]) -> None:
    kinds = [("a", "1"), ("b", "1"), ("b", "2")]
    clips = [
        replace(clip, facts={"class": label, "camera": camera})
        for clip, (label, camera) in zip(shown, kinds, strict=False)
    ]
    scenes = Scenes({"map": points(np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]), clips)})
    page = visit(document("Map", "", point_map("map", "A map"), clips, scenes=scenes))
    assert page.inner_text(".map h3") == clips[0].name  # a skeleton is there before anything is pointed at
    first = settled(page, ".map .clip canvas")
    until(page, "(old) => document.querySelector('.map .clip canvas').toDataURL() !== old", first)

    def point(x: float, y: float) -> str:
        page.evaluate("document.querySelector('.map > canvas').scrollIntoView({ block: 'end' })")
        box = page.locator(".map > canvas").bounding_box()
        page.mouse.move(box["x"] + 18 + x * (box["width"] - 36), box["y"] + 18 + y * (box["height"] - 36))
        return page.inner_text(".map h3")

    assert point(0.5, 0.5) == clips[2].name
    assert page.locator(".map dd").all_inner_texts() == ["b", "2"]
    page.click(".classes button >> text=a")  # class a alone: the middle, of class b, answers no more
    assert page.get_attribute(".classes button >> nth=0", "aria-pressed") == "true"
    assert point(0, 1) == clips[0].name
    assert point(0.5, 0.5) == clips[0].name
    page.select_option(".scatter select", "camera")
    assert page.locator(".classes button").all_inner_texts() == ["1", "2"]
    assert point(0.5, 0.5) == clips[2].name
    whole = picture(page, ".map > canvas")
    page.locator(".map > canvas").press("+")
    assert picture(page, ".map > canvas") != whole
    assert point(0, 1) == clips[2].name  # zoomed about the middle, the corner's mark is out of sight
    page.click("text=Whole map")
    assert point(0, 1) == clips[0].name


def test_a_gallery_searches_filters_and_turns_its_pages(
    visit: Visit, until: Until, shown: list[RenderableClip]
) -> None:
    clips = [
        replace(clip, name=f"clip {at}", facts={"class": "ab"[at % 2], "subject": str(at)})
        for at, clip in enumerate((shown * 10)[:60])
    ]
    page = visit(store_page("store", clips, ""), reduced_motion="reduce")

    def seen() -> tuple[int, str]:
        return page.locator(".gallery canvas").count(), page.inner_text(".gallery [role=status]")

    assert seen() == (24, "1 to 24 of 60 clips")
    assert page.is_disabled("text=Previous")
    for _ in range(2):
        page.click("text=Next")
    assert seen() == (12, "49 to 60 of 60 clips")
    assert page.is_disabled("text=Next")
    page.select_option(".gallery select >> nth=0", "b")
    assert seen() == (24, "1 to 24 of 30 clips")
    page.fill(".gallery input", "3 CLIP")
    assert page.locator(".gallery h3").all_inner_texts() == [f"clip {at}" for at in range(1, 60, 2) if "3" in str(at)]
    page.click(".gallery .enlarge >> nth=0")
    size = page.locator(".clip.full canvas").bounding_box()
    assert size["width"] > 1000
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('.full')")
    page.fill(".gallery input", "nothing")
    assert seen() == (0, "0 clips")


def test_a_cell_of_the_confusion_matrix_leads_to_its_clips(visit: Visit, shown: list[RenderableClip]) -> None:
    clips = [
        replace(clip, name=f"{label} as {guess}", facts={"class": label, "predicted": guess})
        for clip, (label, guess) in zip(shown, ("aa", "ab", "bb", "ba"), strict=False)
    ]
    body = confusion_table(np.ones((2, 2), int), "ab", "clips") + gallery("clips")
    page = visit(document("Cells", "", body, clips, scenes=Scenes(galleries={"clips": range(4)})))
    page.locator("button.cell >> nth=2").press("Enter")
    assert page.locator(".gallery h3").all_inner_texts() == ["b as a"]
    assert page.evaluate("document.activeElement.className") == "gallery"  # the next Tab is a filter


def test_zoom_pan_and_names_of_joints(visit: Visit, until: Until, shown: list[RenderableClip]) -> None:
    page = visit(search_page(shown[0], shown[1:2]), reduced_motion="reduce")
    before = settled(page)
    canvas = page.locator("canvas[data-clip='0']")
    for keys in ("+", "Shift+ArrowLeft", "-", "-"):
        canvas.press(keys)
        assert settled(page) != before, keys
        before = settled(page)
    canvas.press("0")
    before = settled(page)
    page.click("#names")
    assert settled(page) != before
    page.click("#names")
    assert settled(page) == before
    box = canvas.bounding_box()
    for y in range(int(box["height"])):  # somewhere in the middle a joint gives its name
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + y)
        if y % 8 == 0 and settled(page) != before:
            break
    else:
        raise AssertionError("no joint gave its name")


def test_on_a_phone_the_query_stays_in_sight_and_controls_are_folded(
    visit: Visit, until: Until, shown: list[RenderableClip]
) -> None:
    page = visit(search_page(shown[0], (shown * 3)[:9]), reduced_motion="reduce")
    page.set_viewport_size({"width": 390, "height": 844})
    until(page, "!document.getElementById('more').open")
    assert not page.is_visible("#speed")
    page.evaluate("scrollTo(0, 1200)")
    query, bar = (page.locator(name).bounding_box() for name in (".query", ".bar"))
    assert 0 <= bar["y"] < bar["y"] + bar["height"] <= query["y"] + 1
    assert query["y"] + query["height"] < 844 / 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_page_prints_in_light_colours_with_everything_unfolded(visit: Visit, shown: list[RenderableClip]) -> None:
    recipe = Recipe({"seed": "0"}, "name: config")
    compared = Compared("", ("a",), np.array([[1]]), shown[:1], np.array([0]), None, [Failure(shown[0], shown, "")])
    page = visit(run_page("run", {}, Curves(), [], compared, recipe), color_scheme="dark", reduced_motion="reduce")
    assert not page.is_visible("pre")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.is_visible("pre")
    assert not page.is_visible(".bar")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    last = page.locator("canvas[data-clip]").count() - 1
    assert pixels(page, LEFT, last)  # drawn, though it never was in sight
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert not page.is_visible("pre")


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
    assert not pixels(page, f"(({MORE}) || ({LESS}))", 0)  # an even share has no colour
    assert len(pixels(page, MORE, 1)) > 200  # a disc about the joint that is stared at
    assert len(pixels(page, LESS, 1)) > 200
    page.click("main details >> nth=0")
    assert page.locator("main details >> nth=0 >> table").count() == 3


def test_a_run_page_leads_from_its_matrix_to_clips(visit: Visit, shown: list[RenderableClip]) -> None:
    places, kinds = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]), np.array([0, 1, 1])
    facts = [{"class": label, "predicted": taken} for label, taken in ("aa", "ba", "bb")]
    clips = [replace(clip, facts=fact) for clip, fact in zip(shown, facts, strict=False)]
    failure = Failure(shown[3], shown[4:6], "a, predicted as b")
    compared = Compared("Half.", ("a", "b"), np.array([[1, 0], [1, 1]]), clips, kinds, places, [failure])
    chart = line_chart("loss", {"loss": [(1, 2.0), (2, 1.0)]})
    page = visit(run_page("run", {}, Curves([chart]), [], compared, Recipe({})), reduced_motion="reduce")
    assert page.locator(".gallery canvas").count() == 3
    page.click("[aria-label='b predicted as a: 1 of 2 clips']")
    assert page.locator(".gallery h3").all_inner_texts() == [clips[1].name]
    box = page.locator(".chart > svg").bounding_box()
    assert box["width"] > 1000


def test_everything_can_be_reached_by_keyboard_and_has_a_name(visit: Visit, shown: list[RenderableClip]) -> None:
    scenes = Scenes({"map": points(np.zeros((1, 2)), shown[:1])})
    page = visit(document("Keys", "", point_map("map", "A map"), shown[:1], scenes=scenes))
    names = []
    for _ in range(26):
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
    for wanted in (
        *("Pause", "Moment", "Speed", "Align", "Zoom in", "Follow the body", "Joint names", "Light or dark"),
        *("Colour by", "Zoom into the map", "A map", "Moving skeleton", "Full screen", shown[0].facts["class"]),
    ):
        assert any(wanted in name for name in names), wanted
    assert "no visible focus" not in names
