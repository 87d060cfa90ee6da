"""Recorded histories, from the paper's published file or from our own runs, and the pool they belong to. No torch.

The published record is one JSON object: the index of an example -> its accuracies, one a visit, in the order of visits.
Its keys stand in the order in which the examples were first seen, which is also the order of ties. Our own record is
`history.jsonl` of a run folder: one row a step and problem, by the problem's id.

Unequal lengths are normal in both: a step visits only part of a pool. The published code compares whole histories, so
nothing is trimmed for the variance. What cannot be a complete record is refused: in the published form every example
needs a visit and none less than half of the longest history; in our own the problems never visited are told.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.errors import DataError, UsageError
from oneshot.history import check_row

RAGGED = 0.5
"""In the published form the shortest history has at least this share of the longest one's visits."""
MOST_SAMPLES = 64
"""Samples a visit that are tried when they must be told from the accuracies: any number fits some larger one."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """What is known of one example, by visit; all empty for one that was never visited."""

    accuracies: tuple[float, ...] = ()
    samples: tuple[int, ...] = ()
    """Samples of each visit; empty where they are not known."""
    answers: tuple[Mapping[str, int], ...] = ()
    """Extracted answer -> count, of each visit; empty where they were not recorded."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """Every track of a file, by the index (published form) or the id (our own) of the example."""

    source: str
    published: bool
    tracks: Mapping[str, Track]
    samples: int = 0
    """Published form: the samples a visit; 0 where they are not known."""
    samples_from: str = "record"
    """`record` (our own form), `flag`, or `accuracies`: then they are the least that fit, and may have been more."""


def read(path: Path, *, allow_ragged: bool = False, samples: int = 0) -> Recorded:
    """Read a history in either form; which one it is shows from its content.

    Args:
        path: the file.
        allow_ragged: take a published record of very unequal lengths.
        samples: samples a visit of a published record; 0: the least number that fits its accuracies.

    Raises:
        UsageError: E106 no such file, or neither form; E105 `samples` that do not fit, or for a record that has them.
        DataError: E301 an empty or ragged history, or an accuracy outside 0 to 1, each with its place.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(f"the history file {path} {what}.", code="E106", tries=("--history FILE.json", "--run RUN"))
    data = path.read_bytes()
    try:
        value = json.loads(data, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):  # several lines, or no JSON at all: then the rows say where
        return _run(path, samples)
    if isinstance(value, _Pairs) and "problem_id" not in value.keys:
        return published(value.pairs, str(path), allow_ragged=allow_ragged, samples=samples)
    if isinstance(value, _Pairs):
        return _run(path, samples)
    raise _neither(path)


def _neither(path: Path) -> UsageError:
    return UsageError(
        f"{path} is no history: neither a JSON object of lists nor the history.jsonl of a run.",
        code="E106",
        tries=('{"0": [0.125, 0.5], "1": [0, 1]}   (index -> accuracies)',),
    )


class _Pairs:
    """A JSON object with every key it was written with, so that a key given twice is noticed."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs
        self.keys = {key for key, _ in pairs}


def published(
    pairs: Sequence[tuple[str, Any]], source: str, *, allow_ragged: bool = False, samples: int = 0
) -> Recorded:
    """Tracks from pairs of an index and its list of accuracies. Arguments and errors as `read`."""
    if not pairs:
        raise DataError(f"{source} holds no example.", code="E301")
    histories: dict[str, tuple[float, ...]] = {}
    for key, values in pairs:
        if key in histories:
            raise DataError(f"{source}: the index {key!r} occurs twice.", code="E301")
        histories[key] = _accuracies(key, values, source)
    shortest, longest = (pick(histories, key=lambda key: len(histories[key])) for pick in (min, max))
    if len(histories[shortest]) < RAGGED * len(histories[longest]) and not allow_ragged:
        raise DataError(
            f"{source}: the histories are ragged: {len(histories[shortest])} visits to {shortest!r}, "
            f"{len(histories[longest])} to {longest!r}. The shortest must have at least half of the longest, "
            "or their scores do not compare.",
            code="E301",
            tries=("--allow-ragged   (rank all the same)",),
        )
    if samples:
        _check_samples(histories, samples, source)
    known = samples or samples_of({accuracy for history in histories.values() for accuracy in history})
    tracks = {
        key: Track(accuracies=history, samples=(known,) * len(history) if known else ())
        for key, history in histories.items()
    }
    told = "flag" if samples else "accuracies"
    return Recorded(source=source, published=True, tracks=tracks, samples=known, samples_from=told)


def _accuracies(key: str, values: Any, source: str) -> tuple[float, ...]:
    where = f"{source}, index {key!r}"
    if not isinstance(values, list):
        raise DataError(f"{where}: a history is a list of accuracies.", code="E301")
    if not values:
        raise DataError(f"{where}: the history is empty. Every example needs at least one visit.", code="E301")
    for visit, value in enumerate(values, start=1):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 <= value <= 1:  # NaN is not either
            shown = value if number else type(value).__name__
            raise DataError(f"{where}, visit {visit}: {shown} is no accuracy between 0 and 1.", code="E301")
    return tuple(map(float, values))


def samples_of(accuracies: set[float]) -> int:
    """The smallest number of samples that every accuracy is a whole share of; 0 where none up to `MOST_SAMPLES` fits.

    A lower bound: visits of 16 samples that all came out as eighths look like visits of 8.
    """
    fitting = (n for n in range(1, MOST_SAMPLES + 1) if all(_is_share(a, n) for a in accuracies))
    return next(fitting, 0)


def _is_share(accuracy: float, samples: int) -> bool:
    return math.isclose(accuracy * samples, round(accuracy * samples), abs_tol=1e-9 * samples)


def _check_samples(histories: Mapping[str, Sequence[float]], samples: int, source: str) -> None:
    """Refuse a number of samples that some accuracy is no whole share of."""
    for key, history in histories.items():
        for visit, accuracy in enumerate(history, start=1):
            if not _is_share(accuracy, samples):
                raise UsageError(
                    f"--samples {samples} does not fit {source}: index {key!r}, visit {visit} has the accuracy "
                    f"{accuracy:g}, which is no whole number of {samples} samples.",
                    code="E105",
                    kept="Nothing was written.",
                )


def _run(path: Path, samples: int = 0) -> Recorded:
    """Tracks from the `history.jsonl` of a run, which has its samples itself."""
    tracks: dict[str, dict[int, Mapping[str, Any]]] = {}
    for number, row in enumerate(files.read_lines(path), start=1):
        _check_row(row, f"{path}, line {number}")
        tracks.setdefault(row["problem_id"], {})[row["step"]] = row  # a step observed again replaces what was there
    if not tracks:
        if path.read_bytes().strip():  # one line that is no JSON, which a reader of rows takes for a torn write
            raise _neither(path)
        raise DataError(f"{path} holds no visit.", code="E301")
    if samples:
        message = f"--samples {samples}: {path} records how many samples each visit had."
        raise UsageError(message, code="E105", kept="Nothing was written.")
    return Recorded(source=str(path), published=False, tracks={key: _track(steps) for key, steps in tracks.items()})


def _check_row(row: Mapping[str, Any], where: str) -> None:
    """As `history.check_row`; also that the answers are no more than the samples, which redraws need."""
    check_row(row, where)
    if sum(row["answers"].values()) > row["samples"]:
        raise DataError(f"{where}: {sum(row['answers'].values())} answers of {row['samples']} samples.", code="E301")


def _track(by_step: Mapping[int, Mapping[str, Any]]) -> Track:
    rows = [by_step[step] for step in sorted(by_step)]
    return Track(
        accuracies=tuple(row["successes"] / row["samples"] for row in rows),
        samples=tuple(row["samples"] for row in rows),
        answers=tuple(row["answers"] for row in rows),
    )


def aligned(recorded: Recorded, keys: Sequence[str], pool: str) -> tuple[list[Track], list[int]]:
    """[P] the track of each example of a pool, and [P] its place in the stable order of ties.

    `keys` are the pool's indices (published form) or ids. Ties of a published record keep the order of its keys; ties
    of a run keep the pool's order, because the order of first visits is another shuffle in every run.

    Raises:
        UsageError: E105 when history and pool do not belong together.
    """
    named = "indices" if recorded.published else "ids"
    there = set(keys)
    strange = [key for key in recorded.tracks if key not in there]
    absent = [key for key in dict.fromkeys(keys) if key not in recorded.tracks]
    if len(there) < len(keys) and recorded.published:
        twice = [key for key, count in Counter(keys).items() if count > 1]
        raise _mismatch(recorded, pool, f"{len(twice)} indices occur twice in the pool ({_few(twice)})")
    if strange:
        raise _mismatch(recorded, pool, f"{len(strange)} {named} of the history are not in the pool ({_few(strange)})")
    if absent and recorded.published:
        raise _mismatch(recorded, pool, f"{len(absent)} {named} of the pool have no history ({_few(absent)})")
    order = {key: place for place, key in enumerate(recorded.tracks)}
    stable = [order[key] for key in keys] if recorded.published else list(range(len(keys)))
    return [recorded.tracks.get(key, Track()) for key in keys], stable


def _few(keys: Sequence[str]) -> str:
    return ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")


def _mismatch(recorded: Recorded, pool: str, what: str) -> UsageError:
    return UsageError(
        f"{recorded.source} is not the history of {pool}: {what}. The history has {len(recorded.tracks)} examples.",
        code="E105",
        kept="Nothing was written.",
    )
