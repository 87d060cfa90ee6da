"""Lines to paste: how a control arm of a run is trained, and how an evaluation that is missing is made. No torch."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from oneshot.config.load import to_dict
from oneshot.config.schema import Config
from oneshot.measure.run_facts import RunFacts, attempt, section

NULL = "shuffled"
"""The control arm that every gain is measured against where none was named."""
BUILTIN = "builtin"
_OWN = ("model.threads", "reward.control", "save.runs", "save.name")
"""Settings that belong to one run alone."""


def control_line(facts: RunFacts, control: str = NULL) -> str:
    """The run's own command with `--control`, else all its settings that are not the default's as flags.

    The demo chooses its example itself and has no control arms; its example is then given as text, and the built-in
    task is asked of the control arm.
    """
    env = attempt("env.json", facts.run.env, dict[str, Any](), [])
    argv = [str(word) for word in env.get("argv") or ()]
    if argv and PurePath(argv[0]).name in ("oneshot", "oneshot-rlvr", "__main__.py"):
        argv = argv[1:]
    if argv[:1] != ["train"] or "--resume" in argv:
        argv = ["train", *_flags(facts)]
    return shlex.join(["oneshot", *argv, "--control", control])


def eval_line(facts: RunFacts, *flags: str) -> str:
    """`oneshot eval RUN --tasks NAME`, with the task that the run is compared on, where there is one."""
    task = re.sub(r"-[0-9a-f]{8}$", "", facts.task)
    task = BUILTIN if task.startswith(f"{BUILTIN}-") else task
    return shlex.join(["oneshot", "eval", str(facts.run.path), "--tasks", task or BUILTIN, *flags])


def _flags(facts: RunFacts) -> list[str]:
    """Flags that give a new run the settings of this one."""
    default, words = to_dict(Config()), list[str]()
    typed = section(facts.config, "data").get("source") == BUILTIN and len(facts.examples) == 1
    for key, value in _flat(facts.config):
        if key in _OWN or (typed and key in ("data.source", "data.index")):
            continue
        own: Any = default
        for part in key.split("."):
            own = own.get(part) if isinstance(own, Mapping) else None
        if value != own:
            words += [f"--{key.replace('_', '-')}", _text(value)]
    if typed:
        example = facts.examples[0]
        words += ["--example", str(example.get("prompt", "")), "--answer", str(example.get("answer", ""))]
        words += ["--evals.tasks", BUILTIN] if not section(facts.config, "evals").get("tasks") else []
    return words


def _flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key -> value. A plug-in's own keywords (`options`) stand beside the section's keys, as flags have them."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, above if key in ("options", "curriculum_options") else f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
