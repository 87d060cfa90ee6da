"""A run beside its control arm: the fifth claim, why there is none, and the line that makes one."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from oneshot.cli.options import parse, request
from oneshot.config.load import to_dict
from oneshot.config.schema import Config
from oneshot.measure.control_line import control_line, eval_line, settings_line
from oneshot.measure.run_facts import read
from oneshot.measure.statistics import bonett_price
from oneshot.record import RunFolder
from oneshot.types import Problem
from tests.unit.measure.claimed import BASE, KINDS, run_of, told
from tests.unit.measure.recorded import new_run, put, rows


def test_beyond_the_control_arm_by_hand(tmp_path: Path) -> None:
    made, arm = run_of(tmp_path, "1" * 40 + "0" * 20), run_of(tmp_path, "1" * 15 + "0" * 45, control="shuffled")
    found = told(made, arm)["beyond_control"]
    assert found.badge == "supported" and found.estimate == pytest.approx(25 / 60)
    assert found.low == bonett_price(25, 0, 60).low and "the control arm shuffled" in found.why
    worse = told(run_of(tmp_path, "0" * 60), arm)["beyond_control"]
    assert worse.badge == "harmed" and "does worse than its control arm" in worse.sentence
    assert "Bonett and Price's interval" in found.why and "bonett-price" not in found.why


def test_the_control_is_read_after_as_many_steps(tmp_path: Path) -> None:
    made, arm = run_of(tmp_path, "1" * 60), run_of(tmp_path, BASE, control="random", step=8)
    put(arm, "quiz", "checkpoint-12", rows("1" * 60, categories=KINDS))
    assert told(made, arm)["beyond_control"].badge == "supported"
    later = run_of(tmp_path, BASE, control="random", step=20)
    assert "the steps differ: 8 here, 20 in the control arm" in told(made, later)["beyond_control"].why


def test_why_a_control_cannot_be_compared(tmp_path: Path) -> None:
    made = run_of(tmp_path, "1" * 60)

    def why(arm: RunFolder | None) -> str:
        found = told(made, arm)["beyond_control"]
        assert (found.badge, found.estimate) == ("not tested", None)
        return found.why

    assert why(None) == "There is no control arm beside this run."
    train, report = told(made)["beyond_control"].tries
    assert train == "oneshot train --data pi1 --control shuffled"
    assert report == f"oneshot report runs/{made.path.name} --with CONTROL_RUN"
    assert "is no control arm" in why(run_of(tmp_path, BASE))
    assert "one folder" in why(made)
    assert "max_new_tokens is 64 and 9" in why(run_of(tmp_path, BASE, control="random", max_new_tokens=9))
    assert "no trained checkpoint evaluated on quiz" in why(new_run(tmp_path, control="random"))
    others = run_of(tmp_path, rows("1" * 60, prefix="z"), control="random")
    assert "holds other problems" in why(others)
    begun = new_run(tmp_path, control="random", weights="v" * 64)
    put(begun, "quiz", "checkpoint-8", rows(BASE, categories=KINDS))
    assert "began with other weights" in why(begun)


def test_a_control_arms_own_claims_say_what_it_is(tmp_path: Path) -> None:
    arm = run_of(tmp_path, "1" * 60, control="shuffled")
    found = told(arm)
    assert all("no normal one (control arm: shuffled rewards)" in claim.sentence for claim in found.values())
    assert "itself a control arm" in found["beyond_control"].why


def config_of(line: str) -> Config:
    words = tuple(shlex.split(line)[1:])
    return request(parse(words), words, {}).config


def test_the_line_of_a_new_run_gives_its_settings_back(tmp_path: Path) -> None:
    config = to_dict(Config())
    config["data"] |= {"source": "pool.jsonl", "curriculum": "x", "curriculum_options": {"reach": 3}}
    config["algorithm"] |= {"policy": 0.0, "entropy": -0.001}
    config["reward"] |= {"control": "confidence"}
    config["evals"] |= {"source": "-odd name.jsonl"}
    line = settings_line(read(new_run(tmp_path, argv=["study", "file.toml"], **config)))
    assert to_dict(config_of(line)) == config


def test_the_line_of_a_control_arm_has_the_runs_settings(tmp_path: Path) -> None:
    config = to_dict(Config()) | {"data": {"source": "builtin", "suffix": "Answer with one number.", "index": -1}}
    config["rollout"] |= {"groups": 3, "dynamic": True}
    config["algorithm"] |= {"options": {"clip_high": 0.3}}
    example = Problem(id="e", prompt="What's 2 + 2?", answer="4", category="add")
    demo = read(new_run(tmp_path, argv=["demo"], examples=[example], **config))
    made = config_of(control_line(demo))
    assert (made.reward.control, made.rollout.groups, made.rollout.dynamic) == ("shuffled", 3, True)
    assert (made.data.example, made.data.answer, made.data.source) == ("What's 2 + 2?", "4", "")
    assert (made.data.suffix, made.evals.tasks) == ("Answer with one number.", "builtin")
    assert made.algorithm.options == {"clip_high": 0.3}
    trained = read(new_run(tmp_path, argv=["/bin/oneshot", "train", "--data", "pi1", "--steps", "3"]))
    assert control_line(trained, "noop") == "oneshot train --data pi1 --steps 3 --control noop"
    assert eval_line(replace(trained, task="gsm8k-ab8e1414")).endswith("--tasks gsm8k")
    assert eval_line(replace(trained, task="builtin-test"), "--forced-box").endswith("--tasks builtin --forced-box")
