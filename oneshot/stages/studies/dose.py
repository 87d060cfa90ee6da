"""A study's arms at equal drift: readings and drifts of the runs, and the claims of `measure/dose`. Loads no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oneshot.measure.differences import LEAST_SEEDS
from oneshot.measure.dose import Dose, Reading, at_drift, common_drift, paired_doses
from oneshot.measure.multiplicity import holm
from oneshot.measure.pairing import cluster_of
from oneshot.record import RunFolder
from oneshot.stages.comparing.models import BASE, Model
from oneshot.stages.comparing.numbers import Claim, claim_of
from oneshot.stages.evals import best

Pairs = Sequence[tuple[str, str, tuple[int, ...]]]
"""(arm, against, seeds that both have)."""
Doses = Mapping[str, Mapping[int, Dose]]
"""Arm -> seed -> what it scored at the common drift."""
NOT_OVER_SEEDS = "not tested over seeds"
DESCRIBED = "described"
"""Of a pair that is none of the primary ones: its numbers stand there, and nothing is claimed."""


@dataclass(frozen=True, kw_only=True)
class AtDrift:
    """One task at equal drift."""

    drift: float
    """Nats a token of the base's own answers."""
    still: Mapping[str, float]
    """Arms that hardly moved, with their final drift; they are not compared here."""
    doses: Doses
    claims: Sequence[tuple[str, str, tuple[int, ...], Claim]]
    """(arm, against, seeds, claim)."""
    announced: int = 0
    """Seeds of the study."""
    primary: frozenset[frozenset[str]] = frozenset()
    """The pairs that are claimed."""

    def says(self, arm: str, against: str, claim: Claim) -> str:
        """What is claimed; without enough seeds, or before all that were announced, nothing is."""
        if {arm, against} not in self.primary:
            return DESCRIBED
        if claim.seeds is None or len(claim.effects) < LEAST_SEEDS:
            return NOT_OVER_SEEDS
        return interim(len(claim.effects), self.announced) or claim.says

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "drift": self.drift,
            "still": dict(self.still),
            "arms": {
                arm: {
                    "value": mean([dose.value for dose in found.values()]),
                    "seeds": {
                        seed: {"value": dose.value, "between": list(dose.between), "weight": dose.weight}
                        for seed, dose in found.items()
                    },
                }
                for arm, found in self.doses.items()
            },
            "claims": [
                {"arm": arm, "against": against, "paired_seeds": list(seeds)}
                | {**claim.as_dict(), "claim": self.says(arm, against, claim), "effects": list(claim.effects)}
                for arm, against, seeds, claim in self.claims
            ],
        }


def interim(seeds: int, announced: int) -> str:
    """Instead of a claim before all announced seeds are there: who may stop when it looks good finds what is not."""
    return f"interim: {seeds} of {announced} announced seeds" if seeds < announced else ""


def mean(values: Sequence[float]) -> float | None:
    """The plain mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def drifts(run: RunFolder) -> dict[int, float]:
    """Step -> drift, the base's 0 among them; empty where none was measured."""
    found = {int(row["step"]): float(row["kl"]) for row in run.drift() if row.get("kl") is not None}
    return {0: 0.0} | found if found else {}


def final_drift(run: RunFolder) -> float | None:
    """After the last reading; None where none was measured."""
    found = drifts(run)
    return found[max(found)] if len(found) > 1 else None


def at_equal_drift(
    done: Mapping[str, Mapping[int, RunFolder]],
    tasks: Sequence[str],
    pairs: Pairs,
    notes: list[str],
    announced: tuple[int, frozenset[frozenset[str]]],
) -> dict[str, AtDrift]:
    """Task -> every arm at the common drift; what cannot be told is said in `notes`.

    `announced`: seeds of the study, and the pairs that are claimed.
    """
    seeds, primary = announced
    finals: dict[str, list[float]] = {}
    for arm, runs in done.items():
        found = [final_drift(run) for run in runs.values()]
        if all(value is not None for value in found):
            finals[arm] = [value for value in found if value is not None]
        else:
            notes.append(
                f"equal drift: {arm} has no record of its drift (evals.drift, and a dev set), so it is left out"
            )
    drift, still = common_drift(finals)
    if not drift:
        notes.append("equal drift: fewer than two arms moved, or were recorded to, so none are compared at equal drift")
        return {}
    moved = {arm: runs for arm, runs in done.items() if arm in finals and arm not in still}
    for arm, most in still.items():
        notes.append(f"equal drift: {arm} hardly moved (at most {most:.2g} nats a token), so it sets no common drift")
    usable = [pair for pair in pairs if pair[0] in moved and pair[1] in moved]
    family = len(tasks) * sum({arm, against} in primary for arm, against, _ in usable)
    made: dict[str, AtDrift] = {}
    for task in tasks:
        doses, clusters = _doses(moved, task, drift)
        shared = [(arm, against, has) for arm, against, both in usable if (has := _both(doses, arm, against, both))]
        claims = [_claim(doses, pair, clusters, max(1, family)) for pair in shared]
        made[task] = AtDrift(drift=drift, still=still, doses=doses, claims=claims, announced=seeds, primary=primary)
    return _adjusted(made)


def _adjusted(made: Mapping[str, AtDrift]) -> dict[str, AtDrift]:
    """The same with Holm's p over all that are claimed."""
    found = [
        claim.p_value for each in made.values() for arm, other, _, claim in each.claims if {arm, other} in each.primary
    ]
    p_values = iter(holm(found))

    def judged(each: AtDrift, arm: str, other: str, claim: Claim) -> Claim:
        return replace(claim, holm=next(p_values)) if {arm, other} in each.primary else claim

    return {
        task: replace(
            each,
            claims=[(arm, other, seeds, judged(each, arm, other, claim)) for arm, other, seeds, claim in each.claims],
        )
        for task, each in made.items()
    }


def _doses(done: Mapping[str, Mapping[int, RunFolder]], task: str, drift: float) -> tuple[Doses, dict[str, Any]]:
    found: dict[str, dict[int, Dose]] = {}
    clusters: dict[str, Any] = {}
    for arm, runs in done.items():
        found[arm] = {}
        for seed, run in runs.items():
            readings = []
            for step, moved in drifts(run).items():
                name = f"checkpoint-{step}" if step else BASE
                if not run.has_eval(task, name):
                    continue
                rows = Model(store=run, checkpoint=name).read(task).rows
                clusters |= {row.id: cluster_of(row) for row in rows}
                readings.append(Reading(step=step, drift=moved, scores=best.scores(rows)))
            dose = at_drift(readings, drift)
            if dose is not None:
                found[arm][seed] = dose
    return found, clusters


def _both(doses: Doses, arm: str, against: str, seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Those seeds of which both arms have a score at the common drift."""
    return tuple(seed for seed in seeds if seed in doses[arm] and seed in doses[against])


def _claim(
    doses: Doses, pair: tuple[str, str, tuple[int, ...]], clusters: Mapping[str, Any], claims: int
) -> tuple[str, str, tuple[int, ...], Claim]:
    arm, against, seeds = pair
    control, other = ([doses[name][seed] for seed in seeds] for name in (against, arm))
    paired = paired_doses(control, other, clusters, claims=claims)
    effects = [paired_doses([a], [b], clusters).estimate for a, b in zip(control, other, strict=True)]
    return arm, against, seeds, claim_of(paired, effects, "", claims)
