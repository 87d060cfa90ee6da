"""The static table of verbs: where each lives, its one-line help and its flags. Plain data, no verb is imported."""

from __future__ import annotations

from collections.abc import Mapping

import oneshot
from oneshot.cli.run_verbs import LOOKING
from oneshot.cli.use_verbs import USING
from oneshot.cli.verb import COMMON, Flag, Verb
from oneshot.config.names import SHORT

__all__ = ["ALL", "COMMON", "GRADER", "SHORT", "VERBS", "Flag", "Verb", "shorts", "usage", "uses"]

ALL = ("seed", "model", "data", "reward", "algorithm", "rollout", "optim", "evals", "save")

_SCORES = (
    "historical-variance",
    "corrected-variance",
    "lim",
    "mean-accuracy",
    "distance-to-half",
    "recent-slope",
    "answer-entropy",
    "distinct-answers",
    "random",
)
"""The names of `oneshot.measure.selection.SCORES`, which is not imported for a table of help; a test compares them."""

GRADER = Flag("grader", "Grade with this: a grader's name (default: math) or file.py:function.", "NAME")

VERBS: Mapping[str, Verb] = {
    "demo": Verb(
        "oneshot.stages.demo:main",
        "The whole loop in minutes on a CPU: choose one example, train, measure, report.",
        flags=(Flag("full", "Also measure avg@8 and pass@8 at the training temperature."),),
        settings=("seed", "model", "data.task_seed", "algorithm", "rollout", "optim", "evals", "save"),
        base="demo",
    ),
    "doctor": Verb(
        "oneshot.stages.doctor:main",
        "What this machine can do, and what is missing; with RUN the health of that run.",
        positional=("[RUN]",),
        flags=(Flag("fetch", "Fetch and convert the embedded model, so that later commands work offline."),),
        settings=("model", "save.runs"),
    ),
    "recipes": Verb(
        "oneshot.stages.recipes:main",
        "List, show or copy the recipes that come with the package.",
        positional=("list|show|copy", "[NAME]", "[DEST]"),
    ),
    "plan": Verb(
        "oneshot.stages.plan:main",
        "Memory, time and disk that a run would take, and one worst-case step; trains and writes nothing.",
        flags=(Flag("no-step", "Load no model and run no worst-case step: no measured time then."),),
        settings=ALL,
    ),
    "check": Verb(
        "oneshot.stages.check:main",
        "Probe a reward for what it should refuse and what it should accept.",
        positional=("REWARD",),
        flags=(Flag("answer", "Probe with this reference answer only.", "TEXT"),),
        settings=("reward.timeout",),
    ),
    "grade": Verb(
        "oneshot.stages.grade:main",
        "Grade responses: rows with gold (or answer) and response; - is standard input. --json: one verdict a line.",
        positional=("FILE.jsonl",),
        flags=(GRADER, Flag("fail-under", "Exit 6 when a smaller share of the responses is right.", "X")),
        settings=("reward.timeout",),
    ),
    "select": Verb(
        "oneshot.stages.select:main",
        "Rank the examples of a pool by a recorded history or a probe, and write the best of them.",
        positional=("POOL",),
        flags=(
            Flag("history", "A record: JSON of index -> accuracies, or the history.jsonl of a run.", "FILE"),
            Flag("run", "A run that trained on the pool: a folder, a name, or latest.", "RUN"),
            Flag("probe", "Sample the base model, on average at most N times a problem.", "N"),
            Flag("score", f"{', '.join(_SCORES)}. Default: historical-variance, of a probe distance-to-half.", "NAME"),
            Flag("top", "How many to choose; without it the whole pool is ranked.", "K"),
            Flag("out", "Write the chosen rows here, ready for train --data; must not exist.", "FILE"),
            Flag("samples", "Samples a visit of a published record; without it the least that fits.", "N"),
            Flag("redraws", "Redrawn histories behind the intervals (default: 1000); 0: no intervals.", "N"),
            Flag("allow-ragged", "Take a record in which some examples have less than half of the visits of others."),
        ),
        settings=(
            "seed",
            "model.name",
            "model.revision",
            "model.dtype",
            "model.threads",
            "data.suffix",
            "data.system",
            "data.allow_unsolved",
            "reward.name",
            "reward.timeout",
            "rollout.temperature",
            "rollout.max_new_tokens",
            "rollout.max_prompt_tokens",
            "rollout.batch",
            "save.runs",
        ),
    ),
    "train": Verb(
        "oneshot.stages.train:main",
        "Train a model on one example.",
        flags=(
            Flag("resume", "Continue a run from its last checkpoint.", "[RUN]", default="latest"),
            Flag("dry-run", "Print every value with its origin and what the run would need, then stop."),
        ),
        settings=ALL,
    ),
    **LOOKING,
    "eval": Verb(
        "oneshot.stages.evaluate:main",
        "Measure a model, a run or stored responses on tasks, or on a file of problems with checkable answers.",
        positional=("[MODEL|RUN]",),
        flags=(
            Flag(
                "responses", "Grade stored outputs: rows with id and response. No model is needed then.", "FILE.jsonl"
            ),
            Flag("k", "Show pass@k and maj@k for these k, e.g. 1,8; not above --n.", "K"),
            Flag("checkpoints", "Of a run: last (default), best on its dev set, or all; each beside base.", "WHICH"),
            Flag("fail-under", "Exit 6 below this accuracy; TASK=X for one task. Repeatable.", "X"),
            Flag("out", "Folder for the results of a model (default: RUNS/eval-MODEL) or of responses.", "DIR"),
            Flag("forced-box", "Also end each response that has no box by one, and grade that."),
            Flag("icl", "Also measure base with this run's example, solved by base itself, in the prompt.", "RUN"),
            Flag("best-prompt", "Also measure base with the best of a fixed list of prompts, chosen on the dev set."),
            Flag("export", "Also write inspect, lm-eval or hub files; several separated by commas.", "FORMATS"),
        ),
        settings=(
            "seed",
            "model.revision",
            "model.dtype",
            "model.threads",
            "data.task_seed",
            "data.system",
            "reward.name",
            "reward.timeout",
            "evals",
            "rollout.max_prompt_tokens",
            "save.runs",
        ),
        short={
            "data": "evals.source",
            "tasks": "evals.tasks",
            "data-dir": "evals.data_dir",
            "limit": "evals.limit",
            "n": "evals.samples",
            "temperature": "evals.temperature",
            "max-new-tokens": "evals.max_new_tokens",
        },
    ),
    "compare": Verb(
        "oneshot.stages.compare:main",
        "Recorded evaluations of the same problems against each other, paired: what changed, and where from.",
        positional=("A", "[B ...]"),
        flags=(
            Flag("tasks", "Only these, separated by commas (default: all tasks that all have).", "TASKS"),
            Flag("format-only", "A run trained on format alone, as a baseline of the gain beyond format.", "RUN"),
            Flag("allow-different", "Compare in spite of another dtype, prompt, limit, sampling, grader or data."),
        ),
        settings=("save.runs",),
    ),
    "regrade": Verb(
        "oneshot.stages.regrade:main",
        "Grade the recorded responses of a run again, with any grader; says what would have changed.",
        positional=("RUN",),
        flags=(GRADER,),
        settings=("reward.timeout", "save.runs"),
    ),
    "study": Verb(
        "oneshot.stages.study:main",
        "Run the arms and seeds of a study, resumable, and compare every arm with its baseline in one table.",
        positional=("FILE.toml",),
        flags=(
            Flag("seeds", "Only these of the study's seeds, separated by commas.", "SEEDS"),
            Flag("only", "Only these of its arms, separated by commas.", "ARMS"),
            Flag("table", "Run nothing: show the table of what is there."),
            Flag("one-process", "Run all cells in this process instead of one process a cell."),
            Flag("cell", "Run one cell in this process, without a table: what a study starts for each.", "ARM@SEED"),
            Flag("dry-run", "Print the arms, what they read, what is left to run and what that takes, then stop."),
        ),
        settings=("save.runs", "save.name"),
    ),
    "report": Verb(
        "oneshot.stages.report:main",
        "Write a run's report.html again from what was recorded.",
        positional=("RUN",),
        flags=(
            Flag("with", "Put what this run, a control arm of RUN, gained beside the gain.", "CONTROL"),
            Flag("figures", "Also write each figure into figures/: svg, pdf, or both with a comma.", "FORMATS"),
        ),
        settings=("save.runs",),
    ),
    **USING,
}


def shorts(verb: Verb) -> dict[str, str]:
    """Short flag -> setting, for one verb: only settings it uses, and no name that is a flag of its own."""
    both, own = {**SHORT, **verb.short}, {found.name for found in verb.flags}
    return {name: key for name, key in both.items() if uses(verb, key) and name not in own}


def uses(verb: Verb, key: str) -> bool:
    """Whether the verb reads the setting at a dotted key."""
    return key in verb.settings or key.partition(".")[0] in verb.settings


def usage() -> str:
    """The text of `oneshot --help`."""
    width = max(map(len, VERBS))
    lines = ["usage: oneshot VERB [FLAGS]", "", oneshot.__doc__ or "", ""]
    lines += [f"  {name:<{width}}  {verb.help}" for name, verb in VERBS.items()]
    lines += ["", "oneshot VERB --help shows its flags. Start with: oneshot demo"]
    return "\n".join(lines)
