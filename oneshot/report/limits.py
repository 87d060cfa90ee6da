"""What a result does not show, written from what was recorded: the one list of the page and of the model card.

Each rule gives sentences or none. The summary of a run says some of the same; where a rule speaks, it stands for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from oneshot._store.values import is_number
from oneshot.report.arms import comparable
from oneshot.report.gather import Facts, part
from oneshot.report.sections import categories, table, tasks
from oneshot.report.text import points

SMALL_N = 30
ASKED = {
    "dtype": "number format", "prompts": "prompts", "prompt": "prompt of the first problem",
    "max_new_tokens": "response limit", "grader": "grader",
    "grader_version": "version of the grader", "temperature": "temperature", "samples": "number of responses a problem",
}  # fmt: skip
"""Entries of a protocol in words. `prompt` is the text of the first problem's; `prompts` is a hash of all of them, and
`oneshot eval` records it, a reading within a run does not."""
TOLD = ("dtype", "max_new_tokens", "grader", "temperature", "samples")
"""Of these the value is said."""


def limits(facts: Facts, checkpoint: str = "") -> list[str]:
    """The summary's own sentences first, then those that follow from the numbers, then what could not be read.

    Args:
        facts: the run.
        checkpoint: of whose model it is said; another one than the page compares has what holds of any of the run's.
    """
    held = facts.held.checkpoint
    other = bool(held) and checkpoint not in ("", held)
    said = [] if other else _sentences(facts.summary.get("limits"))
    out: list[str] = []
    for rule, same in {**OF_RUN, **({} if other else OF_COMPARISON)}.items():
        told = list(rule(facts))
        said = [sentence for sentence in said if not (told and same and sentence.startswith(same))]
        out += told
    if other:
        out.append(f"The report of the run compares {held} with base; what it says of that one holds of no other.")
    return list(dict.fromkeys([*said, *out, *_sentences(facts.measured.get("missing")), *facts.notes]))


def _sentences(found: object) -> list[str]:
    return [str(sentence) for sentence in found] if isinstance(found, list | tuple) else []


def _one_seed(facts: Facts) -> Iterator[str]:
    yield (
        "One training run: every interval and badge speaks about this run on other problems of the same kind. Another "
        "seed can come out differently, and nothing here compares training methods: that takes at least 3 seeds."
    )


def _example(facts: Facts) -> Iterator[str]:
    if part(facts.config, "data").get("source") == "pi1":
        yield "The example is the built-in restatement of the paper’s example, not its text."


def _control(facts: Facts) -> Iterator[str]:
    if facts.arm.name:
        yield "This run is a control arm: whatever it gained is what training gives without the example’s information."
        return
    control, why = facts.control, comparable(facts)
    if why or control is None:
        yield f"The gain is over the base model alone, because {why}: how much of it the example taught is not known."
    elif control.held.checkpoint != facts.held.checkpoint:
        yield (
            f"The control arm is compared after other training: its {control.held.checkpoint} with "
            f"{facts.held.checkpoint} here."
        )
    else:
        yield "The control arm is compared at equal steps. At equal drift from the base it could come out differently."


def _sizes(facts: Facts) -> Iterator[str]:
    headline, kinds, others = table(facts), categories(facts), tasks(facts)
    if not headline:
        if not facts.held.base:
            yield "No held-out evaluation of the untrained and the trained model: whether it learned is not measured."
        return
    rows = [row for _, group in (*headline, *kinds, *others) for row in group]
    first = rows[0]
    yield (
        f"The main comparison rests on {first.n} problems: one problem is {_of_one(first.n)} points. Nothing here is a "
        "claim about reasoning."
    )
    for row in (row for _, group in others for row in group):
        yield f"{row.label} rests on {row.n} problems: one problem is {_of_one(row.n)} points."
    small = [row for row in rows if row.n < SMALL_N]
    if small:
        least = min(row.n for row in small)
        have = "comparison has" if len(small) == 1 else "comparisons have"
        yield (
            f"{len(small)} {have} fewer than {SMALL_N} problems (down to {least}, where one is {_of_one(least)} "
            "points); read their intervals, not their estimates."
        )
    for row in headline[0][1]:
        if row.badge == "inconclusive" and row.detectable:
            change = f"a true change below {100 * row.detectable:.1f} points would mostly go unseen"
            yield f"{row.label}: {change} (80 % power)."
    if len(rows) > 1:
        yield f"The report has {len(rows)} comparisons; no interval is corrected for their number, the badges are."


def _chosen(facts: Facts) -> Iterator[str]:
    """Which checkpoint is compared, whether its problems were looked at before, and which one was best elsewhere."""
    held = facts.held
    best, dev = facts.summary.get("best_on_dev"), ""
    if isinstance(best, Mapping) and is_number(best.get("step")):
        dev = f" On the dev set the best one is that of step {best['step']}; dev problems chose it."
    if held.checkpoint:
        if held.readings.get(held.task, 0) > 2:
            read = f"was read at {held.readings[held.task]} points of the run, so it is no untouched test set"
        elif held.task.endswith("test"):
            read = "was read with base and with this checkpoint alone, so it chose nothing"
        else:
            read = "may have been looked at before: nothing here says that it is an untouched test set"
        last = f"The model compared is {held.checkpoint}, the last that was read, whichever was best"
        yield f"{last}. {held.task} {read}.{dev}"
    for task in held.tasks:
        found = task.best_on_test
        if is_number(found.get("corrected")) and is_number(found.get("uncorrected")):
            luck = float(found["uncorrected"]) - float(found["corrected"])
            yield (
                f"{task.title}: choosing the best checkpoint on these problems themselves would look {points(luck)} "
                "points better than it is (split-half)."
            )


def _measured_alike(facts: Facts) -> Iterator[str]:
    """Whether base and trained model were measured in the same way."""
    held = facts.held
    before, after = (_protocol(facts, name) for name in ("base", held.checkpoint))
    if not before or not after:
        return
    alike = []
    asked = {key: words for key, words in ASKED.items() if key in before and key in after}
    if "prompts" in asked:
        asked.pop("prompt", None)
    for key, words in asked.items():
        if before[key] != after[key]:
            yield f"Base and trained model differ in the {words}{_both(key, before, after)}, so not alone in training."
        else:
            alike.append(f"{words} ({str(before[key])[:80]})" if key in TOLD else words)
    if alike:
        yield f"Base and trained model were measured with the same {', '.join(alike)}."


def _both(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The two values; of prompts those of the first problem, where they differ."""
    if key not in ("prompt", "prompts"):
        return f" ({str(before[key])[:80]} and {str(after[key])[:80]})"
    first, second = before.get("prompt"), after.get("prompt")
    return "" if first == second else f" ({_quoted(first)} and {_quoted(second)})"


def _protocol(facts: Facts, checkpoint: str) -> Mapping[str, Any]:
    return part(facts.held.results.get((facts.held.task, checkpoint), {}), "protocol")


def _asked_otherwise(facts: Facts) -> Iterator[str]:
    """Differences between training and evaluation."""
    data, evals, rollout = (part(facts.config, key) for key in ("data", "evals", "rollout"))
    asked = _protocol(facts, facts.held.checkpoint)
    told = []
    suffix = asked.get("suffix", evals.get("suffix"))
    if facts.held.task and suffix is not None and suffix != data.get("suffix", ""):
        told.append(f"the text after the question ({_quoted(data.get('suffix'))} in training, {_quoted(suffix)} here)")
    limit, other = rollout.get("max_new_tokens"), asked.get("max_new_tokens")
    if is_number(limit) and is_number(other) and limit != other:
        told.append(f"the response limit ({limit} tokens in training, {other} here)")
    heat, cold = rollout.get("temperature"), asked.get("temperature")
    if is_number(heat) and is_number(cold) and heat != cold:
        told.append(f"the temperature ({heat:g} in training, {'greedy' if cold == 0 else f'{cold:g}'} here)")
    paid, graded = part(facts.config, "reward").get("name"), asked.get("grader")
    if paid and graded and paid != graded:
        told.append(f"the grader ({paid} in training, {graded} here)")
    if told:
        yield f"Training and evaluation differ in {'; '.join(told)}."


def _quoted(text: object) -> str:
    return f"“{str(text)[:80]}”" if text else "none"


def _family(facts: Facts) -> Iterator[str]:
    model = str(facts.summary.get("model") or part(facts.config, "model").get("name") or "")
    if re.search("qwen", model, re.IGNORECASE):
        yield (
            f"{model} is of a family that gained on maths benchmarks from random and from wrong rewards as well "
            "(arXiv 2506.10947): a gain over base is no evidence of learning here without its control arm."
        )


def _training(facts: Facts) -> Iterator[str]:
    if facts.arm.corrupt:
        yield f"{100 * facts.arm.corrupt:.3g} % of the training answers were replaced by wrong ones on purpose."
    resumed = len({row.get("attempt") for row in facts.metrics})
    if resumed > 1:
        yield f"The run was made in {resumed} attempts; what an earlier one did again later is in logs/."


def _state(facts: Facts) -> Iterator[str]:
    if facts.state and facts.state != "done":
        yield f"The run’s state is “{facts.state}”: everything here is of what was recorded so far."
    if not facts.metrics:
        yield "No training step was recorded."


def _of_one(n: int) -> str:
    """Points of one problem among `n`: two digits, and 100 as such."""
    return f"{100 / n:.2g}" if n > 1 else "100"


Rule = Callable[[Facts], Iterator[str]]
OF_RUN: Mapping[Rule, str] = {
    _one_seed: "One run: ",
    _example: "",
    _control: "A control arm: ",
    _family: "",
    _training: "",
    _state: "",
}
"""What holds of every checkpoint of the run -> the beginning of what its summary says of the same."""
OF_COMPARISON: Mapping[Rule, str] = {
    _sizes: "One problem of the ",
    _chosen: "The model measured is ",
    _measured_alike: "Base and trained read these problems ",
    _asked_otherwise: "",
}
"""What holds of the checkpoint that is compared."""
