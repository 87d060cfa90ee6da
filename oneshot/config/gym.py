"""`gym:chain_sum`: a data set of the optional library reasoning-gym, which makes problems and scores answers itself.

Task and grader are in layers that do not see each other, so what both must agree on is here: the name with its
settings, from which the same data set is made again, and the mark in a reference that says which entry it belongs to.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from oneshot.config.load import guess
from oneshot.config.names import closest
from oneshot.errors import MachineError, UsageError

PREFIX, LENIENT = "gym:", "gym-lenient:"
"""What a task's or strict grader's name begins with, and a lenient grader's."""
INSTALL = "pip install 'oneshot-rlvr[tasks]'"
_EXAMPLE = "--tasks gym:chain_sum:size=100:seed=0"
_NAME = re.compile(r"[a-z0-9_]+")
_MARK = re.compile(r" ?\[#(\d+-[0-9a-f]{8})\]$")

Value = int | float | bool | str


@dataclass(frozen=True, kw_only=True)
class GymSpec:
    """One data set with everything it is made from."""

    name: str
    size: int = 100
    """Problems."""
    seed: int = 0
    options: tuple[tuple[str, Value], ...] = ()
    """Other fields of the data set's configuration, sorted by name."""

    @property
    def text(self) -> str:
        """The name in full: reading it gives the same data set. Example: `gym:chain_sum:seed=0:size=100`."""
        pairs = (("seed", self.seed), ("size", self.size), *self.options)
        return PREFIX + ":".join([self.name, *(f"{key}={_written(value)}" for key, value in pairs)])

    @property
    def slug(self) -> str:
        """A folder's name; settings that are not the default are part of it."""
        own = [("seed", self.seed)] if self.seed else []
        own += [("size", self.size)] if self.size != GymSpec.size else []
        pairs = [*own, *self.options]
        return re.sub(r"[^\w.-]", "_", "-".join(["gym", self.name, *(f"{k}{_written(v)}" for k, v in pairs)]))


def read_spec(text: str) -> GymSpec:
    """`gym:NAME[:size=N][:seed=N][:OPTION=VALUE]...`, or the same after `gym-lenient:`; nothing is imported.

    Raises:
        UsageError: E103 another form, or a size below 1.
    """
    name, *pairs = text.removeprefix(LENIENT).removeprefix(PREFIX).split(":")
    values: dict[str, Value] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not _NAME.fullmatch(key) or not value or key in values:
            raise UsageError(
                f"{text!r}: {pair!r} is no setting of the form name=value.", code="E103", tries=(_EXAMPLE,)
            )
        values[key] = guess(value)
    size, seed = values.pop("size", GymSpec.size), values.pop("seed", 0)
    if not _NAME.fullmatch(name) or not _count(size, 1) or not _count(seed, 0):
        rule = "It is gym:NAME, with a size of at least 1 and a seed of at least 0."
        raise UsageError(f"{text!r} is no reasoning-gym task. {rule}", code="E103", tries=(_EXAMPLE,))
    return GymSpec(name=name, size=int(size), seed=int(seed), options=tuple(sorted(values.items())))


def make_dataset(spec: GymSpec) -> Any:
    """The data set: `len`, entries by number with `question`, `answer`, `metadata`, and `score_answer`.

    Raises:
        MachineError: E204 without the library.
        UsageError: E102 an unknown data set, E101 an unknown option, E103 a value it refuses.
    """
    try:
        from reasoning_gym import create_dataset
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise MachineError(
            f"the task {spec.text} needs the package reasoning-gym.", code="E204", tries=(INSTALL,)
        ) from error
    if spec.name not in DATASETS:
        hint = _hint(closest(spec.name, sorted(DATASETS)))
        raise UsageError(f"reasoning-gym has no data set {spec.name!r}.{hint}", code="E102", tries=(_EXAMPLE,))
    fields = [field.name for field in dataclasses.fields(DATASETS[spec.name][1])]
    for option, _ in spec.options:
        if option not in fields:
            hint = _hint(closest(option, fields))
            raise UsageError(f"{spec.name} has no option {option!r}.{hint} It takes: {', '.join(fields)}.", code="E101")
    try:
        return create_dataset(spec.name, size=spec.size, seed=spec.seed, **dict(spec.options))
    except (AssertionError, ValueError, TypeError) as error:  # the library checks its settings with assertions
        raise UsageError(f"{spec.text} is refused by reasoning-gym: {error}", code="E103") from error


def key(number: int, question: str) -> str:
    """Names an entry: its number, and a hash of its question, since not every data set is the same in each process."""
    return f"{number}-{hashlib.sha256(question.encode()).hexdigest()[:8]}"


def marked(answer: str, entry: str) -> str:
    """The reference of an entry: its scorer needs the entry, and a grader is given a reference alone."""
    return f"{answer} [#{entry}]".strip()


def unmarked(reference: str) -> tuple[str, str]:
    """(answer, key of the entry); an empty key where the reference has no mark."""
    found = _MARK.search(reference)
    return (reference[: found.start()], found[1]) if found else (reference, "")


def _hint(near: str) -> str:
    return f" Did you mean {near!r}?" if near else ""


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _count(value: Value, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
