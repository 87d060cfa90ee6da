"""`oneshot regrade RUN --grader X`: the recorded responses of a run graded again. Nothing is generated. Loads no torch.

What was recorded stays as it is; what would have changed is written to `regrade/<grader>.json` and printed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from oneshot.config.request import Request
from oneshot.data.prompt_list import prompt_list
from oneshot.data.tasks.task import LOGLIKELIHOOD
from oneshot.errors import DataError, UsageError
from oneshot.measure import gains
from oneshot.measure.pairing import by_problem
from oneshot.measure.scores import accuracy
from oneshot.record import RunFolder
from oneshot.rollout.collect import graded
from oneshot.stages import graders
from oneshot.stages.evals import best
from oneshot.stages.evals.judged import judge
from oneshot.stages.evals.prompted import READ_TO_RUN_ON, ReadToRunOn
from oneshot.stages.evals.regrade_text import text
from oneshot.types import EvalRow, Verdict, Verifier

SCHEMA = "oneshot.regrade/2"
EXAMPLES = 5
"""Flips shown each way, of the rollouts and of every evaluation."""
SAME = 1e-9
"""Rewards that are as close as this are equal."""


@dataclass
class Flips:
    """Verdicts that change, each way, with the first few of them."""

    to_right: int = 0
    to_wrong: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, was: bool, verdict: Verdict, **where: Any) -> None:
        """Count one response; `where` says which it is and holds `extracted_old`."""
        if was == verdict.correct:
            return
        count = self.to_right if verdict.correct else self.to_wrong
        self.to_right += verdict.correct
        self.to_wrong += was
        if count < EXAMPLES:
            now = {"extracted_new": verdict.extracted, "status": verdict.status, "method": verdict.method}
            self.examples.append({"to": "right" if verdict.correct else "wrong", **where, **now})

    def as_dict(self) -> dict[str, Any]:
        """Counts and examples, those that become right first."""
        examples = sorted(self.examples, key=lambda e: bool(e["to"] == "wrong"))
        return {"to_right": self.to_right, "to_wrong": self.to_wrong, "examples": examples}


def main(request: Request) -> int:
    """Grade everything again; a table, or with --json one object, on stdout.

    Raises:
        UsageError: E102 unknown grader, E104 no such run, E106 a damaged file, or nothing recorded to grade.
        DataError: E305 the user's function failed, with step and sample; nothing is written then.
        MachineError: E202 the disk is full.
    """
    (reference,) = request.positional
    run = RunFolder.open(reference, Path(request.config.save.runs))
    verify = graders.build(
        str(request.verb_flags.get("grader", graders.DEFAULT)), timeout=request.config.reward.timeout
    )  # fmt: skip
    steps, evals = run.rollout_steps(), run.evals()
    if not steps and not evals:
        raise UsageError(f"{run.path} holds neither rollouts nor evaluations.", code="E106", tries=("oneshot train",))
    try:
        body = {
            "schema": SCHEMA,
            **graders.described(verify),
            "was": run.config().get("reward", {}).get("name", ""),
            "rollouts": rollouts(run, verify, steps),
            "evals": evaluations(run, verify, evals),
            "left_out": likelihoods(run, evals),
        }
    except DataError as error:
        kept = "Nothing was written."
        raise DataError(error.message, code=error.code, tries=error.tries, kept=kept) from error
    path = run.write_regrade(verify.name, body)
    if request.json:
        print(json.dumps({**body, "run": str(run.path), "path": str(path)}))
    else:
        print(f"{text(body)}\n{path}")
    return 0


def rollouts(run: RunFolder, verify: Verifier, steps: Sequence[int]) -> dict[str, Any]:
    """Every recorded step: accuracy then and now, flips, statuses, and groups whose advantages would differ."""
    flips, statuses, found = Flips(), Counter[str](), []
    for step in steps:
        rows = run.rollouts(step)
        groups: dict[int, list[tuple[float, float]]] = {}
        was = now = 0
        for row in rows:
            where = {"step": step, "group": row["group"], "sample": row["sample"]}
            verdict = graded(
                verify, row["text"], row["answer"], "step {step}, group {group}, sample {sample}".format(**where)
            )
            old = bool(row["reward"] > 0 if row.get("correct") is None else row["correct"])
            was, now = was + old, now + verdict.correct
            statuses[verdict.status] += 1
            flips.add(old, verdict, **where, reference=row["answer"], extracted_old=row["extracted"])
            reward = float(verdict.correct) if verdict.score is None else verdict.score
            # What the grader said, not what was paid: a control arm pays for something else.
            said = row["reward"] if row.get("correct") is None else row.get("score", float(old))
            groups.setdefault(row["group"], []).append((said, reward))
        changed = sum(differs(pairs) for pairs in groups.values())
        shares = {"old": was / len(rows), "new": now / len(rows)} if rows else {"old": None, "new": None}
        found.append({"step": step, "n": len(rows), **shares, "groups": len(groups), "groups_changed": changed})
    return {
        "steps": found,
        "responses": sum(row["n"] for row in found),
        "groups": sum(row["groups"] for row in found),
        "groups_changed": sum(row["groups_changed"] for row in found),
        "statuses": dict(statuses.most_common()),
        **flips.as_dict(),
    }


def differs(pairs: Sequence[tuple[float, float]]) -> bool:
    """Whether a group's advantages differ between two sets of rewards: whether the rewards minus their mean do.

    A group that was all wrong and is all right now has the same advantages, namely none. (Advantages divided by the
    group's deviation also stay the same when all differences grow by one factor; such a group is counted here.)
    """
    old, new = ([pair[i] - sum(p[i] for p in pairs) / len(pairs) for pair in pairs] for i in (0, 1))
    return any(abs(a - b) > SAME for a, b in zip(old, new, strict=True))


def evaluations(run: RunFolder, verify: Verifier, keys: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Every recorded evaluation: accuracy then and now with intervals; behind `base` also the paired differences.

    The differences then are one table, and those now another: p is adjusted over each.

    Compared likelihoods are passed over: no response was graded there. Responses to a prompt that is a plain text are
    read up to where they run on, as they were when they were measured.
    """
    found, base = list[dict[str, Any]](), dict[str, tuple[list[EvalRow], list[EvalRow]]]()
    room: dict[str, dict[str, bool]] = {}
    for task, checkpoint in keys:
        results, old = run.read_eval(task, checkpoint)
        if _kind(results) == LOGLIKELIHOOD:
            continue
        by = ReadToRunOn(verify) if _runs_on(checkpoint, results) else verify
        flips, statuses, new = Flips(), Counter[str](), []
        for row in old:
            verdict = graded(by, row.response, row.answer, f"{task}, {checkpoint}, problem {row.id!r}")
            flips.add(
                row.correct, verdict, id=row.id, sample=row.sample, reference=row.answer, extracted_old=row.extracted
            )
            statuses[verdict.status] += 1
            new.append(replace(row, correct=verdict.correct, extracted=verdict.extracted))
        entry: dict[str, Any] = {"task": task, "checkpoint": checkpoint, "n": len(by_problem(old))}
        entry |= {"responses": len(old), "read_to_run_on": by is not verify}
        entry |= {"grader": results.get("protocol", {}).get("grader", "")}
        entry |= {"old": _share(old), "new": _share(new), "statuses": dict(statuses.most_common()), **flips.as_dict()}
        if checkpoint == "base":
            base[task] = (old, new)
            floor = float(results.get("floor") or 0.0)
            shares = {name: entry[name] for name in ("old", "new")}
            room[task] = {name: not s["ci_low"] <= floor <= s["ci_high"] for name, s in shares.items()}
        elif task in base and old:
            pairs = zip(("old", "new"), base[task], (old, new), strict=True)
            entry["paired"] = {name: gains.paired(before, after).as_dict() for name, before, after in pairs}
        found.append(entry)
    for name in ("old", "new"):
        judge([(entry["paired"][name], room[entry["task"]][name]) for entry in found if "paired" in entry])
    return found


def likelihoods(run: RunFolder, keys: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """The evaluations that no grader can grade again: those that compared likelihoods."""
    return [
        {"task": task, "checkpoint": checkpoint, "why": "likelihoods were compared, and no response was graded"}
        for task, checkpoint in keys
        if _kind(best.results(run, task, checkpoint)) == LOGLIKELIHOOD
    ]


def _kind(results: Mapping[str, Any]) -> str:
    return str((results.get("protocol") or {}).get("kind", ""))


def _runs_on(checkpoint: str, results: Mapping[str, Any]) -> bool:
    """Whether the responses answer a text that goes on; where it is not recorded, by the name of the prompt."""
    data = (results.get("protocol") or {}).get("data") or {}
    plain = {f"prompt-{prompt.name}" for prompt in prompt_list(suffix="", system="") if not prompt.chat}
    return bool(data.get(READ_TO_RUN_ON)) or checkpoint.partition("+")[2] in plain


def _share(rows: Sequence[EvalRow]) -> dict[str, Any]:
    """avg@k over problems with its interval, as `oneshot eval` has it."""
    found = accuracy(by_problem(rows))
    value = found.estimate if rows else None
    return {"correct": sum(row.correct for row in rows), "value": value, "ci_low": found.low, "ci_high": found.high}
