"""Health rules on the training metrics: before saturation, after it, and where a run learns nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.measure import health
from oneshot.measure.findings import LEVELS, Machine
from oneshot.measure.health_seen import looked_at
from tests.unit.measure.health_runs import CONFIG, examined, make, one, rows


def solved_from(step: int, *, equal: float = 0.95) -> dict[str, float]:
    """Metrics of a step at which the example is solved always."""
    return {"train/accuracy": 1.0, "frac_reward_zero_std": equal} if step >= 0 else {"train/accuracy": 0.4}


def test_a_healthy_run_has_no_warning(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_eval("dev", "base", {}, rows(2, 10))
    run.write_eval("dev", "checkpoint-20", {}, rows(5, 10))
    found = examined(run)
    assert {finding.level for finding in found} <= {"ok", "info"}
    assert not health.broken(found)
    assert [f.rule for f in found if f.level == "ok"] == [
        "state", "success", "signal", "entropy", "cut", "found", "mismatch", "finite", "verifier", "evaluations",
    ]  # fmt: skip
    assert all(finding.level in LEVELS for finding in found)


def test_equal_rewards_after_saturation_are_expected(tmp_path: Path) -> None:
    run = make(tmp_path, lambda step: solved_from(step - 5))
    found = one(run, "signal")
    assert found.level == "info"
    assert "expected after saturation with one example" in found.text
    assert found.numbers["saturated"] == 5
    assert found.numbers["due_at_this_rate"] == 1.0  # all eight of a group are right, always
    assert found.next == ""


def test_equal_rewards_before_saturation_are_a_warning(tmp_path: Path) -> None:
    run = make(tmp_path, lambda step: {"train/accuracy": 0.03125, "frac_reward_zero_std": 0.95})
    found = one(run, "signal")
    assert found.level == "warn"
    assert found.numbers["due_at_this_rate"] == pytest.approx(0.03125**8 + 0.96875**8)
    assert found.next == "oneshot train --data 'one file.jsonl' --answer 5 --rollout.group-size 16"


def test_equal_rewards_on_the_way_into_saturation_are_no_warning(tmp_path: Path) -> None:
    run = make(tmp_path, lambda step: {"train/accuracy": 0.96875, "frac_reward_zero_std": 0.95}, steps=6)
    assert one(run, "signal").level == "info"
    assert one(run, "saturation").level == "info"  # six steps cannot show it
    assert "takes 10 solved ones" in one(run, "saturation").text


def test_a_control_arm_is_not_judged_by_its_rewards(tmp_path: Path) -> None:
    run = make(
        tmp_path, lambda step: {"train/accuracy": 0.0, "frac_reward_zero_std": 1.0}, reward={"control": "random"}
    )
    found = examined(run)
    assert "signal" not in {finding.rule for finding in found}
    assert "arm" not in {finding.rule for finding in found}
    assert one(run, "control").text.startswith("control arm: random rewards")
    assert one(run, "success").level == "info"


@pytest.mark.parametrize(
    ("base", "level", "said"),
    [
        ({"value": 0.2, "ci_low": 0.1, "ci_high": 0.4, "n": 32}, "bad", "at least 10.0% were due"),
        ({"value": 0.0, "ci_low": 0.0, "ci_high": 0.1, "n": 32}, "warn", "nothing to reinforce yet"),
        ({"value": 0.02, "ci_low": 0.001, "ci_high": 0.1, "n": 32}, "warn", "lower bound of 0.1% allows"),
        (None, "warn", "nothing to reinforce yet"),
    ],
)
def test_no_success_is_judged_by_the_base_rate(
    tmp_path: Path, base: dict[str, float] | None, level: str, said: str
) -> None:
    run = make(tmp_path, lambda step: {"train/accuracy": 0.0})
    if base:
        run.event("preflight", **base)
    found = one(run, "success")
    assert (found.level, found.numbers["samples"]) == (level, 640)
    assert said in found.text
    assert found.next == f"oneshot rollouts {run.path} --step last"


def test_recorded_responses_saturate_nothing(tmp_path: Path) -> None:
    """The arm rft samples nothing: its training accuracy is 1 by construction."""
    run = make(tmp_path, lambda step: {"train/accuracy": 1.0}, reward={"control": "rft"})
    found = one(run, "saturation")
    assert "saturated at" not in found.text and "recorded responses of the base model" in found.text
    assert not [each for each in examined(run) if each.rule == "success"]
    assert looked_at(run, Machine(now=0.0))[0].saturated is None


def test_no_success_in_a_pool_breaks_nothing(tmp_path: Path) -> None:
    run = make(tmp_path, lambda step: {"train/accuracy": 0.0}, examples=5)
    run.event("preflight", value=0.2, ci_low=0.1, ci_high=0.4, n=32)
    assert one(run, "success").level == "warn"


def test_entropy_on_its_way_to_the_floor(tmp_path: Path) -> None:
    run = make(tmp_path, lambda step: {"entropy": 0.61 - 0.02 * step}, steps=20, optim={"steps": 100})
    found = one(run, "entropy")
    assert found.level == "warn"
    assert found.numbers["slope"] == pytest.approx(-0.02)
    # The mean of the last three is 0.25, at step 19: (0.25 - 0.01) / 0.02 = 12 steps more.
    assert found.numbers["floor_at"] == 31
    assert "is reached at step 31" in found.text
    assert found.next.endswith("--algorithm.entropy 0.004")


def test_entropy_that_falls_a_little_is_well(tmp_path: Path) -> None:
    assert one(make(tmp_path, lambda step: {"entropy": 0.6 - 0.002 * step}), "entropy").level == "ok"
    # It would be reached after the last step of the run.
    slow = make(tmp_path / "slow", lambda step: {"entropy": 0.61 - 0.02 * step}, steps=20)
    assert one(slow, "entropy").level == "ok"


@pytest.mark.parametrize(
    ("curve", "said"), [(lambda step: 0.004, "nearly the same"), (lambda step: 0.5 + 0.2 * step, "dissolve into noise")]
)
def test_entropy_at_the_floor_and_entropy_that_runs_away(tmp_path: Path, curve: object, said: str) -> None:
    assert callable(curve)
    found = one(make(tmp_path, lambda step: {"entropy": curve(step)}), "entropy")
    assert found.level == "warn"
    assert said in found.text


def test_entropy_of_an_arm_that_trains_it_is_no_warning(tmp_path: Path) -> None:
    run = make(tmp_path, lambda step: {"entropy": 0.002}, reward={"control": "confidence"})
    assert one(run, "entropy").level == "info"


@pytest.mark.parametrize(("share", "level"), [(0.3, "ok"), (0.31, "warn"), (0.96, "bad")])
def test_responses_that_are_cut(tmp_path: Path, share: float, level: str) -> None:
    found = one(make(tmp_path, lambda step: {"completions/clipped_ratio": share}), "cut")
    assert found.level == level
    assert (found.next != "") == (share > 0.3)
    assert found.next.endswith("--rollout.max-new-tokens 128") or level == "ok"


def test_the_first_steps_alone_break_nothing(tmp_path: Path) -> None:
    run = make(tmp_path, lambda step: {"completions/clipped_ratio": 1.0, "found": 0.0}, steps=2, state="running")
    assert {one(run, "cut").level, one(run, "found").level} == {"warn"}


@pytest.mark.parametrize(("share", "level"), [(0.5, "ok"), (0.4, "warn"), (0.0, "bad")])
def test_responses_without_an_answer(tmp_path: Path, share: float, level: str) -> None:
    assert one(make(tmp_path, lambda step: {"found": share}), "found").level == level


def test_the_gap_is_held_against_the_preflights_limit(tmp_path: Path) -> None:
    run = make(tmp_path, lambda step: {"mismatch/logprob": 0.005})
    assert one(run, "mismatch").level == "ok"  # 0.02 where nothing was recorded
    run.event("preflight", gap={"mean": 0.0, "max": 0.0, "tokens": 9, "limit": 0.001})
    assert one(run, "mismatch").level == "warn"


@pytest.mark.parametrize(("dropped", "level"), [((), "ok"), ((3, 9), "warn"), ((17, 18, 19), "bad")])
def test_updates_that_were_dropped(tmp_path: Path, dropped: tuple[int, ...], level: str) -> None:
    found = one(make(tmp_path, lambda step: {"dropped": float(step in dropped)}), "finite")
    assert (found.level, found.numbers["dropped"]) == (level, len(dropped))
    assert (found.next.endswith("--optim.lr 5e-06")) == bool(dropped)


@pytest.mark.parametrize(
    ("first", "last", "level", "said"),
    [
        (10, 70, "ok", "held-out still rose: +60.0 points"),
        (70, 10, "warn", "held-out fell: -60.0 points"),
        (40, 40, "info", "no change of held-out is shown: +0.0 points"),
    ],
)
def test_what_held_out_did_after_saturation(tmp_path: Path, first: int, last: int, level: str, said: str) -> None:
    run = make(tmp_path, solved_from, steps=20)
    run.write_eval("dev", "base", {}, rows(5, 100))
    for step in (3, 6, 9, 12, 15, 18):
        run.write_eval("dev", f"checkpoint-{step}", {}, rows(first if step < 10 else last, 100))
    found = one(run, "saturation")
    assert (found.level, found.numbers["step"], found.numbers["evaluations"]) == (level, 0, 6)
    assert said in found.text


def test_too_few_readings_after_saturation_test_nothing(tmp_path: Path) -> None:
    run = make(tmp_path, solved_from)
    found = one(run, "saturation")
    assert found.level == "info"
    assert "not tested" in found.text


def test_rules_say_nothing_of_what_was_not_recorded(tmp_path: Path) -> None:
    run = make(tmp_path, steps=0, state="running")
    run.step(0, {"loss": 0.1}, [])
    told = {finding.rule for finding in examined(run)}
    assert told == {"state", "finite", "evaluations", "arm", "disk"}
    assert CONFIG["optim"]["steps"] == 20
