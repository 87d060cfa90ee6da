"""Every instrument on a run folder whose answers are known, and on folders that lack nearly everything."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.measure.checkpoints import after_saturation_of
from oneshot.measure.instruments import instruments
from oneshot.measure.statistics import wilson
from oneshot.measure.training_text import MOST_RESPONSES, MOST_STEPS, chosen_steps
from oneshot.record import RunFolder
from oneshot.types import Problem
from tests.unit.measure.recorded import EXAMPLE, new_run, put, rows, steps, visits

RIGHT = [2, 8, 12, *[16] * 17]
"""Of 16 samples a step: steps 3 to 12 are the first ten whose lower bound reaches 95 %."""
KINDS = ("add", "mul", "sub")
BASE, LAST = "0l1000000000", "110110100000"
TEXTS = {0: ["I recheck.", "so 2"], 1: ["2", "2"], 2: [r"\boxed{2}", "Recalculate. Recalculate!", "2", "so so " * 20]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = new_run(tmp_path_factory.mktemp("runs"), evals={"drift": True})
    steps(made, RIGHT, texts=TEXTS)
    put(made, "dev", "base", rows("0" * 12))
    for place, step in enumerate(range(2, 20, 2)):  # eight after step 3: 4 to 18
        put(made, "dev", f"checkpoint-{step}", rows("1" * 4 + "0" * 8 if place < 4 else "1" * 10 + "0" * 2))
    put(made, "quiz-test", "base", rows(BASE, categories=KINDS))
    put(made, "quiz-test", "checkpoint-18", rows(LAST, categories=KINDS, text="Rechecking: 2"))
    made.write_drift({"checkpoint": "checkpoint-2", "step": 2, "kl": 0.01, "kl_se": 0.001})
    made.write_transfer_map(
        {"samples": 4, "categories": {kind: {"cosine": c} for kind, c in zip(KINDS, (0.9, 0.1, 0.2), strict=True)}}
    )
    return made


@pytest.fixture(scope="module")
def found(run: RunFolder) -> Mapping[str, Any]:
    return instruments(run)


def test_saturation_and_the_gain_after_it(run: RunFolder, found: Mapping[str, Any]) -> None:
    assert found["saturation"]["step"] == 3
    assert found["saturation"]["rate"]["ci_low"] == wilson(160, 160).low
    gain = found["post_saturation"]
    # Evaluations 4, 6 | 16, 18: six of twelve problems rise from 0 to 1.
    assert (gain["task"], gain["evaluations"], gain["n"], gain["estimate"]) == ("dev", 8, 12, 0.5)
    assert (gain["first"], gain["last"], gain["badge"], gain["scope"]) == ([4, 6], [16, 18], "supported", "in this run")
    alone = after_saturation_of(run)
    assert {"task": "dev", **alone.as_dict()} == gain


def test_reflection_of_checkpoints_and_of_training(found: Mapping[str, Any]) -> None:
    reflection = found["reflection"]
    assert (reflection["task"], len(reflection["checkpoints"])) == ("dev", 10)
    assert {each["with_words"] for each in reflection["checkpoints"]} == {0}
    assert reflection["checkpoints"][0]["ci_high"] == wilson(0, 12).high
    training = reflection["training"]
    assert training["share"][:4] == [[0, 0.5], [1, 0.0], [2, 0.25], [3, 0.0]]
    assert training["per_1000_tokens"][:3] == [[0, 50.0], [1, 0.0], [2, 50.0]]  # 1 in 20 and 2 in 40 tokens
    assert training["by_word"]["recalculate"] == {"responses": 1, "count": 2}


def test_words_of_ones_own(run: RunFolder) -> None:
    own = instruments(run, words=["so"])["reflection"]
    assert own["words"] == ["so"] and own["training"]["share"][:2] == [[0, 0.5], [1, 0.0]]
    assert instruments(run, words=())["reflection"]["checkpoints"] == []


def test_dynamics_of_training_and_of_held_out_responses(found: Mapping[str, Any]) -> None:
    dynamics = found["dynamics"]
    assert dynamics["accuracy"][:3] == [[0, 0.125], [1, 0.5], [2, 0.75]]
    assert dynamics["signal"][0] == [0, 0.875] and dynamics["entropy"][1] == [1, 0.5]
    assert dynamics["boxed"][:3] == [[0, 0.0], [1, 0.0], [2, 0.25]]
    assert dynamics["repeated"][:3] == [[0, 0.0], [1, 0.0], [2, 0.25]]
    assert dynamics["kl"] == [] and any("kl" in sentence for sentence in found["missing"])
    assert found["held_out"]["accuracy"][:3] == [[0, 0.0], [2, 4 / 12], [4, 4 / 12]]
    assert found["held_out"]["length"][0] == [0, 10]


def test_the_last_checkpoint_against_the_base(found: Mapping[str, Any]) -> None:
    assert (found["task"], found["checkpoint"]) == ("quiz-test", "checkpoint-18")
    assert found["flips"]["gained"] == ["p0", "p3", "p4", "p6"] and found["flips"]["lost"] == ["p2"]
    categories = found["transfer"]["categories"]
    assert {name: row["estimate"] for name, row in categories.items()} == {"add": 0.75, "mul": 0.25, "sub": -0.25}
    assert [name for name, row in categories.items() if row["own"]] == ["add"]
    seen = found["transfer_map"]["categories"]
    assert seen["add"]["cosine"] == 0.9 and found["transfer_map"]["rank_correlation"] == pytest.approx(0.5)
    assert found["drift"] == [{"checkpoint": "checkpoint-2", "step": 2, "kl": 0.01, "kl_se": 0.001}]


def test_format_and_the_rest(found: Mapping[str, Any]) -> None:
    form = found["format"]
    # strict: base 1 of 12, trained 5; lenient: base 2, trained 5.
    assert form["gain_total"]["paired"]["estimate"] == pytest.approx(4 / 12)
    assert form["gain_format"]["paired"]["estimate"] == pytest.approx(1 / 12)
    assert form["gain_reasoning"]["paired"]["estimate"] == pytest.approx(3 / 12)
    assert form["gain_reasoning"]["claim"] == "not tested beyond lenient"
    assert (form["problems"], form["n"], form["states"]["trained"]["right"]) == ("held-out problems", 12, 5)


def test_a_control_arm_on_format_and_other_prompts_are_baselines(run: RunFolder, tmp_path: Path) -> None:
    arm = new_run(tmp_path, control="format")
    put(arm, "quiz-test", "base", rows(BASE, categories=KINDS))
    put(arm, "quiz-test", "checkpoint-18", rows("111000000000", categories=KINDS))
    put(run, "quiz-test", "base+icl", rows("110000000000", categories=KINDS))
    put(run, "quiz-test", "base+prompt-plain", rows("1100", categories=KINDS))
    found = instruments(run, control=arm)
    gain = found["format"]["gain_reasoning"]
    assert gain["values"] == pytest.approx({"lenient": 2 / 12, "icl": 2 / 12, "format": 3 / 12})
    assert (gain["against"], gain["missing"]) == ("format", ["forced", "prompt"])
    assert any("base+prompt-plain was asked other problems" in sentence for sentence in found["missing"])


def test_the_papers_checkpoints_on_math500(tmp_path: Path) -> None:
    """Table 15 of the paper, π1 on MATH500: shares with a box, and accuracy by rule."""
    made = new_run(tmp_path)
    table = {0: (298, 180), 20: (418, 269), 60: (487, 349), 500: (483, 352), 1300: (483, 361), 1860: (471, 370)}
    for step, (boxed, right) in table.items():
        graded = rows("1" * right + "0" * (500 - right))
        shown = [replace(row, response=r"\boxed{2}" if i < boxed else "2") for i, row in enumerate(graded)]
        put(made, "math500", f"checkpoint-{step}" if step else "base", shown)
    found = instruments(made)
    assert [share for _, share in found["held_out"]["boxed"]] == [0.596, 0.836, 0.974, 0.966, 0.966, 0.942]
    assert [share for _, share in found["held_out"]["accuracy"]] == [0.36, 0.538, 0.698, 0.704, 0.722, 0.74]
    assert found["post_saturation"]["badge"] == "not tested"


def test_wrong_labels(tmp_path: Path) -> None:
    wrong = replace(EXAMPLE, answer="7", meta={"true_answer": "2"})
    made = new_run(tmp_path, examples=[wrong, replace(EXAMPLE, id="other")], data={"corrupt": 0.5})
    # In the last ten steps, 10 samples each: 3 answer the wrong label 7, 4 the truth, written in two ways.
    visits(made, [(step, EXAMPLE.id, 3, 10, {"7": 3, "2": 3, "2.0": 1}) for step in range(12)])
    found = instruments(made)["labels"]
    assert (found["asked"], found["examples"], found["corrupted"]) == (0.5, 2, 1)
    assert found["on_corrupted"]["label"] == wilson(30, 100).as_dict()
    assert found["on_corrupted"]["true"] == wilson(40, 100).as_dict()
    assert any("train/true_accuracy" in sentence for sentence in instruments(made)["missing"])


def test_a_control_arm_says_what_it_is_and_what_it_paid(tmp_path: Path) -> None:
    made = new_run(tmp_path, control="random")
    steps(made, [4, 5])
    found = instruments(made)
    assert found["label"].startswith("control arm") and found["labels"]["true"] == [[0, 0.25], [1, 0.3125]]


def bare(root: Path) -> RunFolder:
    return RunFolder.create(root, "bare", {}, [])


def dead(root: Path) -> RunFolder:
    return new_run(root)


def unread(root: Path) -> RunFolder:
    made = new_run(root)
    steps(made, [4] * 3)
    return made


def older(root: Path) -> RunFolder:
    """Fewer keys everywhere, as an earlier version may have written them."""
    made = RunFolder.create(root, "older", {"rollout": {"groups": 1, "group_size": 16}, "data": "pi1"}, [])
    lines = [
        {"step": step, "train/accuracy": right / 16, "frac_reward_zero_std": 0.25} for step, right in enumerate(RIGHT)
    ]
    (made.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    (made.path / "example.jsonl").write_text('{"id": "a", "prompt": "?", "answer": "2"}\n', "utf-8")
    folder = made.path / "evals" / "dev" / "base"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text('{"task": "dev", "checkpoint": "base"}', "utf-8")
    (folder / "samples.jsonl.gz").write_bytes(gzip.compress(b'{"id": "a", "correct": true}\n'))
    (made.path / "rollouts").mkdir()
    (made.path / "rollouts" / "step_000000.jsonl.gz").write_bytes(gzip.compress(b'{"step": 0}\n'))
    return made


def damaged(root: Path) -> RunFolder:
    made = new_run(root)
    steps(made, [4] * 3)
    for name in ("metrics.jsonl", "config.json", "history.jsonl", "events.jsonl", "example.jsonl", "drift.jsonl"):
        (made.path / name).write_text("{]\n", "utf-8")
    (made.path / "rollouts" / "step_000001.jsonl.gz").write_bytes(b"no gzip")
    return made


@pytest.mark.parametrize("make", [bare, dead, unread, older, damaged])
def test_what_is_missing_is_said_and_raises_nothing(make: Any, tmp_path: Path) -> None:
    found = instruments(make(tmp_path))
    json.dumps(found, allow_nan=False)
    assert found["missing"] and all(sentence.endswith((".", ")", '"')) for sentence in found["missing"]), found[
        "missing"
    ]
    assert found["post_saturation"]["badge"] == "not tested" and found["post_saturation"]["why"]
    assert found["transfer_map"] is None and found["drift"] == []


def test_an_older_run_still_has_what_it_recorded(tmp_path: Path) -> None:
    found = instruments(older(tmp_path))
    assert found["saturation"]["step"] == 3
    assert found["dynamics"]["signal"][0] == [0, 0.75]
    assert any("dev of base" in sentence for sentence in found["missing"])
    assert any("step 0" in sentence for sentence in found["missing"])


def test_steps_of_an_older_version_have_no_attempt(tmp_path: Path) -> None:
    made = new_run(tmp_path)
    lines = [json.dumps({"step": step, "train/accuracy": 1.0}) for step in range(12)]
    (made.path / "metrics.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    found = instruments(made)
    assert found["saturation"]["step"] == 0 and len(found["dynamics"]["accuracy"]) == 12


def test_a_task_that_was_not_evaluated(run: RunFolder) -> None:
    found = instruments(run, task="gsm8k")
    assert found["task"] == "" and found["flips"] == {}
    assert any(sentence.startswith("gsm8k was not evaluated") for sentence in found["missing"])


@pytest.mark.parametrize(
    ("count", "each", "expected"), [(5, 32, 5), (2000, 1024, 9), (3000, 32, MOST_STEPS), (2, 10**6, 2)]
)
def test_a_long_run_is_read_in_part(count: int, each: int, expected: int) -> None:
    chosen: Sequence[int] = chosen_steps(range(count), each)
    assert len(chosen) == expected and chosen[0] == 0 and chosen[-1] == count - 1
    assert count == expected or len(chosen) * each <= max(MOST_RESPONSES, 2 * each)


def test_several_examples_are_own_categories(tmp_path: Path) -> None:
    made = new_run(tmp_path, examples=[EXAMPLE, Problem(id="b", prompt="?", answer="1", category="mul")])
    put(made, "t", "base", rows("000", categories=KINDS))
    put(made, "t", "checkpoint-1", rows("111", categories=KINDS))
    found = instruments(made)["transfer"]
    assert found["own"] == "add, mul" and [row["own"] for row in found["categories"].values()] == [True, True, False]


def test_no_torch_is_loaded() -> None:
    code = "import sys, oneshot.measure.instruments, oneshot.measure.claims; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
