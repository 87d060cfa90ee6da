from __future__ import annotations

import re
from pathlib import Path

import pytest

from oneshot.measure.claims import CLAIMS, claims
from oneshot.record import RunFolder
from oneshot.report import page
from oneshot.report.answer import TITLES
from oneshot.report.gather import gather
from oneshot.report.limits import limits
from tests.unit.report.large import make_large
from tests.unit.report.runs import make_run
from tests.unit.report.test_page import Page


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, RunFolder]:
    root = tmp_path_factory.mktemp("large")
    return make_large(root / "a"), make_large(root / "b", control="shuffled", steps=200)


def test_exactly_five_badges_in_their_order(large: tuple[RunFolder, RunFolder]) -> None:
    run, control = large
    html = page.build(run, control=control)
    (part,) = re.findall(r'<ul class="claims">(.*?)</ul>', html, re.DOTALL)
    assert re.findall(r"<strong>(.*?)</strong>", part) == list(TITLES.values())
    assert tuple(TITLES) == CLAIMS
    words = [found.badge for found in claims(run, control, task="heldout")]
    shown = re.findall(r'<span class="badge [a-z-]+"><span aria-hidden="true">.</span> (.*?)</span>\n', part)
    scope = " <small>in this run</small>"
    assert shown == [word + scope * (word in ("supported", "harmed")) for word in words] and scope in part
    assert html.count("<h1") == 1


def test_the_control_arm_stands_beside_the_gain(large: tuple[RunFolder, RunFolder]) -> None:
    run, control = large
    html = page.build(run, control=control)
    text = Page(html).text
    own, other = gather(run), gather(control)
    gain, beside = own.summary["paired"]["estimate"], other.summary["paired"]["estimate"]
    assert f"Difference +{100 * gain:.1f} points" in text
    assert f"Control arm’s difference +{100 * beside:.1f} points" in text
    assert "not known" not in text
    assert f"Control arm: shuffled rewards, run {control.path.name}" in text
    assert html.count('class="control"') >= 9  # a diamond in every row of the dumbbells, a curve in the first figure


def test_every_section_of_a_full_run_has_its_figure(large: tuple[RunFolder, RunFolder]) -> None:
    html = page.build(large[0], control=large[1])
    found = set(re.findall(r'id="figure-([\w-]+)"', html))
    assert {"training", "changes", "outcomes", "transfer", "tasks", "map", "pass", "selection", "small-drift"} <= found
    assert {"small-entropy", "small-signal", "small-reflection", "small-boxed", "small-distance"} <= found
    assert "saturated at step" in html and 'class="saved"' in html
    assert len(re.findall('role="img"', html)) == len(re.findall("<desc", html)) > len(found)
    assert not re.search(r"<desc[^>]*></desc>", html)
    assert 'id="flip-long"' in html and 'class="reflect"' in html and 'class="differs"' in html
    assert len(html.encode()) < page.MOST_BYTES


def test_small_charts_share_their_axis(large: tuple[RunFolder, RunFolder]) -> None:
    html = page.build(large[0])
    charts = re.findall(r'<svg viewBox="0 0 260 150".*?</svg>', html, re.DOTALL)
    labels = {tuple(re.findall(r'text-anchor="middle">([\d.]+)<', chart)) for chart in charts}
    assert labels == {("0", "50", "100", "150", "200")}


def test_a_control_arm_never_reads_like_a_normal_run(tmp_path: Path) -> None:
    html = page.build(make_run(tmp_path, control="shuffled"))
    text = Page(html).text
    assert "Control arm: shuffled rewards" in text and "This is not a normal run." in text
    assert "Control arm. In this run the model learned" in text
    assert '<body class="arm">' in html
    assert "This run is a control arm: whatever it gained" in text
    assert "Control arm’s difference" not in text  # it has none of its own
    assert "<body>" in page.build(make_run(tmp_path / "b"))


def test_a_control_arm_of_a_later_version_is_marked_too(tmp_path: Path) -> None:
    text = Page(page.build(make_run(tmp_path, control="sorcery"))).text
    assert "Control arm: sorcery" in text and "This is not a normal run." in text


def test_limits_write_themselves(large: tuple[RunFolder, RunFolder]) -> None:
    said = "\n".join(limits(gather(*large)))
    for words in (
        "The main comparison rests on 280 problems: one problem is 0.36 points.",
        "sums, checkpoint-200 rests on 60 problems: one problem is 1.7 points.",
        "heldout was read at 6 points of the run, so it is no untouched test set",
        "the same number format (float32), response limit (3072), grader (math)",
        "the text after the question (“Think step by step.” in training, none here)",
        "the response limit (512 tokens in training, 3072 here)",
        "the temperature (0.6 in training, greedy here)",
        "The control arm is compared at equal steps.",
        "One training run",
    ):
        assert words in said, words
    assert "family" not in said


def test_a_model_family_with_a_record_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path, with_summary=False)
    run.write_json("config.json", run.config() | {"model": {"name": "Qwen/Qwen2.5-Math-1.5B"}})
    assert "is of a family that gained on maths benchmarks from random" in "\n".join(limits(gather(run)))


def test_a_live_page_refreshes_and_is_otherwise_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    still, live = page.build(run), page.build(run, live=True)
    assert 'http-equiv="refresh"' not in still
    assert re.sub('<meta http-equiv="refresh" content="\\d+">\n', "", live) == still


def test_the_large_run_is_quick(large: tuple[RunFolder, RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
    import time

    began = time.perf_counter()
    html = page.build(large[0], control=large[1])
    took = time.perf_counter() - began
    with capsys.disabled():
        print(f"\n200 steps, 6 evaluations, control arm: {len(html.encode()):,} bytes in {took:.1f} s")
    assert took < 60  # a guard against hanging, not a measurement
