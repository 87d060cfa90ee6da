"""Choose the base model's best prompt of a fixed list, on a development set: never on what is asked afterwards."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oneshot.config.schema import Config
from oneshot.data.problems import BUILTIN
from oneshot.data.prompt_list import Prompt, prompt_list
from oneshot.data.tasks import builtin
from oneshot.data.tasks.digest import digest_of
from oneshot.data.tasks.loading import load_task
from oneshot.data.tasks.suites import resolve
from oneshot.data.tasks.task import Task
from oneshot.errors import OneshotError, UsageError
from oneshot.measure.statistics import wilson
from oneshot.record import Evaluations
from oneshot.stages import graders
from oneshot.stages.evals.asked import LENIENT, STRICT, Asked, is_maths
from oneshot.stages.evals.prompted import in_prompt
from oneshot.stages.evals.sampling import measure_task
from oneshot.stages.setup import Setup, held_out
from oneshot.types import Problem, Verifier

DEV = 50
"""Development problems that a prompt is tried on."""
SEED = 0
"""Draws them: a constant, so that every run and model is tried on the same ones."""
EACH_KIND = 7
"""Of each of the built-in task's eight kinds: 56 development problems."""
PAPER_POOL = "dsr_sub"
FOLDER = "prompt-choice"
"""Beginning of the name in evals/ under which development answers are kept."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class DevSet:
    """What prompts are tried on."""

    problems: tuple[Problem, ...]
    origin: str
    """A file, a data set, or the built-in task."""
    shared: int
    """Problems left out because the task asks them too."""
    verify: Verifier
    """Lenient: a prompt is not better because it names the form of the answer."""

    @property
    def digest(self) -> str:
        """sha256 (hex) of the canonical rows, in their order."""
        return digest_of(self.problems)


def dev_set(setup: Setup, asked: Asked, *, offline: bool, say: Say) -> DevSet:
    """The first of these that holds a problem which the task does not ask: `evals.source`, DSR-sub, the built-in one.

    `DEV` of them, drawn by `SEED` and in the set's order: pools are often sorted by difficulty.

    Args:
        setup: its configuration names `evals.source` and the data folder.
        asked: the task that the chosen prompt will be measured on; its questions are left out.
        offline: whether the pool may not be fetched.
        say: told which one it is.

    Raises:
        OneshotError: as of reading `evals.source`, where one is configured.
    """
    config = setup.config
    lenient = graders.build(LENIENT, timeout=config.reward.timeout)
    seen = {_text(p) for p in asked.problems}
    for name, problems in _sources(config, offline=offline, say=say):
        left = [p for p in problems if p.answer.strip() and _text(p) not in seen]
        if not left:
            continue
        drawn = sorted(random.Random(SEED).sample(range(len(left)), min(DEV, len(left))))
        own = name == config.evals.source and not is_maths(setup.names.eval_verify.name)
        return DevSet(
            problems=tuple(left[i] for i in drawn),
            origin=name,
            shared=sum(_text(p) in seen for p in problems),
            verify=setup.names.eval_verify if own else lenient,
        )
    raise UsageError(
        f"no development problem is left to choose a prompt on: {asked.name} asks them all.",
        code="E105",
        tries=("--evals.source FILE.jsonl   (problems that are not in the task)",),
    )


def _sources(config: Config, *, offline: bool, say: Say) -> Iterator[tuple[str, list[Problem]]]:
    """(name, problems), each loaded only when the one before it had none."""
    own = config.evals.source
    if own and own != BUILTIN:
        yield own, held_out(replace(config, evals=replace(config.evals, limit=0)), "", offline=offline)
    if own != BUILTIN:
        try:
            (task,) = resolve(PAPER_POOL)
            pool = load_task(task, folder=config.evals.data_dir, offline=offline)
            yield pool.origin, list(pool.problems)
        except OneshotError as error:
            say(f"the development set is the built-in one: {PAPER_POOL} cannot be read ({error.message})")
    yield BUILTIN, builtin.dev_set(config.data.task_seed, "", other=EACH_KIND)


def _text(problem: Problem) -> str:
    """A question without its spacing, to tell whether two are the same."""
    return " ".join(problem.prompt.split())


def best_prompt(
    setup: Setup, asked: Asked, dev: DevSet, *, store: Evaluations, say: Say
) -> tuple[Prompt, dict[str, Any]]:
    """The prompt with most right development answers, ties to the earlier one, and the record of the choice.

    Greedy, one response, the response limit of the task. A prompt that does not fit the model (too long with the limit,
    a system text that its template refuses) is left out; one that comes out the same as an earlier one is not asked
    again.

    Args:
        setup: the base model.
        asked: the task that the prompt is chosen for; its problems are only looked at for their length.
        dev: what to choose on.
        store: keeps the answers.
        say: told how many were right with each.

    Raises:
        UsageError: E105 no prompt of the list fits.
    """
    data, rows = setup.config.data, list[dict[str, Any]]()
    listed = prompt_list(suffix=data.suffix, system=data.system)
    tried, rendered, scores = _asked(setup, asked, dev, listed), dict[Any, str](), dict[str, int]()
    for prompt in listed:
        ready, why = _prepared(setup, asked, tried, prompt)
        if ready is None or ready.render is None:
            say(f"warning: the prompt {prompt.name!r} is left out: {why}")
            rows.append({**prompt.as_dict(), "left_out": why})
            continue
        twin = rendered.setdefault(tuple(map(ready.render, dev.problems)), prompt.name)
        if twin == prompt.name:
            measured = measure_task(setup, ready, store, "base", say=say, progress=None)
            scores[twin] = sum(row.correct for row in measured)
        same = {"same_as": twin} if twin != prompt.name else {}
        rows.append({**prompt.as_dict(), **same, **_score(dev, scores[twin])})
    if not scores:
        raise UsageError(f"no prompt of the list can be used: {rows[-1]['left_out']}", code="E105")
    best = max(scores, key=lambda name: scores[name])  # the first of equals, in the order of the list
    told = ", ".join(f"{row['name']} {row['correct']}" for row in rows if "correct" in row)
    say(f"prompts: right of {len(dev.problems)} development problems ({dev.origin}): {told}; {best!r} is the best")
    record = {
        "chosen": best,
        "rule": "most right on the development set, ties to the earlier prompt",
        "prompts": rows,
        "dev": {"origin": dev.origin, "n": len(dev.problems), "digest": dev.digest, "seed": SEED, "shared": dev.shared},
        "grader": dev.verify.name,
        "temperature": 0.0,
        "max_new_tokens": asked.protocol.max_new_tokens,
        "folder": tried.name,
    }
    return next(prompt for prompt in listed if prompt.name == best), record


def _asked(setup: Setup, asked: Asked, dev: DevSet, listed: Sequence[Prompt]) -> Asked:
    """The development set as a task of its own, named by all that its answers depend on but the model."""
    protocol = replace(
        asked.protocol, samples=1, temperature=0.0, suffix="", system="", grader=dev.verify.name
    )  # the prompts bring their own suffix and system text
    whole = json.dumps([dev.digest, protocol.as_dict(), [[p.as_dict(), [vars(s) for s in p.shots]] for p in listed]])
    name = f"{FOLDER}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
    return replace(
        asked,
        name=name,
        task=Task(name=FOLDER, title="prompts on the development set", protocol=protocol, problems=lambda rows, of: []),
        problems=dev.problems,
        protocol=protocol,
        verify=dev.verify,
        strict=graders.build(STRICT, timeout=setup.config.reward.timeout) if is_maths(dev.verify.name) else dev.verify,
        lenient=dev.verify,
        data={"origin": dev.origin, "rows": len(dev.problems), "digest": dev.digest, "limit": 0, "notes": []},
        forced=False,
    )


def _prepared(setup: Setup, asked: Asked, dev: Asked, prompt: Prompt) -> tuple[Asked | None, str]:
    """The development set through a prompt; None and why, where the model cannot be given it there or in the task."""
    from jinja2 import TemplateError

    try:
        made = in_prompt(setup, dev, prompt, variant(prompt), {})
        in_prompt(setup, asked, prompt, "", {})
    except TemplateError as error:
        return None, f"the chat template refuses it ({error})"
    except UsageError as error:
        if error.code != "E105":
            raise
        return None, error.message
    return made, ""


def variant(prompt: Prompt) -> str:
    """What a prompt adds to a checkpoint's name."""
    return f"prompt-{prompt.name}"


def _score(dev: DevSet, correct: int) -> dict[str, Any]:
    interval = wilson(correct, len(dev.problems))
    return {
        "correct": correct,
        "n": len(dev.problems),
        "value": correct / len(dev.problems),
        "ci_low": interval.low,
        "ci_high": interval.high,
    }
