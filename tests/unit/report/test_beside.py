"""What sections of the page say of the same thing: lines to paste, the control arm, the sentence and its badge."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path

import pytest

from oneshot._store.files import dumps
from oneshot.cli.options import parse, request
from oneshot.measure.claims import claims
from oneshot.record import RunFolder
from oneshot.report import page
from oneshot.report.gather import gather
from oneshot.report.limits import limits
from oneshot.report.sections import headline
from tests.unit.report.large import make_large
from tests.unit.report.runs import eval_row, make_run
from tests.unit.report.test_page import Page

LINE = re.compile(r"^\s*(oneshot .*?)\s*$", re.MULTILINE)


def lines_of(text: str) -> list[str]:
    """Every command that a page prints."""
    blocks = re.findall(r'<(?:pre class="command"|code[^>]*)>(.*?)</(?:pre|code)>', text, re.DOTALL)
    return [line for block in blocks for line in LINE.findall(html.unescape(re.sub("<[^>]*>", "", block)))]


@pytest.mark.parametrize("make", [make_run, make_large])
def test_every_line_to_paste_is_one_that_the_program_takes(tmp_path: Path, make: object) -> None:
    assert callable(make)
    found = lines_of(page.build(make(tmp_path, steps=10)))
    assert {line.split()[1] for line in found} >= {"train", "report", "eval"} and len(found) >= 6
    for line in found:
        words = tuple(shlex.split(line)[1:])
        request(parse(words), words, {})
    assert not [line for line in found if "config.json" in line]


def test_the_line_that_trains_a_control_arm_stands_once(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    text = page.build(run)
    (train,) = [line for line in lines_of(text) if "--control" in line]
    assert len(claim_lines := re.findall('<code class="try">(.*?)</code>', text, re.DOTALL)) == len(set(claim_lines))
    assert train.startswith("oneshot train ") and html.escape(train, quote=True).replace("&#x27;", "&#39;") in text
    assert str(tmp_path) not in re.sub("<style>.*?</style>", "", text, flags=re.DOTALL)
    assert "bonett-price" not in Page(text).text


def test_the_control_arm_stands_beside_after_as_many_steps(tmp_path: Path) -> None:
    """It was trained for longer: table, claim and limits all read it where the run ended."""
    run, control = make_run(tmp_path / "a"), make_run(tmp_path / "b", control="shuffled")
    rows = control.read_eval("builtin-test", "checkpoint-12")[1]
    wrong = [eval_row(row.id, False, row.category) for row in rows]
    control.write_eval("builtin-test", "checkpoint-24", {}, wrong)
    control.write_json("summary.json", {**control.summary(), "headline": "of step 24", "paired": {"estimate": -1.0}})
    found = gather(run, control).control
    assert found is not None and found.held.checkpoint == "checkpoint-12"
    assert found.summary["paired"]["estimate"] == gather(run).summary["paired"]["estimate"]
    assert "headline" not in found.summary
    assert "The control arm is compared at equal steps. " in "\n".join(limits(gather(run, control)))
    late = make_run(tmp_path / "c", control="shuffled")
    late.eval_dir("builtin-test", "checkpoint-12").rename(late.eval_dir("builtin-test", "checkpoint-20"))
    told = (late.eval_dir("builtin-test", "checkpoint-20") / "results.json").read_text("utf-8")
    (late.eval_dir("builtin-test", "checkpoint-20") / "results.json").write_text(
        told.replace("checkpoint-12", "checkpoint-20"), "utf-8"
    )
    assert "its checkpoint-20 with checkpoint-12 here" in "\n".join(limits(gather(run, late)))


def test_a_run_that_is_no_control_arm_is_nowhere_drawn_as_one(tmp_path: Path) -> None:
    text = page.build(make_run(tmp_path / "a"), control=make_run(tmp_path / "b"))
    assert "is no control arm" in text
    assert "control arm, held-out" not in text and "own, control arm" not in text and "trained control arm" not in text


def test_the_sentence_never_says_more_than_the_badge(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for name in ("base", "checkpoint-12"):  # chance alone reaches what the base does, so nothing was measured
        rows = run.read_eval("builtin-test", name)[1]
        run.write_eval("builtin-test", name, {"floor": 0.2}, rows)
    badges = {claim.name: claim.badge for claim in claims(run)}
    assert badges["held_out"] == "not tested" and run.summary()["paired"]["badge"] == "supported"
    first, others = headline(gather(run))
    assert first.startswith("On 120 held-out problems") and "learned" not in first and others == ""


def test_the_numbers_of_an_older_run_are_of_the_problems_that_the_badge_is_of(tmp_path: Path) -> None:
    """Categories alone make no own kind: the example's category is one of many that are held out."""
    run = make_run(tmp_path, with_summary=False)
    for name in ("base", "checkpoint-12"):
        rows = [eval_row(row.id, row.correct, row.category) for row in run.read_eval("builtin-test", name)[1]]
        run.write_eval("builtin-test", name, {}, rows)
    (held,) = [claim for claim in claims(run) if claim.name == "held_out"]
    paired = gather(run).summary["paired"]
    assert (paired["n"], paired["estimate"]) == (held.n, held.estimate) and held.n > 200


def test_a_run_with_test_tasks_alone_begins_with_them(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, [])
    for name, right in (("base", 2), ("checkpoint-3", 7)):
        run.write_eval("mine", name, {}, [eval_row(str(i), i < right, "") for i in range(10)])
    run.write_json("summary.json", {"headline": "Training accuracy 10.0% to 90.0%; there is no dev set."})
    run.write_status(state="done")
    assert headline(gather(run))[0].startswith("On 10 held-out problems, accuracy went from 20.0")
    run.write_status(state="running")
    assert re.match(r"So far, with checkpoint-\d+, on 10 held-out problems", headline(gather(run))[0])


def test_steps_of_unequal_size_have_bands_of_their_own(tmp_path: Path) -> None:
    run = make_run(tmp_path, steps=2)
    rows = run.metrics()
    lines = [{**row, "rollout/responses": 8 * (i + 1)} for i, row in enumerate(rows)]
    (run.path / "metrics.jsonl").write_text("".join(f"{line}\n" for line in map(dumps, lines)), "utf-8")
    text = Page(page.build(run)).text
    assert "8 to 16 training responses a step" in text and "training responses 24" in text
