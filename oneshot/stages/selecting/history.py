"""A pool ranked by a recorded history: the paper's published record, or a run that trained on it. Loads no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oneshot._store import files
from oneshot.config.request import Request
from oneshot.errors import DataError, UsageError
from oneshot.measure import histories
from oneshot.measure.histories import Recorded, Track
from oneshot.measure.selection import SCORES, corrected_variance, mean_accuracy, noise_share
from oneshot.measure.uncertainty import SENTENCE, Intervals, Ranking, intervals, ranking
from oneshot.record import RunFolder
from oneshot.stages.select import Asked, Selected
from oneshot.stages.selecting.candidates import Candidate, Choice

Row = Mapping[str, Any]


def recorded(request: Request, asked: Asked, pool: Sequence[Candidate]) -> Selected:
    """Every row of the pool, ranked by what was recorded, or by chance with nothing at all. Errors as `select.main`."""
    record, examples = _read(request, asked, pool)
    tracks: Sequence[Track] = [Track()] * len(pool)
    stable: Sequence[int] = range(len(pool))
    if record is not None:
        tracks, stable = _aligned(record, examples, asked, pool)
        if asked.score != "random":
            check_solved(request, asked, tracks)
            check_needs(asked, tracks)
    score = SCORES[asked.score]
    scores = score.of(tracks, request.config.seed)
    if np.isnan(scores).all():
        raise _none(asked, "no example was visited twice with more than a single sample each.")
    ranks = ranking(scores, descending=score.descending, stable_P=stable)
    bounds = intervals(asked.score, tracks, count=asked.redraws, seed=request.config.seed)
    facts = {**_source(record, tracks), **_noise(tracks), **_ties(ranks), "redraws": asked.redraws if bounds else 0}
    return Selected(
        choices=_choices(pool, tracks, scores, ranks, bounds),
        facts=facts,
        notes=_notes(asked, record, tracks, facts),
    )


def _read(request: Request, asked: Asked, pool: Sequence[Candidate]) -> tuple[Recorded | None, Sequence[Row]]:
    """The record, and the rows of `example.jsonl` beside one that lies in a run folder."""
    if not asked.source:
        return None, []
    if asked.source == "run":
        run = RunFolder.open(asked.value, Path(request.config.save.runs))
        path = run.history_path
        if not path.is_file():
            raise UsageError(f"the run {run.path} has no history yet.", code="E106", tries=(f"ls {run.path}",))
    else:
        path = Path(asked.value).expanduser()
        if (path / "history.jsonl").is_file():
            tries = (f"oneshot select {asked.pool} --run {path}",)
            raise UsageError(f"{path} is a run folder.", code="E106", tries=tries)
    examples = files.read_lines(path.parent / "example.jsonl") if path.name == "history.jsonl" else []
    examples = [row for row in examples if all(isinstance(row.get(key), str) for key in ("id", "prompt", "answer"))]
    _same_questions(path.parent, examples, asked, pool)
    return histories.read(path, allow_ragged=asked.allow_ragged, samples=asked.samples), examples


def _same_questions(folder: Path, examples: Sequence[Row], asked: Asked, pool: Sequence[Candidate]) -> None:
    """Refuse a run that trained on other questions under the same ids, as two files of numbered rows have them."""
    questions = {row.problem.id: row.problem.prompt for row in pool}
    other = [row["id"] for row in examples if questions.get(row["id"], row["prompt"]) != row["prompt"]]
    if other:
        raise UsageError(
            f"{folder} trained on other questions than {asked.pool} has: {len(other)} ids of both name different "
            f"texts (id {other[0]!r} first).",
            code="E105",
            kept="Nothing was written.",
        )


def _aligned(
    record: Recorded, examples: Sequence[Row], asked: Asked, pool: Sequence[Candidate]
) -> tuple[list[Track], list[int]]:
    """As `histories.aligned`. A row of the pool is known to a run by question and answer, or by an id.

    The ids are the one that training would read from this row; that of the first row with the same question and answer,
    into which training merges the others; and the one that `select` writes, where the run trained on earlier picks.
    """
    if record.published:
        return histories.aligned(record, [str(row.index) for row in pool], asked.pool)
    trained = {(row["prompt"], row["answer"]): row["id"] for row in examples}
    first: dict[tuple[str, str], str] = {}
    keys = []
    for row in pool:
        text = (row.problem.prompt, row.problem.answer)
        merged = first.setdefault(text, row.problem.id)
        names = (trained.get(text, ""), row.problem.id, merged, row.id)
        keys.append(next((name for name in names if name in record.tracks), row.problem.id))
    return histories.aligned(record, keys, asked.pool)


def check_solved(request: Request, asked: Asked, tracks: Sequence[Track]) -> None:
    """Refuse a pool where nothing was ever solved (E303) or everything always was (E307), unless told to go on."""
    seen = [accuracy for track in tracks for accuracy in track.accuracies]
    visits = f"{len(seen):,} visits to {sum(bool(track.accuracies) for track in tracks):,} examples"
    if not any(seen) and not request.config.data.allow_unsolved:
        raise DataError(
            f"nothing in {asked.pool} was ever solved: {visits} without one success, so all examples tie. "
            "(In the paper, examples never solved in selection still worked.)",
            code="E303",
            tries=(f"{asked.command} --allow-unsolved   (rank all the same)", "an easier pool, or a stronger model"),
            kept="Nothing was written.",
        )
    if all(accuracy == 1 for accuracy in seen) and not request.yes:
        raise DataError(
            f"everything in {asked.pool} was always solved: {visits} without one failure, so all examples tie.",
            code="E307",
            tries=(f"{asked.command} --yes   (rank all the same)", "a harder pool"),
            kept="Nothing was written.",
        )


def check_needs(asked: Asked, tracks: Sequence[Track]) -> None:
    """Refuse a score that these tracks cannot have (E306)."""
    seen, needs = [track for track in tracks if track.accuracies], SCORES[asked.score].needs
    if needs in ("two", "samples") and max(len(track.accuracies) for track in seen) < 2:
        raise _none(asked, "no example was visited twice, so nothing has varied yet.", "mean-accuracy")
    if needs == "samples" and not all(track.samples for track in seen):
        raise _none(asked, "the accuracies do not tell how many samples a visit had, so their noise is not known.")
    if needs == "answers" and not any(track.answers for track in seen):
        raise _none(asked, "this record holds accuracies and no answers; the history of a run has both.")


def _none(asked: Asked, why: str, way: str = "historical-variance") -> DataError:
    return DataError(
        f"--score {asked.score}: {why}",
        code="E306",
        tries=(f"{asked.command} --score {way}",),
        kept="Nothing was written.",
    )


def _choices(
    pool: Sequence[Candidate],
    tracks: Sequence[Track],
    scores: np.ndarray[Any, np.dtype[np.float64]],
    ranks: Ranking,
    bounds: Intervals | None,
) -> list[Choice]:
    accuracies, samples = [track.accuracies for track in tracks], [track.samples for track in tracks]
    means, corrected = mean_accuracy(accuracies), corrected_variance(accuracies, samples)
    unknown = np.full(len(pool), math.nan)
    low = unknown if bounds is None else bounds.score_low_P
    high = unknown if bounds is None else bounds.score_high_P
    rank_low = unknown if bounds is None else bounds.rank_low_P
    rank_high = unknown if bounds is None else bounds.rank_high_P
    return [
        Choice(
            candidate=pool[place],
            rank=int(ranks.rank_P[place]),
            score=float(scores[place]),
            low=float(low[place]),
            high=float(high[place]),
            mean=float(means[place]),
            visits=len(accuracies[place]),
            tie_first=int(ranks.first_P[place]),
            tie_last=int(ranks.last_P[place]),
            rank_low=float(rank_low[place]),
            rank_high=float(rank_high[place]),
            corrected=float(corrected[place]),
            accuracies=accuracies[place],
        )
        for place in ranks.order
    ]


def _source(record: Recorded | None, tracks: Sequence[Track]) -> dict[str, Any]:
    if record is None:
        return {"history": None}
    visits = [len(track.accuracies) for track in tracks if track.accuracies]
    found: dict[str, Any] = {"file": record.source, "form": "published" if record.published else "run"}
    found |= {"samples_from": record.samples_from if any(track.samples for track in tracks) else None}
    found |= {"visited": len(visits), "fewest_visits": min(visits), "most_visits": max(visits)}
    samples = sorted({n for track in tracks for n in track.samples})
    return {"history": found | {"samples_a_visit": samples[:1] + samples[1:][-1:]}}


def _noise(tracks: Sequence[Track]) -> dict[str, Any]:
    """How much of the variances is noise; counted exactly."""
    accuracies, samples = [track.accuracies for track in tracks], [track.samples for track in tracks]
    shares, corrected = noise_share(accuracies, samples), corrected_variance(accuracies, samples)
    if np.isnan(shares).all():
        return {"noise": None}
    counts = {"not_positive": int((corrected <= 0).sum()), "negative": int((corrected < 0).sum())}
    known = int((~np.isnan(corrected)).sum())
    median = float(np.nanmedian(shares))
    return {"noise": {"median_share_of_variance": median, "examples": known, "corrected_variance": counts}}


def _ties(ranks: Ranking) -> dict[str, Any]:
    blocks = Counter(zip(ranks.first_P.tolist(), ranks.last_P.tolist(), strict=True))
    tied = sorted(block for block, count in blocks.items() if count > 1)
    return {"ties": [list(block) for block in tied]}


def _notes(asked: Asked, record: Recorded | None, tracks: Sequence[Track], facts: dict[str, Any]) -> list[str]:
    told = []
    if record is not None and (found := facts["history"]):
        few, most, samples = found["fewest_visits"], found["most_visits"], found["samples_a_visit"]
        sizes = f"{' to '.join(map(str, samples))} samples each" if samples else "samples of each not known"
        if found["samples_from"] == "accuracies":
            sizes = f"at least {sizes} (told from the accuracies; --samples N says how many)"
        told.append(f"{record.source}: {few} to {most} visits of {found['visited']:,} examples, {sizes}.")
        if (missing := len(tracks) - found["visited"]) and asked.score != "random":
            told.append(f"{missing:,} of {len(tracks):,} examples were never visited: ranked last, without a score.")
        told += _uneven(asked, record, tracks, few, most)
        if asked.score == "lim" and few < most:
            told.append(f"lim compares the first {few} visits, which all visited examples have.")
    if noise := facts["noise"]:
        share, counts = noise["median_share_of_variance"], noise["corrected_variance"]
        told.append(
            f"median share of sampling noise in the variance: {share:.0%}; of the variances corrected for it "
            f"{counts['not_positive']:,} of {noise['examples']:,} are 0 or less, {counts['negative']:,} of them below."
        )
    if ties := facts["ties"]:
        first, last = max(ties, key=lambda block: block[1] - block[0])
        told.append(f"{len(ties)} ties, the largest of {last - first + 1} examples (ranks {first} to {last}).")
    if facts["redraws"]:
        told.append(f"intervals: 95 % of {facts['redraws']:,} redraws; {SENTENCE}.")
    return told


def _uneven(asked: Asked, record: Recorded, tracks: Sequence[Track], few: int, most: int) -> list[str]:
    """What there is to say of a run that visited some examples much less than others, or once."""
    told = []
    if not record.published and few < histories.RAGGED * most and not asked.allow_ragged:
        rare = sum(0 < len(track.accuracies) < histories.RAGGED * most for track in tracks)
        told.append(
            f"warning: the histories are ragged: {few} to {most} visits, {rare:,} examples with less than half of the "
            "most; such scores hardly compare."
        )
    once = sum(len(track.accuracies) == 1 for track in tracks)
    if once and SCORES[asked.score].needs in ("two", "samples"):
        what = "their standard deviation is 0 whatever they are" if asked.score == "historical-variance" else "no score"
        told.append(f"{once:,} examples were visited once: {what}.")
    return told
