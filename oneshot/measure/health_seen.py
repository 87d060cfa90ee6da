"""A run folder as the health rules read it: a line or a file that is damaged is a finding, and the rest is read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oneshot._store.rows import metric_rows
from oneshot._store.values import is_number
from oneshot.config.names import ALIASES, KEYS, SHORT, TRUTH
from oneshot.errors import OneshotError
from oneshot.measure.compared import evaluated
from oneshot.measure.control_line import words_of
from oneshot.measure.findings import Finding, Machine, Seen
from oneshot.measure.run_facts import WRONG_FORM
from oneshot.record import RunFolder

Rows = list[dict[str, Any]]


def looked_at(run: RunFolder, machine: Machine) -> tuple[Seen, list[Finding]]:
    """(what can be read of a run folder, what cannot). Never raises for a damaged or an incomplete folder."""
    damage = Damage()
    rows = {name: damage.rows(run.path / f"{name}.jsonl") for name in ("metrics", "events", "example")}
    if strange := sum(not is_number(row.get("step")) for row in rows["metrics"]):
        damage.whole(f"{strange} of {len(rows['metrics'])} rows of metrics.jsonl have no step: of another version?")
    missing: list[str] = []
    seen = Seen(
        run=run,
        machine=machine,
        config=damage.read("config.json", run.config),
        env=damage.read("env.json", run.env),
        status=damage.read("status.json", run.status),
        metrics=metric_rows(rows["metrics"]),
        events=rows["events"],
        evals=[*damage.read("evals/", lambda: evaluated(run, missing))],
        examples=len(rows["example"]),
    )
    for sentence in missing:
        damage.whole(sentence)
    return seen, damage.findings


class Damage:
    """Reads files, and notes what cannot be read."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def whole(self, text: str) -> None:
        """A file that counts as absent."""
        self.findings.append(Finding(rule="damage", level="bad", text=text.rstrip(".")))

    def read(self, name: str, what: Callable[[], Mapping[Any, Any]]) -> Mapping[Any, Any]:
        """What `what` reads; empty where that cannot be read."""
        try:
            return what()
        except OneshotError as error:
            self.whole(error.message)
        except WRONG_FORM as error:
            self.whole(f"{name} cannot be read: {type(error).__name__}: {error}")
        return {}

    def rows(self, path: Path) -> Rows:
        """The objects of a `.jsonl` file, none where it is absent; a torn last line is no damage."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            self.whole(f"{path} cannot be read: {error.strerror}")
            return []
        *lines, last = data.split(b"\n")
        found, bad = list[dict[str, Any]](), dict[int, str]()
        for number, line in enumerate(lines, start=1):
            row, why = _object(line)
            if row is None:
                bad[number] = why
            else:
                found.append(row)
        whole, _ = _object(last)
        found += [] if whole is None else [whole]
        if bad:
            self._lines(path, bad, len(found))
        return found

    def _lines(self, path: Path, bad: Mapping[int, str], rest: int) -> None:
        """`bad`: line number -> what is wrong with it; `rest`: rows that could be read."""
        first = min(bad)
        more = f", and {len(bad) - 1} more like it" if len(bad) > 1 else ""
        text = f"{path}, line {first} {bad[first]}{more}: left out here, {rest} rows are read; a resumed run refuses it"
        look = f"sed -n {first}p {shlex.quote(str(path))}"
        level = "warn" if rest else "bad"
        self.findings.append(Finding(rule="damage", level=level, text=text, numbers={"lines": [*bad]}, next=look))


def _object(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """(the JSON object of a line, what is wrong where there is none)."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None, "is not JSON"
    return (value, "") if isinstance(value, dict) else (None, "is not a JSON object")


def again(seen: Seen, key: str, value: str) -> str:
    """The command of the run with one setting changed; empty where the command is not known."""
    argv = words_of(seen.env)
    if argv[:1] not in (["train"], ["demo"]) or "--resume" in argv:
        return ""
    return shlex.join(["oneshot", *_without(argv, key), f"--{key.replace('_', '-')}", value])


def _without(argv: Sequence[str], key: str) -> list[str]:
    """The words without every flag that sets `key`, in any of its spellings, and without their values.

    What follows another flag as its value stays, whatever it looks like.
    """
    left, kept = list(argv), list[str]()
    while left:
        words = [left.pop(0)]
        name, equals, _ = words[0].removeprefix("--").partition("=")
        flag, plain = words[0].startswith("-"), name.replace("-", "_")
        found = SHORT.get(plain.replace("_", "-")) or ALIASES.get(plain, plain)
        if flag and not equals and left and not left[0].startswith("--") and _takes(found, left[0]):
            words.append(left.pop(0))
        if found != key or not (flag or (equals and "." in name)):  # Hydra's way has no dashes
            kept += words
    return kept


def _takes(name: str, word: str) -> bool:
    """Whether a flag of a training command has the word after it as its value; its other flags are switches."""
    if KEYS.get(name) is bool:
        return word.lower() in TRUTH
    return name in KEYS or name in ("config", "_c") or name.startswith(("algorithm.", "data.curriculum_options."))
