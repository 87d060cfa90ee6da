"""The limits say a thing once, whoever says it: the summary or the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.report.gather import gather
from oneshot.report.limits import limits
from oneshot.stages.training import summary
from tests.unit.report.runs import make_run

PROTOCOL = {
    "dtype": "float32",
    "prompt": "?",
    "grader": "number",
    "max_new_tokens": 128,
    "temperature": 0.0,
    "samples": 1,
}


def test_checkpoints_are_spoken_of_once(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    told = run.summary()
    told["limits"] = [*summary.limits(told, last_step=12), "A sentence of its own."]
    run.write_json("summary.json", told | {"best_on_dev": {"step": 8, "value": 0.5}})
    for name in ("base", "checkpoint-12"):
        run.write_eval("builtin-test", name, {"protocol": PROTOCOL}, run.read_eval("builtin-test", name)[1])
    said = limits(gather(run))
    assert said[0] == "A sentence of its own." and not set(told["limits"][:4]) & set(said)
    (one,) = [text for text in said if "checkpoint-12" in text or "read with base" in text or "best on" in text]
    assert one == (
        "The model compared is checkpoint-12, the last that was read, whichever was best. builtin-test was read with "
        "base and with this checkpoint alone, so it chose nothing. On the dev set the best one is that of step 8; dev "
        "problems chose it."
    )
    assert sum("one problem is 0.83 points" in text for text in said) == 1
    assert any("the same number format (float32), prompt of the first problem, response limit" in text for text in said)


def test_what_the_page_does_not_say_again_is_kept(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    alike = next(text for text in summary.limits(run.summary(), last_step=12) if "greedily" in text)
    run.write_json("summary.json", run.summary() | {"limits": [alike]})
    assert limits(gather(run))[0] == alike  # no protocol was recorded, so nobody else knows


def test_a_prompt_that_differs_is_quoted_and_short(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for name, prompt in (("base", "a" * 500), ("checkpoint-12", "b")):
        body = {"protocol": {**PROTOCOL, "prompt": prompt}}
        run.write_eval("builtin-test", name, body, run.read_eval("builtin-test", name)[1])
    (text,) = [text for text in limits(gather(run)) if "differ in the prompt of the first problem" in text]
    assert f"(“{'a' * 80}” and “b”)" in text


@pytest.mark.parametrize(
    ("trained", "says"),
    [
        ({"prompts": "a1"}, "measured with the same number format (float32), prompts, response limit (128)"),
        ({"prompts": "b2"}, "differ in the prompts, so not alone in training"),
        ({"prompts": "b2", "prompt": "!"}, "differ in the prompts (“?” and “!”), so not alone in training"),
    ],
)
def test_all_prompts_are_compared_where_both_recorded_them(tmp_path: Path, trained: dict[str, str], says: str) -> None:
    run = make_run(tmp_path)
    for name, own in (("base", {"prompts": "a1"}), ("checkpoint-12", trained)):
        body = {"protocol": {**PROTOCOL, **own}}
        run.write_eval("builtin-test", name, body, run.read_eval("builtin-test", name)[1])
    said = limits(gather(run))
    assert any(says in text for text in said) and not any("prompt of the first problem" in text for text in said)
