"""What a study announces before the first step, and how that is compared with what is there. Loads no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oneshot.config.load import to_dict
from oneshot.config.schema import Config
from oneshot.config.sources import flatten
from oneshot.stages.studies.arms import Plan, contents, resolved

RULES = (
    "Claims are the primary pairs, or where none are named each arm minus the baseline and the contrasts, at equal "
    "steps, on every test task, or on the dev set where there is none; other pairs are described. The "
    "interval is that of new seeds (t of the paired differences, S - 1 degrees of freedom, never narrower than that "
    "of these runs), and Holm's adjusted p over all of them must be at most .05."
)
DECIDED = ("save.runs", "model.threads", "evals.data_dir")
"""Settings that this machine decides."""


def preregistration(plan: Plan, tasks: Mapping[str, int]) -> dict[str, Any]:
    """What is announced before the first step."""
    study = plan.study
    own = {name: hashlib.sha256(data).hexdigest() for name, data in contents(plan).items()}
    return {
        "schema": "oneshot.preregistration/1",
        "study": plan.name,
        "claim": study.claim,
        "baseline": study.baseline,
        "contrasts": [list(pair) for pair in study.contrasts],
        "primary": [list(pair) for pair in study.primary],
        "seeds": list(study.seeds),
        "problems": dict(tasks),
        "rules": RULES,
        "files": own,
        "arms": {name: resolved(config) for name, config in plan.arms.items()},
    }


def canonical(told: Mapping[str, Any]) -> bytes:
    """Sorted keys, one form of every number: the text whose digest stands in the runs."""
    return json.dumps(told, sort_keys=True, indent=1, ensure_ascii=True).encode() + b"\n"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(key, before, now) of what differs; a setting that is new since then and has its default is no difference."""
    defaults = {".".join(path): value for path, value in flatten(to_dict(Config()))}
    old, new = (dict(flatten(told)) for told in (before, now))
    for path in sorted({*old, *new}):
        setting = ".".join(path[2:]) if path[0] == "arms" else ""  # arms.NAME.optim.lr
        if path not in old and setting in defaults and new[path] == defaults[setting]:
            continue
        if old.get(path) != new.get(path):
            yield ".".join(path), old.get(path), new.get(path)


def config_differences(expected: Config, found: Config) -> Iterator[tuple[str, Any, Any]]:
    """(key, expected, found) of two configurations; what a machine decides for `auto` and 0 is no difference."""
    one, two = ({".".join(path): value for path, value in flatten(to_dict(config))} for config in (expected, found))
    for key in dict.fromkeys((*one, *two)):
        asked, has = one.get(key), two.get(key)
        auto = asked == "auto" or (asked == 0 and key.endswith(".batch"))
        moved = key.endswith(".source") and own_file(asked, expected) == own_file(has, found)
        if asked != has and key not in DECIDED and not auto and not moved:
            yield key, asked, has


def own_file(source: Any, config: Config) -> str:
    """The name of a file of the study's own folder, wherever that lies; of another file its path."""
    path = Path(str(source))
    return path.name if path.parent == Path(config.save.runs) else str(path)


def short(value: Any) -> str:
    """A value in an error: JSON, cut."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
