"""What each attempt of a run looks at before anything is sampled: the same weights as before, and right fast paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oneshot.errors import UsageError
from oneshot.model.fingerprint import fingerprint
from oneshot.record import RunFolder
from oneshot.stages.setup import Setup
from oneshot.stages.training import fast_paths
from oneshot.types import Problem


def begin(setup: Setup, problems: Sequence[Problem], run: RunFolder, note: Callable[[str], None]) -> Setup:
    """The setup with every fast path checked. `problems` are those to train on, or to choose from.

    Raises:
        UsageError: E107 when the run began with other weights, E105 when a prompt leaves no room for a response.
    """
    prompt = setup.render(problems[0])
    same_weights(setup, run)
    for said in setup.notes:
        note(said)
    if setup.config.rollout.dynamic and len(problems) == 1:
        note(
            "warning: rollout.dynamic with one example: once it is solved nearly always, each step samples up to "
            f"{setup.config.rollout.max_rounds} times, and groups with a rare failure are all that is learned from"
        )
    return fast_paths.settle(setup, prompt, event=run.event, note=note)


def same_weights(setup: Setup, run: RunFolder) -> None:
    """Record what weights the run begins with; later attempts must begin with the same.

    They are the reference of the KL term and what an adapter belongs to, and nothing else in the run folder holds them.

    Raises:
        UsageError: E107 when they differ.
    """
    name, found = setup.config.model.name, fingerprint(setup.policy.model)
    known = [event["sha256"] for event in run.events() if event["kind"] == "model"]
    if not known:
        run.event("model", name=name, sha256=found)
    elif known[0] != found:
        raise UsageError(
            f"the weights of {name} are not those that {run.path.name} began with (their fingerprint was "
            f"{known[0][:12]}, and is {found[:12]} now): KL, adapter and base model would be another model's.",
            code="E107",
            tries=(f"put the files of {name} back", "start a new run with this model"),
            kept="Nothing was trained.",
        )
