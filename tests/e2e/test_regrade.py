"""`oneshot regrade` on a finished run: what another grader would have said, and that nothing recorded is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from oneshot.record import RunFolder
from oneshot.stages import graders
from oneshot.types import Verdict
from tests.e2e.conftest import OneShot, one_in, write_pool


@pytest.fixture
def run(train: OneShot, tmp_path: Path, graded: Callable[..., None]) -> RunFolder:
    """Two steps of 2 groups x 4 and evaluations of 6 problems, graded right for one response in two."""
    graded(one_in(2))
    pool = write_pool(tmp_path / "held.jsonl", [{"prompt": f"{i} + 1?", "answer": str(i + 1)} for i in range(6)])
    return train("--steps", "2", "--allow-unsolved", "--yes", "--evals.source", pool).run


def files(run: RunFolder) -> dict[str, bytes]:
    return {str(p.relative_to(run.path)): p.read_bytes() for p in run.path.rglob("*") if p.is_file()}


def test_the_same_grader_changes_nothing(run: RunFolder, oneshot: OneShot) -> None:
    before = files(run)
    told = oneshot("regrade", "latest", "--grader", "number", "--json")
    assert told.code == 0, told.err
    found = told.json
    assert (found["schema"], found["grader"], found["was"]) == ("oneshot.regrade/2", "number", "number")
    rolled = found["rollouts"]
    assert (rolled["responses"], rolled["groups"], len(rolled["steps"])) == (16, 4, 2)
    assert (rolled["to_right"], rolled["to_wrong"], rolled["groups_changed"], rolled["examples"]) == (0, 0, 0, [])
    assert [row["old"] for row in rolled["steps"]] == [row["train/accuracy"] for row in run.metrics()]
    assert all(row["old"] == row["new"] for row in rolled["steps"])
    assert [(e["task"], e["checkpoint"], e["n"]) for e in found["evals"]] == [
        ("held", "base", 6),
        ("held", "checkpoint-2", 6),
    ]
    assert found["evals"][0]["old"]["value"] == run.read_eval("held", "base")[0]["value"]
    assert found["evals"][1]["paired"]["old"] == found["evals"][1]["paired"]["new"]
    after = files(run)
    assert after.keys() - before.keys() == {"regrade/number.json"}
    assert {name: after[name] for name in before} == before
    stored = json.loads(after["regrade/number.json"])
    assert stored == {key: value for key, value in found.items() if key not in ("run", "path")}


def test_a_grader_that_says_the_opposite(run: RunFolder, oneshot: OneShot, graded: Callable[..., None]) -> None:
    right = one_in(2)
    graded(lambda response, reference: not right(response, reference))
    found = oneshot("regrade", run.path, "--grader", "exact", "--json").json
    rolled = found["rollouts"]
    assert rolled["to_right"] + rolled["to_wrong"] == 16
    assert [row["new"] for row in rolled["steps"]] == [1 - row["old"] for row in rolled["steps"]]
    mixed = sum(len({c.reward for c in g.completions}) > 1 for step in (0, 1) for g in run.read_groups(step))
    assert rolled["groups_changed"] == mixed  # an all-wrong group that is all right now has the same advantages: none
    flip = rolled["examples"][0]
    assert flip["to"] == "right"
    assert {"step", "group", "sample", "reference", "extracted_old", "extracted_new", "status"} <= flip.keys()
    assert sum(e["to"] == "right" for e in rolled["examples"]) <= 5
    for entry in found["evals"]:
        assert entry["new"]["correct"] == 6 - entry["old"]["correct"]
        assert entry["new"]["ci_low"] <= entry["new"]["value"] <= entry["new"]["ci_high"]
    pair = found["evals"][1]["paired"]
    assert pair["new"]["estimate"] == pytest.approx(-pair["old"]["estimate"])
    told = oneshot("regrade", run.path, "--grader", "exact")
    lines = told.out.splitlines()
    assert lines[0] == "graded again with exact (the reward was number)"
    assert lines[1].startswith("rollouts: 16 responses of 2 steps; ")
    assert lines[1].endswith(f"{mixed} of 4 groups would have had other advantages")
    assert lines[-1] == str(run.path / "regrade" / "exact.json")
    assert any(line.startswith("held, checkpoint-2: ") for line in lines)


class Scores:
    """A user's function: half the reward for everything; raises on one response."""

    name, fatal, convention = "my/reward.py:score", True, "TRL"

    def __init__(self, fails: str = "") -> None:
        self.fails = fails

    def __call__(self, response: str, reference: str) -> Verdict:
        status, message = ("error", "raised") if response == self.fails else ("ok", "")
        return Verdict(
            correct=False, extracted=None, method="TRL", score=0.5, status=status, message=message
        )  # fmt: skip


def test_a_users_function_and_its_file_name(run: RunFolder, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graders, "build_verifier", lambda name, timeout: Scores())
    found = oneshot("regrade", run.path, "--grader", "my/reward.py:score", "--json").json
    assert found["convention"] == "TRL"
    path = Path(found["path"])
    assert path.parent == run.path / "regrade"
    assert path.name.startswith("my-reward.py-score-")
    assert all(row["new"] == 0 for row in found["rollouts"]["steps"])


def test_a_function_that_fails_writes_nothing(
    run: RunFolder, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = run.rollouts(1)[5]
    monkeypatch.setattr(graders, "build_verifier", lambda name, timeout: Scores(fails=third["text"]))
    before = files(run)
    told = oneshot("regrade", run.path, "--grader", "my/reward.py:score")
    assert (told.code, told.out) == (4, "")
    assert "E305 the reward failed at step " in told.err
    assert "Nothing was written." in told.err
    assert files(run) == before


def test_wrong_requests(oneshot: OneShot, tmp_path: Path) -> None:
    for words, code in ((("regrade",), "E103"), (("regrade", "nope"), "E104"), (("regrade", "latest"), "E104")):
        told = oneshot(*words)
        assert (told.code, told.err[:4]) == (2, code)
    RunFolder.create(Path("runs"), "x", {}, [])
    assert "holds neither rollouts nor evaluations" in oneshot("regrade", "latest").err
