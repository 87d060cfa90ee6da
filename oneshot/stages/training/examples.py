"""Which examples a run trains on: read, left out where nothing can match them, merged, and enough to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from oneshot.config.schema import Config
from oneshot.data import readers
from oneshot.data.corruption import corrupted
from oneshot.data.problems import load
from oneshot.errors import DataError
from oneshot.rewards.answers.compare import same
from oneshot.rewards.composed import in_a_box
from oneshot.rewards.verifier import self_check
from oneshot.stages import graders
from oneshot.stages.setup import curriculum_of
from oneshot.train.curriculum.base import DEFAULT as IN_TURN
from oneshot.types import Problem, Verifier

NAMED = 6
"""Lines of a file that are named, at most."""


def training_problems(
    config: Config, verify: Verifier | None, *, offline: bool, say: Callable[[str], None]
) -> list[Problem]:
    """The example(s) of the configuration; equal rows are merged, and all that is done to them is said.

    Of a pool, rows whose reference is empty or refused by the reward are left out while there are others. Without
    `verify`, the reward, references are not asked about.

    Raises:
        UsageError: E105 where the curriculum has nothing to choose from, or no time to; else as `load`.
        DataError: E301 no reference at all, E302 the reward accepts none of them, E305 a user's function failed.
        MachineError: as `load`.
    """
    loaded = load(config.data, offline=offline)
    if loaded.columns:
        say(readers.describe(loaded.columns))
    if loaded.left_out:
        total = len(loaded.problems) + len(loaded.left_out)
        say(f"left out {len(loaded.left_out)} of {total:,} rows: an empty reference{_lines(loaded.left_out)}")
    problems, merged = readers.merge_equal(loaded.problems)
    if merged:
        rows = "row" if merged == 1 else "rows"
        say(f"merged {merged} {rows} whose prompt and answer equal another row's; {len(problems)} remain")
    if verify is not None:
        problems = _matched(verify, problems, say)
        problems = _corrupted(config, verify, problems, say)
    design = curriculum_of(config.data)
    design.check(len(problems), config.rollout.groups, config.optim.steps)
    if len(problems) > 1 or design.name != IN_TURN:
        say(f"training on {len(problems)} examples{_visited(design.name, len(problems), config.rollout.groups)}")
    return problems


def check_file(config: Config) -> None:
    """What a dry run can tell of the examples: the file, where it is on this machine, and the curriculum's conditions.

    Raises:
        UsageError, DataError: as `training_problems`, but for the reward, which is not asked.
    """
    data = config.data
    if data.source and not (data.example or data.answer) and Path(data.source).expanduser().is_file():
        training_problems(config, None, offline=True, say=lambda text: None)


def _matched(verify: Verifier, problems: Sequence[Problem], say: Callable[[str], None]) -> list[Problem]:
    """The problems whose reference the reward accepts."""
    kept, refused = graders.usable(verify, problems)
    if refused:
        say(
            f"left out {len(refused)} of {len(problems):,} examples whose reference the grader {verify.name!r} does "
            f"not accept against itself{_lines(refused)}"
        )
    for caution in graders.cautions(verify, kept):
        say(caution)
    return kept


def _corrupted(config: Config, verify: Verifier, problems: list[Problem], say: Callable[[str], None]) -> list[Problem]:
    """The problems, some with a wrong answer where `data.corrupt` asks for it."""
    share = config.data.corrupt
    if not share:
        return problems

    def differs(label: str, true: str) -> bool:
        if same(label, true).equal is not False or graders.is_users(verify):
            return same(label, true).equal is False  # what a function wants to read is not known
        try:
            self_check(verify, label)
        except DataError:
            return False
        states = getattr(verify, "states", in_a_box)
        return not any(verify(response, true).correct for response in states(label))

    changed, count = corrupted(problems, share, config.seed, differs=differs)
    none = "" if count else ": so few that none is (--corrupt 0.5 corrupts one of one)"
    say(f"answers of {count} of {len(problems)} examples corrupted (data.corrupt = {share:g}){none}")
    return changed


def _lines(problems: Sequence[Problem]) -> str:
    """` (line 266)`, ` (lines 3, 9, ...)`, or nothing where they are not of a file."""
    lines = [str(problem.meta["line"]) for problem in problems if "line" in problem.meta]
    if not lines:
        return ""
    more = ", ..." if len(lines) > NAMED else ""
    return f" ({'line' if len(lines) == 1 else 'lines'} {', '.join(lines[:NAMED])}{more})"


def _visited(curriculum: str, examples: int, groups: int) -> str:
    """How the curriculum goes through the examples, for a person."""
    if curriculum != IN_TURN:
        return f", chosen by {curriculum}"
    if examples <= groups:
        return " in turn (--data.index N picks one)"
    return f", {groups} a step in shuffled epochs of {examples / groups:.4g} steps (--data.index N picks one)"
