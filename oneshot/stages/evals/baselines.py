"""Fair baselines without training: the example in the prompt (`--icl RUN`), and the best of a fixed list of prompts.

Both ask the base model what the trained one is asked, under the same protocol; only the prompt differs. They are
measured beside `base`, as `base+icl` and `base+prompt-NAME`, and `compare` takes them as arms (`docs/baselines.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from oneshot.config.load import from_dict
from oneshot.data.prompt_list import Prompt, Worked
from oneshot.data.prompts import messages
from oneshot.data.tasks.task import LOGLIKELIHOOD
from oneshot.errors import UsageError
from oneshot.model.fingerprint import fingerprint
from oneshot.record import Evaluations, RunFolder
from oneshot.stages.evals import prompt_choice
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.prompted import in_prompt
from oneshot.stages.setup import Setup
from oneshot.stages.training.verified_solutions import verified_solutions

IN_CONTEXT = "icl"
"""The variant of a prompt with the example in it."""

Say = Callable[[str], None]


def add_baselines(
    setup: Setup,
    asked: Asked,
    *,
    icl: RunFolder | None,
    best_prompt: bool,
    say: Say,
    store: Evaluations,
    offline: bool = True,
) -> list[Asked]:
    """The task asked again for each baseline; `asked` itself is not among them. Call it with the base model only.

    Args:
        setup: the base model.
        asked: the task as it is asked of base and trained model.
        icl: the run whose training example goes into the prompt; None: not asked for.
        best_prompt: choose a prompt on a development set.
        say: told in a sentence what was chosen.
        store: keeps the development answers, so that they are sampled once for all tasks of the same limit, and a
            choice that was stopped goes on.
        offline: whether the paper's pool, as a development set, may not be fetched.

    Raises:
        UsageError: E105 a prompt too long, a run of another model, an example that was never solved; E103, E104 a
            run that cannot give one.
    """
    if not (icl or best_prompt):
        return []
    if asked.protocol.kind == LOGLIKELIHOOD:
        say(f"{asked.name}: no baselines of the prompt: likelihoods of given continuations are compared, not responses")
        return []
    found = [in_context(setup, asked, icl, say=say)] if icl else []
    if best_prompt:
        dev = prompt_choice.dev_set(setup, asked, offline=offline, say=say)
        prompt, record = prompt_choice.best_prompt(setup, asked, dev, store=store, say=say)
        found.append(in_prompt(setup, asked, prompt, prompt_choice.variant(prompt), {"prompt_choice": record}))
    return found


def in_context(setup: Setup, asked: Asked, run: RunFolder, *, say: Say) -> Asked:
    """The task with the run's example(s) and the base model's own verified solution(s) before each question.

    With a chat template each example is a user and an assistant turn, without one a `Problem:` with its `Solution:`.
    The example's question stands there as in training, suffix included, since that is what the solution answers; the
    question asked stands there as the protocol has it.

    Raises:
        UsageError: E105 another model than the run's, no solution, or a prompt longer than the model's positions.
    """
    check_same_model(setup, run)
    known = verified_solutions(setup, run, say)
    shots = tuple(
        Worked(question=messages(s.problem, suffix=known.suffix)[-1]["content"], solution=s.text) for s in known.found
    )
    prompt = Prompt(
        name=IN_CONTEXT,
        chat=bool(setup.policy.tokenizer.chat_template),
        suffix=asked.protocol.suffix,
        system=asked.protocol.system,
        shots=shots,
    )
    rows = [
        {
            "id": s.problem.id, "answer": s.problem.answer, "solution": s.text, "tokens": s.tokens,
            "right": s.right, "responses": s.responses, "source": s.source,
        }
        for s in known.found
    ]  # fmt: skip
    for s in known.found:
        say(
            f"in-context example {s.problem.id}: the base model's own solution of median length, {s.tokens} tokens, "
            f"of {s.right} right ones in {s.responses} responses ({s.source})"
        )
    asked_too = {p.prompt for p in asked.problems} & {s.problem.prompt for s in known.found}
    if asked_too:
        say(
            f"warning: {asked.name} asks {len(asked_too)} of the examples in the prompt (and the run was trained on "
            "them)"
        )
    record = {"run": run.path.name, "examples": rows, "left_out": list(known.left_out)}
    return in_prompt(setup, asked, prompt, IN_CONTEXT, {"in_context": record})


def check_same_model(setup: Setup, run: RunFolder) -> None:
    """Refuse another model than the one that the run began with: its solutions would not be this model's own.

    By the fingerprint of the weights, and by name where fingerprints are of other forms of them (an adapter beside
    them, a working copy in lower precision).

    Raises:
        UsageError: E105.
    """
    config = from_dict(run.config(), where=str(run.path / "config.json"))
    known = [event["sha256"] for event in run.events() if event["kind"] == "model"]
    if known and known[0] == fingerprint(setup.policy.model):
        return
    same_name = _place(setup.policy.name) == _place(config.model.name)
    same_form = bool(known) and not config.model.lora_rank and str(setup.policy.model.dtype) == "torch.float32"
    if same_name and setup.config.model.revision == config.model.revision and not same_form:
        return
    raise UsageError(
        f"{run.path.name} began with {config.model.name}, and {setup.policy.name} has other weights: an example solved "
        "by another model is no baseline of this one.",
        code="E105",
        tries=(f"oneshot eval {run.path} --icl {run.path} --tasks TASK",),
        kept="Nothing was measured with it.",
    )


def _place(name: str) -> str:
    """A model's name; a folder's whole path."""
    return str(Path(name).resolve()) if Path(name).is_dir() else name
