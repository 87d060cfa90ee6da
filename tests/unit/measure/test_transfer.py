"""Transfer by category, the transfer map, and which problems flipped."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from oneshot.errors import UsageError
from oneshot.measure.flips import flips
from oneshot.measure.statistics import mcnemar_exact
from oneshot.measure.transfer import foretold, rank_correlation, transfer
from tests.unit.measure.recorded import rows

KINDS = ("add", "mul", "sub")


def test_categories_by_hand() -> None:
    # Problems 0, 3, 6, 9 are add, 1, 4, 7, 10 mul, 2, 5, 8, 11 sub.
    before, after = rows("000" * 4, categories=KINDS), rows("101" * 2 + "100" * 2, categories=KINDS)
    found = transfer(before, after, {"add"})
    moved = {name: (row["base"], row["trained"], row["own"], row["n"]) for name, row in found["categories"].items()}
    assert moved == {"add": (0, 1, True, 4), "mul": (0, 0, False, 4), "sub": (0, 0.5, False, 4)}
    assert (found["own"], found["rungs"]) == ("add", {})
    # 4 gained of 4: q = 5/6, r = 1/6, 2/3 +- 1.95996 sqrt((1 - 4/9)/6)
    assert found["categories"]["add"]["ci_low"] == pytest.approx(2 / 3 - 1.959964 * np.sqrt((1 - 4 / 9) / 6))


def test_rungs_where_the_rows_have_them() -> None:
    before = rows("0000", rungs=["own_kind", "new_wording"]) + rows("0000", prefix="q", rungs=["other_kinds"])
    after = rows("1100", rungs=["own_kind", "new_wording"]) + rows("0000", prefix="q", rungs=["other_kinds"])
    found = transfer(before, after, ())["rungs"]
    assert {name: row["estimate"] for name, row in found.items()} == {
        "own_kind": 0.5, "new_wording": 0.5, "other_kinds": 0,
    }  # fmt: skip


def test_other_problems_are_refused() -> None:
    with pytest.raises(UsageError, match="different problems"):
        transfer(rows("00"), rows("00", prefix="q"), ())


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5]),
        ([0.3, 0.1, 0.1, 0.7, 0.2], [5, 5, 1, 9, 2]),
        ([3, 1, 2, 5, 4, 7, 6], [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_rank_correlation_is_scipys_and_p_counts_every_order(x: list[float], y: list[float]) -> None:
    rho, p_value, how = rank_correlation(x, y)
    assert rho == pytest.approx(spearmanr(x, y).statistic)
    every = [spearmanr(x, order).statistic for order in permutations(y)] if len(y) < 6 else None
    if every is not None:
        assert p_value == np.mean([abs(other) >= abs(rho or 0) - 1e-9 for other in every])
    assert p_value is not None and 0 < p_value <= 1 and "descriptive" in how


def test_the_strongest_order_of_five_has_a_known_p() -> None:
    assert rank_correlation([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])[:2] == pytest.approx((1.0, 2 / 120))
    assert rank_correlation([1, 2, 3, 4, 5], [5, 4, 3, 2, 1])[:2] == pytest.approx((-1.0, 2 / 120))


def test_few_categories_have_no_p_and_equal_ones_no_order() -> None:
    rho, p_value, how = rank_correlation([1, 2, 3, 4], [1, 2, 3, 4])
    assert (rho, p_value) == (pytest.approx(1.0), None) and "too few" in how
    assert rank_correlation([1, 1, 1], [1, 2, 3])[:2] == (None, None)
    assert rank_correlation([], [])[:2] == (None, None)


def test_many_categories_have_random_orders() -> None:
    rho, p_value, how = rank_correlation(list(range(12)), [float(i) for i in range(12)])
    assert rho == pytest.approx(1.0) and p_value == pytest.approx(1 / 10_001) and "random" in how
    assert rank_correlation(list(range(12)), [0, 9, 3, 7, 1, 8, 2, 11, 5, 4, 10, 6]) == rank_correlation(
        list(range(12)), [0, 9, 3, 7, 1, 8, 2, 11, 5, 4, 10, 6]
    )


def test_the_map_stands_beside_what_was_observed() -> None:
    before, after = rows("000" * 4, categories=KINDS), rows("101" * 2 + "100" * 2, categories=KINDS)
    observed = transfer(before, after, {"add"})["categories"]
    recorded = {"samples": 8, "categories": {"add": {"cosine": 0.9, "n": 4}, "mul": {"cosine": -0.1}, "new": {}}}
    found = foretold(recorded, observed)
    assert found is not None
    assert found["categories"]["add"] == {
        "cosine": 0.9, "signal": None, "estimate": 1.0, "ci_low": observed["add"]["ci_low"],
        "ci_high": observed["add"]["ci_high"], "n": 4, "own": True,
    }  # fmt: skip
    assert list(found["categories"]) == ["add", "mul"] and found["rank_correlation"] == pytest.approx(1.0)
    assert (found["p_value"], found["descriptive"], found["samples"]) == (None, True, 8)
    assert foretold({"categories": {"new": {"cosine": 0.5}}}, observed) is None
    assert foretold({}, observed) is None


def test_flips_by_hand() -> None:
    found = flips(rows("0011010"), rows("1101110"))
    assert (found["gained"], found["lost"]) == (["p0", "p1", "p4"], ["p2"])
    assert (found["n"], found["p_value"], found["method"]) == (7, mcnemar_exact(3, 1), "exact McNemar")
    assert found["p_value"] == 10 / 16  # two-sided: 2 (1 + 4)/2^4


def test_flips_of_several_samples_are_those_of_shares() -> None:
    found = flips(rows(["01", "11", "00"]), rows(["11", "01", "00"]))
    assert (found["gained"], found["lost"], found["method"]) == (["p0"], ["p1"], "sign flip")
