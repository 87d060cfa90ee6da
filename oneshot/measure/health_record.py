"""The health rules that read what surrounds training: state, attempts, graders, evaluations, disk."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from oneshot._store.values import section
from oneshot.errors import OneshotError
from oneshot.measure.checkpoints import after_saturation_of
from oneshot.measure.control_line import control_line
from oneshot.measure.findings import RECENT, Finding, Seen, number
from oneshot.measure.run_facts import WRONG_FORM, read
from oneshot.record import RunFolder

DOUBTFUL = ("undecided", "timeout", "memory", "error")
"""Statuses of a verdict that say nothing about the answer; the response counts as wrong."""
MOST_DOUBTFUL = 0.5
"""With a larger share of such verdicts in the last steps the reward is noise."""
SIBLINGS = 200
"""So many other runs are looked at for a control arm."""


def state(seen: Seen) -> Iterator[Finding]:
    """Whether the run goes on, came to its end, or died."""
    heart, resume = seen.heart, f"oneshot train --resume {seen.name}"
    where = f"step {seen.done}" + (f" of {seen.steps}" if seen.steps else "")
    numbers = {"state": heart.state, "step": seen.done, "steps": seen.steps, "age": heart.age}
    level = {"gone": "bad", "failed": "bad", "silent": "warn", "stopped": "warn", "unknown": "warn"}.get(heart.state)
    text = f"{heart.sentence()}; {where}"
    line = resume if heart.state in ("gone", "failed", "stopped") else ""
    if heart.state == "failed":
        text = f"failed after {where}{_last_error(seen.run)}"
    if heart.state in ("gone", "failed") and not seen.metrics:
        text += "; no step was recorded"
    if line and not seen.examples:  # it ended before it had anything to continue with
        line = f"cat {seen.name}/logs/attempt_{max(seen.run.attempt, 1)}/main.log"
    yield Finding(rule="state", level=level or "ok", text=text, numbers=numbers, next=line)


def _last_error(run: RunFolder) -> str:
    """`: E501 ...`, the last error of ours in the attempt's log; empty where there is none."""
    try:
        lines = run.log_path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    errors = [found[0] for line in lines if (found := re.search(r"\bE\d{3} .*", line))]
    return f": {errors[-1][:300]}" if errors else ""


def control(seen: Seen) -> Iterator[Finding]:
    """That the run is no normal one: its numbers mean something else."""
    if seen.label:
        off = "; rules on equal rewards and a missing control are off" if seen.control else ""
        numbers = {"control": seen.control, "corrupt": seen.setting("data.corrupt")}
        yield Finding(rule="control", level="info", text=f"{seen.label}{off}", numbers=numbers)


def after_saturation(seen: Seen, step: int) -> Iterator[Finding]:
    """Held-out accuracy after saturation, by the paired test of thirds; its slope is never tested."""
    try:
        gain = after_saturation_of(seen.run)
    except (OneshotError, *WRONG_FORM) as error:
        text = f"saturated at step {step}; what held-out did then cannot be read: {error}"
        yield Finding(rule="saturation", level="warn", text=text, numbers={"step": step})
        return
    keys = ("badge", "estimate", "ci_low", "ci_high", "n", "evaluations")
    numbers = {"step": step, **{key: getattr(gain, key) for key in keys}}
    bounds = ""
    if gain.estimate is not None and gain.ci_low is not None and gain.ci_high is not None:
        bounds = f": {100 * gain.estimate:+.1f} points from the first to the last third of {gain.evaluations} "
        bounds += f"evaluations, 95 % {100 * gain.ci_low:+.1f} to {100 * gain.ci_high:+.1f}, in this run"
    level, said = {
        "supported": ("ok", f"held-out still rose{bounds}"),
        "harmed": ("warn", f"held-out fell{bounds}"),
        "inconclusive": ("info", f"no change of held-out is shown{bounds}"),
    }.get(gain.badge, ("info", f"whether held-out still rose is not tested: {gain.why.rstrip('.')}"))
    yield Finding(rule="saturation", level=level, text=f"saturated at step {step}; {said}", numbers=numbers)


def verifier(seen: Seen) -> Iterator[Finding]:
    """Verdicts that were not reached: the grader ran out of time or memory, failed, or could not decide."""
    counts: dict[str, int] = {}
    for row in seen.metrics:
        for status in DOUBTFUL:
            if share := number(row.get(f"grader/{status}")):
                counts[status] = counts.get(status, 0) + round(share * seen.responses(row))
    if not seen.metrics or all(number(row.get("grader/error")) is None for row in seen.metrics):
        return
    total = sum(seen.responses(row) for row in seen.metrics)
    now = sum(seen.recent(f"grader/{status}") or 0.0 for status in DOUBTFUL)
    numbers = {"responses": total, "recent": now, **counts}
    if not sum(counts.values()):
        yield Finding(rule="verifier", level="ok", text="every verdict was reached in time", numbers=numbers)
        return
    listed = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    text = f"{sum(counts.values()):,} of {total:,} verdicts were not reached and count as wrong ({listed})"
    level = "bad" if now > MOST_DOUBTFUL and seen.done >= RECENT else "warn"
    line = f"oneshot regrade {seen.name} --grader math-lenient"
    yield Finding(rule="verifier", level=level, text=text, numbers=numbers, next=line)


def attempts(seen: Seen) -> Iterator[Finding]:
    """How often the run was continued."""
    resumes = seen.of_kind("resume")
    if resumes:
        steps = ", ".join(str(event.get("step")) for event in resumes[-5:])
        redone = sum(int(number(event.get("redone")) or 0) for event in resumes)
        text = f"continued {len(resumes)} times (last after step {steps}), {redone} steps done again"
        numbers = {"resumes": len(resumes), "redone": redone}
        yield Finding(rule="resumes", level="info", text=text, numbers=numbers)


def grader(seen: Seen) -> Iterator[Finding]:
    """Whether all attempts graded alike: a reward that was mended half-way makes two experiments of one."""
    begun = seen.of_kind("attempt")
    for what in ("reward", "evaluation"):
        used = [(event.get("attempt"), event[what]) for event in begun if isinstance(event.get(what), Mapping)]
        change = next(((a, b) for a, b in pairwise(used) if a[1] != b[1]), None)
        if change is None:
            continue
        (first, was), (second, now) = change
        name = str(now.get("grader", ""))
        differ = ", ".join(sorted(key for key in {*was, *now} if was.get(key) != now.get(key)))
        text = f"the grader of the {what} is another one since attempt {second} (attempt {first}: its {differ} differs)"
        line = f"oneshot regrade {seen.name}" + (f" --grader {name}" if name else "")
        yield Finding(rule="grader", level="warn", text=text, numbers={"before": was, "after": now}, next=line)


def evaluations(seen: Seen) -> Iterator[Finding]:
    """Held-out readings that are missing: none at all, no base to compare with, or one that was due."""
    if not seen.evals:
        early = not seen.heart.over and not seen.done
        asked = bool(seen.setting("evals.source") or seen.setting("evals.tasks"))
        text = "nothing held out was measured: only the example itself is known"
        line = "" if early else f"oneshot eval {seen.name} --tasks gsm8k"
        level = "info" if early or not asked else "warn"
        yield Finding(rule="evaluations", level=level, text=text, numbers={"evaluations": 0}, next=line)
        return
    missing = [found for task in dict.fromkeys(task for task, _ in seen.evals) for found in _missing(seen, task)]
    numbers = {"evaluations": len(seen.evals), "missing": missing}
    if missing:
        text = f"{len(missing)} evaluations are missing: {', '.join(missing[:6])}{', ...' if len(missing) > 6 else ''}"
        line = f"oneshot eval {seen.name} --checkpoints all"
        yield Finding(rule="evaluations", level="warn", text=text, numbers=numbers, next=line)
    else:
        text = f"{len(seen.evals)} evaluations recorded, none missing"
        yield Finding(rule="evaluations", level="ok", text=text, numbers=numbers)


def _missing(seen: Seen, task: str) -> Iterator[str]:
    """Readings of a task that were due: the base, every so many steps where it is read that often, and the last."""
    there = {checkpoint for name, checkpoint in seen.evals if name == task}
    every, last = int(number(seen.setting("evals.every")) or 0), f"checkpoint-{seen.steps}"
    due = ["base"]
    if every and there - {"base", last}:
        # The reading of a running run's last steps may be under way.
        until = seen.done if seen.heart.over else seen.done - 1
        due += [f"checkpoint-{step}" for step in range(every, until + 1, every)]
    if seen.heart.state == "done" and there - {"base"}:
        due.append(last)
    yield from (f"{task}, {name}" for name in dict.fromkeys(due) if name not in there)


def arm(seen: Seen) -> Iterator[Finding]:
    """Whether a control arm of the same experiment lies beside the run."""
    if seen.control or not seen.config:
        return
    beside = _control_arms(seen)
    if beside:
        text = f"control arms beside it: {', '.join(f'{name} ({path.name})' for path, name in beside[:4])}"
        line = f"oneshot report {seen.name} --with {shlex.quote(str(beside[0][0]))}"
        yield Finding(rule="arm", level="ok", text=text, numbers={"arms": len(beside)}, next=line)
        return
    text = "no control arm beside it: what the example's content adds to training on anything is not known"
    line = control_line(read(seen.run))
    yield Finding(rule="arm", level="info", text=text, numbers={"arms": 0}, next=line)


def _control_arms(seen: Seen) -> list[tuple[Path, str]]:
    """Folders beside this run's with the same model and example and a control, with the control's name."""
    found = []
    home = seen.run.path
    for path in sorted(home.parent.glob("*/status.json"), reverse=True)[:SIBLINGS]:
        try:
            config = RunFolder(path.parent).config()
        except (OneshotError, *WRONG_FORM):
            continue
        name = str(section(config, "reward").get("control") or "")
        same = all(section(config, part) == section(seen.config, part) for part in ("model", "data"))
        if name and same and path.parent.name != home.name:
            found.append((path.parent, name))
    return found


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; one that is saved anew in this moment counts as nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def disk(seen: Seen) -> Iterator[Finding]:
    """Room for the next save of a run that goes on: a checkpoint, and a state beside the one it replaces."""
    free, run = seen.machine.free, seen.run
    if free is None or seen.heart.over:
        return
    steps = run.checkpoints()
    folders = ([run.checkpoint_dir(steps[-1])] if steps else []) + [run.last_state_dir]
    need = sum(map(_size, folders))
    text = f"{free / 2**30:.1f} GiB free on its disk" + (f"; the next save takes {need / 2**30:.1f}" if need else "")
    level = "warn" if free < need else "ok"
    line = f"df -h {seen.name}" if level == "warn" else ""
    yield Finding(rule="disk", level=level, text=text, numbers={"free": free, "next_save": need}, next=line)
