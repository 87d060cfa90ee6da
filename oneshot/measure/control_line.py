"""Lines to paste: how a run or its control arm is trained again, and how a missing evaluation is made. No torch."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from oneshot._store.values import section
from oneshot.config.load import to_dict
from oneshot.config.schema import Config
from oneshot.measure.run_facts import RunFacts, attempt

NULL = "shuffled"
"""The control arm that every gain is measured against where none was named."""
BUILTIN = "builtin"
_ARM = "reward.control"
_OWN = ("model.threads", _ARM, "save.runs", "save.name")
"""Settings that belong to one run alone."""


def words_of(env: Mapping[str, Any]) -> list[str]:
    """The words after `oneshot` that a run was made with, as `env.json` has them; none where it has none."""
    told = env.get("argv")
    argv = [str(word) for word in told] if isinstance(told, (list, tuple)) else []
    return argv[1:] if argv and PurePath(argv[0]).name in ("oneshot", "oneshot-rlvr", "__main__.py") else argv


def control_line(facts: RunFacts, control: str = NULL) -> str:
    """The run's own command with `--control`, else all its settings that are not the default's as flags.

    The demo chooses its example itself and has no control arms; its example is then given as text, and the built-in
    task is asked of the control arm.
    """
    argv = words_of(attempt("env.json", facts.run.env, dict[str, Any](), []))
    if argv[:1] != ["train"] or "--resume" in argv:
        argv = ["train", *_flags(facts)]
    return shlex.join(["oneshot", *argv, "--control", control])


def settings_line(facts: RunFacts) -> str:
    """A new run with the settings of this one, each that is not the default's as a flag."""
    arm = ["--control", facts.control] if facts.control else []
    return shlex.join(["oneshot", "train", *_flags(facts), *arm])


def eval_line(facts: RunFacts, *flags: str) -> str:
    """`oneshot eval RUN --tasks NAME`, with the task that the run is compared on, where there is one."""
    task = re.sub(r"-[0-9a-f]{8}$", "", facts.task)
    task = BUILTIN if task.startswith(f"{BUILTIN}-") else task
    return f"oneshot eval {facts.folder} {shlex.join(['--tasks', task or BUILTIN, *flags])}"


def beside_line(facts: RunFacts) -> str:
    """The line that puts a control arm beside the run."""
    return f"oneshot report {facts.folder} --with CONTROL_RUN"


def _flags(facts: RunFacts) -> list[str]:
    """Flags that give a new run the settings of this one, but for its control arm."""
    default, words = to_dict(Config()), list[str]()
    typed = section(facts.config, "data").get("source") == BUILTIN and len(facts.examples) == 1
    for key, value in _flat(facts.config):
        if key in _OWN or (typed and key in ("data.source", "data.index")):
            continue
        own: Any = default
        for part in key.split("."):
            own = own.get(part) if isinstance(own, Mapping) else None
        if value != own:
            words += _flag(key.replace("_", "-"), _text(value))
    if typed:
        example = facts.examples[0]
        words += [*_flag("example", str(example.get("prompt", ""))), *_flag("answer", str(example.get("answer", "")))]
        words += [] if section(facts.config, "evals").get("tasks") else ["--evals.tasks", BUILTIN]
    return words


def _flag(name: str, value: str) -> list[str]:
    """`--name value`; in one word where the value could be taken for a flag."""
    return [f"--{name}={value}"] if value.startswith("-") else [f"--{name}", value]


def _flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key -> value. An algorithm's own keywords (`options`) stand beside its shared keys, as flags have them."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, above if key == "options" else f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
