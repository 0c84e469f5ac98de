"""The panel as it is drawn: every state of the gallery, in every width, theme and direction, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.gallery import AXE, RULES, states
from tests.polling import wait_for_value, wait_until

pytestmark = pytest.mark.slow

# What stands outside its panel, beside what scrolls within it or is hidden for the eyes.
OUTSIDE = """() => [...document.querySelectorAll('.mld-Panel *')].filter((element) => {
    const panel = element.closest('.mld-Panel').getBoundingClientRect();
    const own = element.getBoundingClientRect();
    const hidden = element.closest('svg, .mld-VisuallyHidden, .mld-Menu-list') || !own.width;
    const scroller = element.parentElement.closest(
        '.mld-Scroll, .mld-Code, .mld-Excerpt, .mld-Log-body, .mld-Cut, .mld-Mid, .mld-Head-meta, .mld-Tabs'
    );
    return !hidden && !scroller && (own.right > panel.right + 1 || own.left < panel.left - 1);
}).map((element) => `${element.closest('.state').id}: ${element.outerHTML.slice(0, 120)}`)"""

# WCAG 2.5.8: 24 by 24 pixels, except for links in text and for what has the space around it.
SMALL = """() => [...document.querySelectorAll('.mld-Panel :is(button, select, input, textarea)')].filter((element) => {
    const { width, height } = element.getBoundingClientRect();
    const excepted = element.matches('.mld-Link, [type=checkbox], [type=radio]');
    return width && !excepted && (width < 23.5 || height < 21.5);
}).map((element) => `${element.closest('.state').id}: ${element.outerHTML.slice(0, 120)}`)"""

# Text that is cut, and no title that says all of it. A log has a switch for that.
CUT = """() => [...document.querySelectorAll('.mld-Panel *')].filter((element) => {
    const { textOverflow } = getComputedStyle(element);
    if (textOverflow !== 'ellipsis' && !element.matches('.mld-Label, .mld-Btn, .mld-Tab, th')) return false;
    element.dispatchEvent(new PointerEvent('pointerover', { bubbles: true })); // some are made when they are pointed at
    return element.clientWidth && element.scrollWidth > element.clientWidth + 1
        && !element.closest('[title], .mld-Log-body, select, input');
}).map((element) => `${element.closest('.state').id}: ${element.outerHTML.slice(0, 120)}`)"""

# One step of Tab: what has the focus, and whether that can be seen.
FOCUSED = """() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    element.dataset.reached = 'true';
    const rings = [element, element.closest('label')].filter(Boolean).flatMap(
        (one) => [getComputedStyle(one), getComputedStyle(one, '::after')]);
    const ring = rings.some((style) => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0);
    return { name: element.outerHTML.slice(0, 120), ring };
}"""

UNREACHED = """() => [...document.querySelectorAll(
    '.mld-Panel :is(button, select, input, textarea, a[href], [tabindex="0"])')].filter((element) => {
    const group = element.type === 'radio' && document.querySelector(`[name="${element.name}"][data-reached]`);
    const shown = element.checkVisibility({ visibilityProperty: true });
    // Headings in the log come and go with what is in view.
    if (element.matches('.mld-Log-stage')) return false;
    return shown && !group && !element.disabled && element.tabIndex >= 0 && !element.dataset.reached;
}).map((element) => element.outerHTML.slice(0, 120))"""


def look(page: Any, address: str, **query: str) -> None:
    page.goto(address + "?" + "&".join(f"{name}={value}" for name, value in query.items()))
    page.wait_for_selector("body[data-ready]")


@pytest.mark.parametrize("width", [480, 900])
def test_axe_finds_nothing_in_any_theme(gallery: str, page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    page.emulate_media(reduced_motion="reduce")  # else a button has the colour of the theme before, for 100 ms
    look(page, gallery)
    page.add_script_tag(url=gallery.replace("index.html", "axe.min.js"))
    found = page.evaluate(AXE, RULES)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("width", [320, 480, 620, 900, 1600])
def test_nothing_is_wider_than_its_panel(gallery: str, page: Any, width: int, direction: str) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    look(page, gallery, dir=direction)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(SMALL) == []
    assert page.evaluate(CUT) == []


@pytest.mark.parametrize("width", [320, 480, 620, 900, 1600])
def test_a_running_stage_shows_how_far_it_is_in_every_width(gallery: str, page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    look(page, gallery, state="deploying")
    bar = page.get_by_role("progressbar", name="Push image").bounding_box()
    assert bar and bar["width"] > 40 and bar["height"] > 4, bar
    percent = page.locator(".mld-Progress .mld-Num")
    percent.evaluate("(element) => { element.textContent = '100 %'; }")  # the widest
    place = percent.bounding_box()  # a narrow panel has no room for it
    assert place is None or place["height"] < 24, place


def test_a_refused_form_names_the_fields_to_correct(gallery: str, page: Any) -> None:
    look(page, gallery, state="deploy-form-refused")
    page.get_by_text("1 field to correct: CPU").wait_for()
    wait_for_value(lambda: page.evaluate("() => document.activeElement.value"), "0.05")


def test_one_thing_moves_and_none_where_motion_is_reduced(gallery: str, page: Any) -> None:
    look(page, gallery, state="deploying")
    moving = "() => document.getAnimations().map((one) => one.effect.target.closest('li')?.innerText.split('\\n')[0])"
    wait_for_value(lambda: page.evaluate(moving), ["Push image"])
    page.emulate_media(reduced_motion="reduce")
    wait_for_value(lambda: page.evaluate(moving), [])


def test_every_control_is_reached_by_tab_and_shows_it(gallery: str, page: Any) -> None:
    for state in states():
        look(page, gallery, state=state)
        page.evaluate("() => document.querySelector('h1').focus()")  # Tab continues from there
        for _ in range(200):
            page.keyboard.press("Tab")
            focused = page.evaluate(FOCUSED)
            if focused is None:
                break
            assert focused["ring"], f"{state}: the focus cannot be seen on {focused['name']}"
        else:
            pytest.fail(f"{state}: Tab does not leave the panel")
        assert page.evaluate(UNREACHED) == [], state


def test_tabs_menu_and_table_are_used_with_keys_alone(gallery: str, page: Any) -> None:
    look(page, gallery, state="live-menu")
    page.keyboard.press("Escape")
    more = page.get_by_role("button", name="More actions")
    wait_until(lambda: more.evaluate("(element) => element === document.activeElement"))
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.activeElement.role === 'menuitem'")
    page.keyboard.press("End")
    wait_for_value(lambda: page.evaluate("() => document.activeElement.textContent"), "Delete…")
    page.keyboard.press("Enter")
    wait_for_value(lambda: page.evaluate("() => document.activeElement.tagName"), "INPUT")  # the name is to be typed
    page.keyboard.press("Escape")
    tab = page.get_by_role("tab", name="Test")
    tab.focus()
    page.keyboard.press("ArrowLeft")
    wait_for_value(lambda: page.get_by_role("tab", name="Settings").get_attribute("aria-selected"), "true")
    page.keyboard.press("Home")
    page.get_by_label("bmi, row 1").focus()
    page.keyboard.press("ArrowDown")
    wait_for_value(lambda: page.evaluate("() => document.activeElement.getAttribute('aria-label')"), "bmi, row 2")
    page.keyboard.press("Control+Enter")
    page.get_by_text("200 OK").wait_for()


def test_hostile_lines_are_text(gallery: str, page: Any) -> None:
    look(page, gallery, state="hostile-log")
    title = page.title()
    log = page.get_by_role("log")
    wait_until(lambda: "100 %|##########|" in log.inner_text(), what=log.inner_text)
    text = log.inner_text()
    assert "<img src=x onerror=" in text and "<U+202E>gnp.exe" in text
    assert "link" in text and "example.invalid" not in text
    assert log.locator("img, script, a").count() == 0 and page.title() == title


SEND = """([state, count, first, each]) => new Promise((resolve) => {
    const port = window.ports[state];
    let n = first;
    const send = () => {
        const lines = [];
        for (let i = 0; i < each && n < first + count; i++, n++)
            lines.push(window.line(n, `line ${n}`, { stage: 'push' }));
        port.emit('deployment', { lines });
        if (n < first + count) setTimeout(send);
        else requestAnimationFrame(() => requestAnimationFrame(resolve));
    };
    send();
})"""


def test_a_log_of_100_000_lines_is_followed_searched_and_left_where_it_is_read(gallery: str, page: Any) -> None:
    look(page, gallery, state="deploying")
    log = page.get_by_role("log")
    page.evaluate(SEND, ["deploying", 100_000, 1000, 5000])
    page.get_by_text("line 100999", exact=True).wait_for()
    page.get_by_label("Show stage").select_option("push")  # its last line is the log's
    wait_until(lambda: log.locator(".mld-Line").count() < 100)

    # Scrolling up ends the following; the line at the top stays there while others come.
    log.evaluate("(element) => { element.scrollTop -= 300; }")
    page.wait_for_function("() => document.querySelector('[aria-label=\"Follow new lines\"]').ariaPressed === 'false'")
    top = """() => [...document.querySelectorAll('.mld-Line')]
        .map((line) => [line.textContent, line.getBoundingClientRect().top])
        .find(([, top]) => top > document.querySelector('.mld-Log-body').getBoundingClientRect().top + 30)"""
    before = page.evaluate(top)
    page.evaluate(SEND, ["deploying", 24, 200_000, 8])
    page.get_by_role("button", name="24 new lines").wait_for()
    wait_for_value(lambda: page.evaluate(top), before)

    log.focus()
    page.keyboard.press("/")
    page.keyboard.type("line 50000")
    page.get_by_text("1 of 1").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("line 50000", exact=True).wait_for()
    log.focus()
    page.keyboard.press("w")
    wait_for_value(lambda: page.get_by_label("Wrap lines").get_attribute("aria-pressed"), "true")
    page.keyboard.press("End")
    page.get_by_text("line 200023", exact=True).wait_for()
    wait_for_value(lambda: page.get_by_label("Follow new lines").get_attribute("aria-pressed"), "true")
