"""The verbs that look at a run and change nothing in it; part of the table in `verbs`. Plain data."""

from __future__ import annotations

from collections.abc import Mapping

from oneshot.cli.verb import Flag, Verb

LOOKING: Mapping[str, Verb] = {
    "watch": Verb(
        "oneshot.stages.watch:main",
        "A run while it goes on: in the terminal, or as a page on this machine. --json: its present state.",
        positional=("RUN",),
        flags=(
            Flag("once", "Show the present state and end."),
            Flag("web", "Serve the report, live and read-only, on 127.0.0.1 instead."),
            Flag("port", "Port of the page (default: 8765, or any free one; 0: any free one).", "N"),
        ),
        settings=("save.runs",),
    ),
    "rollouts": Verb(
        "oneshot.stages.rollouts:main",
        "What the model said: recorded responses of training steps or of evaluations.",
        positional=("RUN",),
        flags=(
            Flag("step", "Training steps: last (default), first, all, 12, 3-9, or several with commas.", "STEPS"),
            Flag("task", "Responses of this evaluation instead; its name may be cut before the hash.", "TASK"),
            Flag("checkpoint", "Of the evaluation: base, last (default), 12 or checkpoint-12.", "NAME"),
            Flag("diff", "Two checkpoints on the same problems, side by side, e.g. base,last.", "A,B"),
            Flag("right", "Only right responses; with --diff, right in the second."),
            Flag("wrong", "Only wrong ones."),
            Flag("flipped", "Only problems that base and checkpoint, or the two of --diff, graded differently."),
            Flag("id", "Only this problem.", "ID"),
            Flag("grep", "Only responses that contain this, in any case.", "TEXT"),
            Flag("n", "Show so many (default: 10).", "N"),
            Flag("full", "Whole prompts and responses."),
        ),
        settings=("save.runs",),
    ),
    "ls": Verb(
        "oneshot.stages.ls:main",
        "Every run, study and evaluation in the folder of runs, newest first: state, step, result, size.",
        settings=("save.runs",),
        short={"runs": "save.runs"},
    ),
}
