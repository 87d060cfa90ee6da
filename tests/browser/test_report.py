"""The page in a real browser: no script runs, nothing is fetched, nothing is wider than the screen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from oneshot.report import page
from tests.unit.report.large import make_large
from tests.unit.report.runs import HOSTILE, make_run

pytestmark = pytest.mark.browser

ELSEWHERE = "http://elsewhere.invalid"
FETCHES = (
    f'<img src="{ELSEWHERE}/img"><link rel=stylesheet href="{ELSEWHERE}/css"><script src="{ELSEWHERE}/js"></script>'
    f'<style>@import "{ELSEWHERE}/import";</style><svg><image href="{ELSEWHERE}/svg"/></svg>'
    f"<meta http-equiv=refresh content='0;url={ELSEWHERE}/refresh'>$\\text{{<img src={ELSEWHERE}/tex>}}$"
)
PWNED = "document.documentElement.getAttribute('data-pwned')"
WIDTH = "document.documentElement.scrollWidth"
HIDDEN = "[...document.querySelectorAll('.problems > article')].filter(e => e.offsetParent !== null).length"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run, with its control arm, whose every text tries to run a script and to fetch."""
    folder = tmp_path_factory.mktemp("hostile")
    text = HOSTILE + FETCHES
    control = make_run(folder / "control", text=text, control="shuffled")
    run = make_run(folder / "runs", text=text)
    named = run.path.with_name("<img src=x onerror=\"document.documentElement.setAttribute('data-pwned','6')\">")
    run.path.rename(named)
    path = folder / "report.html"
    path.write_text(page.build(type(run)(named), control=control), encoding="utf-8", errors="replace")
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a long run beside its control arm."""
    folder = tmp_path_factory.mktemp("large")
    control = make_large(folder / "b", control="shuffled", steps=60, groups=2)
    path = folder / "report.html"
    path.write_text(page.build(make_large(folder / "a", steps=60, groups=2), control=control), encoding="utf-8")
    return path


@pytest.mark.parametrize("script", [True, False])
def test_hostile_text_stays_text(visit: Any, hostile: Path, script: bool) -> None:
    seen = visit(hostile, script=script)
    seen.quiet(hostile)
    if script:
        assert seen.page.evaluate(PWNED) is None, "a script of the text ran"
    for name in ("script", "img", "iframe", "link", "image", "object", "embed", "base", "form", "svg svg"):
        assert seen.page.locator(f"css={name}").count() == 0, name
    content = seen.page.content()
    links = re.findall(r'\s(?:href|src|action|xlink:href)="([^"]*)"', re.sub(r">[^<]*<", "><", content))
    assert links and all(re.match("#|data:application/json;base64,", link) for link in links)
    assert not re.search("[\x1b\x9b\u202e\u2066\u200b]", content)
    text = seen.page.locator("body").inner_text()
    assert "<script>" in text and "⟨U+202E⟩" in text and "⟨ESC⟩" in text and "javascript:" in text


def test_the_instrument_sees_scripts_fetches_and_messages(visit: Any, tmp_path: Path) -> None:
    """The same questions put to a page that fails them."""
    path = tmp_path / "bad.html"
    script = "<script>document.documentElement.setAttribute('data-pwned','1'); console.error('x'); nothing.y()</script>"
    path.write_text(f'<!doctype html><body>{script}<img src="{ELSEWHERE}/img"></body>', encoding="utf-8")
    seen = visit(path)
    seen.page.wait_for_load_state("load")
    assert seen.page.evaluate(PWNED) == "1"
    assert f"{ELSEWHERE}/img" in seen.requests
    assert "x" in seen.console and len(seen.errors) == 1


def test_an_injected_script_would_be_refused(visit: Any, tmp_path: Path) -> None:
    """Should escaping ever fail, the policy still stops scripts and requests."""
    html = page.build(make_run(tmp_path / "runs"))
    bad = (
        "<script>document.documentElement.setAttribute('data-pwned','1')</script>"
        f"<img src='{ELSEWHERE}/img' onerror=\"document.documentElement.setAttribute('data-pwned','2')\"></main>"
    )
    path = tmp_path / "injected.html"
    path.write_text(html.replace("</main>", bad), encoding="utf-8")
    seen = visit(path)
    assert seen.page.locator("script").count() == 1 and seen.page.locator("img").count() == 1
    assert seen.page.evaluate(PWNED) is None
    assert seen.requests == [path.as_uri()]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["large", "hostile"])
def test_nothing_is_wider_than_the_screen(
    visit: Any, request: pytest.FixtureRequest, name: str, width: int, dark: bool
) -> None:
    path = request.getfixturevalue(name)
    seen = visit(path, width=width, dark=dark)
    seen.page.evaluate("for (const e of document.querySelectorAll('details')) e.open = true")
    assert seen.page.evaluate(WIDTH) == width
    seen.quiet(path)
    weight = "getComputedStyle(document.querySelector('h1')).fontWeight"
    assert seen.page.evaluate(weight) == "650", "the stylesheet was refused by the page's own policy"
    light = seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light is not dark


def test_every_figure_has_words_for_those_who_do_not_see_it(visit: Any, large: Path) -> None:
    page = visit(large).page
    images = page.get_by_role("img").all()
    assert len(images) >= 18
    named = page.evaluate(
        """[...document.querySelectorAll('svg[role=img]')].map(e => e.getAttribute('aria-labelledby').split(' ')
        .map(id => document.getElementById(id).textContent.length))"""
    )
    assert all(title > 5 and text > 20 for title, text in named)


def test_the_filters_work_from_the_keyboard_and_without_script(visit: Any, large: Path) -> None:
    page = visit(large).page
    whole = page.evaluate(HIDDEN)
    page.locator("#flip-all").focus()
    shown = []
    for _ in range(page.locator(".filter > input").count() - 1):
        page.keyboard.press("ArrowRight")
        shown.append(page.evaluate(HIDDEN))
    assert whole > 0 and all(0 < count < whole for count in shown), (whole, shown)
    still = visit(large, script=False).page
    still.locator("label[for=flip-gained]").click()
    visible = [article.is_visible() for article in still.locator(".problems > article").all()]
    assert 0 < sum(visible) < len(visible)
    assert still.locator("#figure-training svg").first.is_visible()


def test_keys_reach_every_control(visit: Any, large: Path) -> None:
    page = visit(large).page
    reached = set()
    for _ in range(260):
        page.keyboard.press("Tab")
        found = page.evaluate("(e => e.id || e.className || e.tagName)(document.activeElement)")
        reached.add(str(found))
        if found == "button":
            break
    assert "skip" in reached and "button" in reached and "SUMMARY" in reached
    assert any(name.startswith("flip-") for name in reached)


def test_a_link_to_a_flipped_problem_shows_it_in_spite_of_the_filter(visit: Any, large: Path) -> None:
    page = visit(large).page
    page.locator("label[for=flip-right]").click()
    page.evaluate("for (const e of document.querySelectorAll('#flips details')) e.open = true")
    link = page.locator("#flips a").first
    target = page.locator(link.get_attribute("href"))
    assert not target.is_visible()
    link.click()
    assert target.is_visible()
