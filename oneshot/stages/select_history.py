"""A pool ranked by a recorded history: the paper's published record, or a run that trained on it. Loads no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oneshot.config.request import Request
from oneshot.errors import DataError, UsageError
from oneshot.measure import histories
from oneshot.measure.histories import Recorded, Track
from oneshot.measure.selection import SCORES, corrected_variance, mean_accuracy, noise_share
from oneshot.measure.uncertainty import SENTENCE, Intervals, Ranking, intervals, ranking
from oneshot.record import RunFolder
from oneshot.stages.candidates import Candidate, Choice
from oneshot.stages.select import Asked, Selected


def recorded(request: Request, asked: Asked, pool: Sequence[Candidate]) -> Selected:
    """Every row of the pool, ranked by what was recorded, or by chance with nothing at all. Errors as `select.main`."""
    record = _read(request, asked, pool)
    tracks: Sequence[Track] = [Track()] * len(pool)
    stable: Sequence[int] = range(len(pool))
    if record is not None:
        tracks, stable = _aligned(record, asked, pool)
        if asked.score != "random":
            check_solved(request, asked, tracks)
            check_needs(asked, tracks)
    score = SCORES[asked.score]
    scores = score.of(tracks, request.config.seed)
    if np.isnan(scores).all():
        raise _none(asked, "no example has a score: every visit has a single sample.")
    ranks = ranking(scores, descending=score.descending, stable_P=stable)
    bounds = intervals(asked.score, tracks, count=asked.redraws, seed=request.config.seed)
    facts = {**_source(record, tracks), **_noise(tracks), **_ties(ranks), "redraws": asked.redraws if bounds else 0}
    return Selected(
        choices=_choices(pool, tracks, scores, ranks, bounds),
        facts=facts,
        notes=_notes(asked, record, tracks, facts),
    )


def _read(request: Request, asked: Asked, pool: Sequence[Candidate]) -> Recorded | None:
    if asked.source == "run":
        run = RunFolder.open(asked.value, Path(request.config.save.runs))
        if not run.history_path.is_file():
            raise UsageError(f"the run {run.path} has no history yet.", code="E106", tries=(f"ls {run.path}",))
        _same_questions(run, asked, pool)
        return histories.read(run.history_path)
    if not asked.source:
        return None
    path = Path(asked.value).expanduser()
    if (path / "history.jsonl").is_file():
        raise UsageError(f"{path} is a run folder.", code="E106", tries=(f"oneshot select {asked.pool} --run {path}",))
    return histories.read(path, allow_ragged=asked.allow_ragged)


def _same_questions(run: RunFolder, asked: Asked, pool: Sequence[Candidate]) -> None:
    """Refuse a run that trained on other questions under the same ids, as two files of numbered rows have them."""
    questions = {row.problem.id: row.problem.prompt for row in pool}
    other = [row["id"] for row in run.example() if questions.get(row["id"], row["prompt"]) != row["prompt"]]
    if other:
        raise UsageError(
            f"{run.path} trained on other questions than {asked.pool} has: {len(other)} ids of both name different "
            f"texts (id {other[0]!r} first).",
            code="E105",
            kept="Nothing was written.",
        )


def _aligned(record: Recorded, asked: Asked, pool: Sequence[Candidate]) -> tuple[list[Track], list[int]]:
    if record.published:
        return histories.aligned(record, [str(row.index) for row in pool], asked.pool)
    # Training merges rows with equal question and answer into the first of them, so the others share its history.
    first: dict[tuple[str, str], str] = {}
    keys = []
    for row in pool:
        merged = first.setdefault((row.problem.prompt, row.problem.answer), row.problem.id)
        keys.append(row.problem.id if row.problem.id in record.tracks else merged)
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
    if needs == "two" and max(len(track.accuracies) for track in seen) < 2:
        raise _none(asked, "no example was visited twice, so nothing has varied yet.")
    if needs == "samples" and not all(track.samples for track in seen):
        raise _none(asked, "the accuracies do not tell how many samples a visit had, so their noise is not known.")
    if needs == "answers" and not any(track.answers for track in seen):
        raise _none(asked, "this record holds accuracies and no answers; the history of a run has both.")


def _none(asked: Asked, why: str) -> DataError:
    way = "mean-accuracy" if asked.score in ("historical-variance", "recent-slope") else "historical-variance"
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
    return {"noise": {"median_share_of_variance": float(np.nanmedian(shares)), "corrected_variance": counts}}


def _ties(ranks: Ranking) -> dict[str, Any]:
    blocks = Counter(zip(ranks.first_P.tolist(), ranks.last_P.tolist(), strict=True))
    tied = sorted(block for block, count in blocks.items() if count > 1)
    return {"ties": [list(block) for block in tied]}


def _notes(asked: Asked, record: Recorded | None, tracks: Sequence[Track], facts: dict[str, Any]) -> list[str]:
    told = []
    if record is not None and (found := facts["history"]):
        few, most, samples = found["fewest_visits"], found["most_visits"], found["samples_a_visit"]
        sizes = f"{' to '.join(map(str, samples))} samples each" if samples else "samples of each not known"
        told.append(f"{record.source}: {few} to {most} visits of {found['visited']:,} examples, {sizes}.")
        if (missing := len(tracks) - found["visited"]) and asked.score != "random":
            told.append(f"{missing:,} of {len(tracks):,} examples were never visited: ranked last, without a score.")
        if asked.score == "lim" and few < most:
            told.append(f"lim compares the first {few} visits, which all visited examples have.")
    if noise := facts["noise"]:
        share, counts = noise["median_share_of_variance"], noise["corrected_variance"]
        told.append(
            f"median share of sampling noise in the variance: {share:.0%}; corrected for it, "
            f"{counts['not_positive']:,} of {len(tracks):,} variances are 0 or less ({counts['negative']:,} below 0)."
        )
    if ties := facts["ties"]:
        first, last = max(ties, key=lambda block: block[1] - block[0])
        told.append(f"{len(ties)} ties, the largest of {last - first + 1} examples (ranks {first} to {last}).")
    if facts["redraws"]:
        told.append(f"intervals: 95 % of {facts['redraws']:,} redraws; {SENTENCE}.")
    return told
