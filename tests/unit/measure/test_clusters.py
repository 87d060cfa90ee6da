"""Copies of a problem: one cluster of every interval, though each weighs as a problem in the mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from oneshot.data.tasks.builtin import KINDS, candidates, dev_set
from oneshot.data.tasks.builtin import test_set as ladder
from oneshot.errors import UsageError
from oneshot.measure.decompose import share
from oneshot.measure.gains import is_right, paired
from oneshot.measure.pairing import cluster_of, clusters_of
from oneshot.measure.repeated import mean_score, paired_interval, paired_scores, sign_flip, standard_error
from oneshot.measure.scores import summary
from oneshot.measure.statistics import macro_mean, wilson
from oneshot.types import EvalRow


def row(key: str, prompt: str, right: bool, sample: int = 0) -> EvalRow:
    return EvalRow(
        id=key, category="", prompt=prompt, answer="4", response="4", extracted="4" if right else "5", correct=right,
        status="ok", cut=False, tokens=1, sample=sample,
    )  # fmt: skip


def copied(grades: Sequence[bool], copies: int) -> list[EvalRow]:
    """Every problem `copies` times, graded alike, with other white space."""
    return [row(f"{i}-{j}", f"What  is {i}?" + " " * j, right) for i, right in enumerate(grades) for j in range(copies)]


def test_what_a_cluster_is() -> None:
    one = row("a", "What is\n 2 + 2?", True)
    assert cluster_of(one) == cluster_of(row("b", " What is 2 + 2? ", False))
    assert cluster_of(one) != cluster_of(replace(one, answer="5"))
    assert cluster_of(one) != cluster_of(row("a", "What is 2 + 3?", True))
    template = [replace(one, prompt=f"{i}?", meta={"cluster": 7}) for i in range(2)]
    assert len(set(clusters_of([[each] for each in template]))) == 1
    bare = [row(f"p{i}", "", True) for i in range(3)]
    assert len(set(clusters_of([[each] for each in bare]))) == 3, "grades kept without texts tell nothing of copies"


def test_copies_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(0)
    once, four = (summary(copied((rng.random(60) < 0.4).tolist(), copies)) for copies in (1, 4))
    assert "clusters" not in once
    assert (four["n"], four["clusters"], four["responses"]) == (240, 60, 240)
    grades = [bool(i % 3) for i in range(60)]
    alone, fourfold = summary(copied(grades, 1)), summary(copied(grades, 4))
    assert fourfold["value"] == alone["value"]
    width = fourfold["ci_high"] - fourfold["ci_low"]
    assert width == pytest.approx(alone["ci_high"] - alone["ci_low"], rel=0.05)
    assert width > 1.8 * (wilson(160, 240).high - wilson(160, 240).low)
    assert fourfold["pass_at_k"]["1"]["ci_low"] == fourfold["ci_low"]
    assert fourfold["detectable_unpaired"] == alone["detectable_unpaired"]
    assert share(copied(grades, 4), is_right).low == fourfold["ci_low"]


def test_by_hand() -> None:
    # Two copies right, one of two right, single 0 and 1: n = 6, m = 4/6; sums less size times m: 2/3, -1/3, -2/3, 1/3.
    scores, clusters = [1.0, 1.0, 1.0, 0.0, 0.0, 1.0], ["a", "a", "b", "b", "c", "d"]
    se = math.sqrt(4 / 3 * (4 + 1 + 4 + 1) / 9) / 6
    assert standard_error(scores, clusters) == pytest.approx(se)
    found = mean_score(scores, 1, clusters=clusters)
    assert (found.n, found.method, found.se) == (4, "wilson, n_eff", pytest.approx(se))
    assert mean_score(scores, 1, clusters=list("abcdef")) == mean_score(scores, 1)
    assert (mean_score(scores, 1, clusters=["a"] * 6).low, mean_score(scores, 1, clusters=["a"] * 6).high) == (0, 1)
    nothing = mean_score([0.0] * 6, 1, clusters=clusters)
    assert nothing.high > mean_score([0.0] * 6, 8).high, "36/10 = 3.6 problems are less than 6"


def test_coverage_with_clusters() -> None:
    """80 problems, each there three times, and 60 that are there once."""
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(140), [3] * 80 + [1] * 60)
    held = plain = 0
    for _ in range(600):
        scores = (rng.random(140) < rng.beta(0.3, 0.5, 140)).astype(float)[clusters].tolist()
        ours, naive = mean_score(scores, 1, clusters=clusters.tolist()), mean_score(scores, 1)
        held += ours.low <= 0.375 <= ours.high
        plain += naive.low <= 0.375 <= naive.high
    assert 0.92 <= held / 600 <= 0.98
    assert plain / 600 < 0.88


def test_paired_copies() -> None:
    before, after = [i % 3 == 0 for i in range(20)], [i % 3 != 1 for i in range(20)]
    alone, fourfold = (paired(copied(before, k), copied(after, k)) for k in (1, 4))
    assert (alone.n, fourfold.n, alone.method, fourfold.method) == (20, 80, "bonett-price", "t")
    assert fourfold.estimate == alone.estimate
    assert fourfold.p_value == alone.p_value
    naive = paired([replace(r, prompt=f"{r.id}") for r in copied(before, 4)], copied(after, 4))
    assert fourfold.ci_high - fourfold.ci_low > 1.8 * (naive.ci_high - naive.ci_low)


def test_paired_interval_of_pairs_of_equal_copies_is_that_of_one_each() -> None:
    differences = [0.25, 0.5, -0.25, 0.0, 0.125, 0.75]
    twice = [d for d in differences for _ in range(2)]
    clusters = [i // 2 for i in range(12)]
    one, two = paired_scores(differences, 8), paired_scores(twice, 8, clusters=clusters)
    assert (two.low, two.high, two.se, two.n) == pytest.approx((one.low, one.high, one.se, one.n))
    assert two.p_value == one.p_value == sign_flip([2 * d for d in differences])
    assert paired_interval([0.5, 0.25], 8, clusters=["a", "a"]).low == -1.0
    with pytest.raises(UsageError, match="no problem"):
        paired_interval([], 8, clusters=[])


def test_a_task_of_copies_can_be_averaged() -> None:
    task = mean_score([1.0, 1.0, 0.0, 0.0], 1, clusters=["a", "a", "b", "b"])
    found = macro_mean([task, task])
    assert found.n == 4 and 0 < found.low < 0.5 < found.high < 1


def test_the_built_in_task_has_no_copies() -> None:
    """Its paraphrases of one example are other texts and stay apart."""
    for kind in KINDS:
        for problem in candidates(0, kind, 3):
            rows = [row(each.id, each.prompt, True) for each in (*dev_set(0, kind), *ladder(0, problem))]
            texts = {(each.id, each.prompt) for each in rows}
            assert len(set(clusters_of([[each] for each in rows]))) == len(texts)
