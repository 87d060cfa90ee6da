"""The evaluation's benchmark: what it asks, where answers part, how they are judged, and a run in tiny sizes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from oneshot.rollout.prefixes import shared
from tests import tiny
from tests.parts import tiny_policy
from tests.unit.benchmarks.scripts import result_of, smoke


@pytest.fixture(scope="module")
def bench(root: Path) -> Iterator[ModuleType]:
    """The script as a module; scripts import each other by their bare names."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(root / "benchmarks"))
    before = set(sys.modules)
    yield import_module("evaluation")
    for name in {"evaluation", "sides"} & (set(sys.modules) - before):
        del sys.modules[name]
    patch.undo()


def test_prompts_are_mixed_different_and_the_same_each_time(bench: ModuleType) -> None:
    policy: Any = SimpleNamespace(tokenizer=tiny.tokenizer())
    prompts = bench.requests(policy, bench.COUNT, bench.SHOTS)
    assert len(prompts) == len(set(prompts)) == 256
    lengths = sorted(map(len, prompts))
    assert lengths[-1] > 8 * lengths[0]
    assert prompts == bench.requests(policy, bench.COUNT, bench.SHOTS)
    assert [len(p) for p in prompts] != lengths
    apart = bench.requests(policy, bench.COUNT, bench.SHOTS, apart=True)
    assert sum(map(len, apart)) == pytest.approx(sum(map(len, prompts)), rel=0.1)
    saved, saved_apart = (sum(lengths[-1] for lengths in shared(found).values()) for found in (prompts, apart))
    assert saved > 20 * saved_apart
    with pytest.raises(SystemExit, match="different prompts; 100000 are needed"):
        bench.requests(policy, 100_000, (0,))


def test_where_responses_part(bench: ModuleType) -> None:
    assert bench.first_difference([1, 2, 3], [1, 2, 3]) is None
    assert bench.first_difference([1, 2, 3], [1, 4, 3]) == 1
    assert bench.first_difference([1, 2], [1, 2, 3]) == 2
    assert bench.first_difference([], [5]) == 0


def test_only_near_ties_are_forgiven(bench: ModuleType) -> None:
    asked: list[Any] = []

    def ask(what: str, after: Any) -> dict[str, Any]:
        asked.append((what, after))
        return {"gaps": [9e-4, 2e-3]}

    side: Any = SimpleNamespace(ask=ask)
    told = bench.agreement(side, [[1, 2], [3, 4], [5], [6]], [[1, 2], [3, 9], [5], [7]])
    assert asked == [("gaps", [[1, [3]], [3, []]])]
    assert (told["responses"], told["near_ties"], told["failures"], told["share"]) == (4, 1, 1, 0.25)
    assert told["parted"][0] == {"prompt": 1, "at": 1, "gap": 9e-4}
    assert bench.agreement(side, [[1]], [[1]])["failures"] == 0
    assert len(asked) == 1


def test_the_gap_is_that_of_the_place_where_they_part(bench: ModuleType) -> None:
    policy = tiny_policy()
    with torch.inference_mode():
        best = policy.model(torch.tensor([[9, 33, 8]])).logits[0, -1].topk(2).values
    found = bench.gap(policy, [9, 33, 8])
    assert found == pytest.approx(float(best[0] - best[1]), abs=1e-6)
    assert found > 0


def test_the_loop_answers_as_the_sampler_does(bench: ModuleType) -> None:
    """Prompts of unlike lengths, batches that do not come out even, responses that end: the same tokens."""
    policy = tiny_policy(eos=range(4, 64))
    prompts = [[(7 * i + j) % 200 + 4 for j in range(3 + 5 * (i % 4))] for i in range(11)]
    expected = bench.ours(policy, prompts, 12)
    assert len({len(response) for response in expected}) > 1
    assert bench.loop(policy, prompts, 12, 4) == expected
    assert bench.loop(policy, prompts, 12, 4, most=-1.0) == []


@pytest.mark.slow
def test_a_run_in_tiny_sizes(root: Path) -> None:
    *lines, last = smoke(root, "evaluation", "--threads", "1")
    result = result_of([last], "evaluation")
    assert (result["prompts"], result["threads"]) == (24, 1)
    assert [row["batch"] for row in result["tried"]] == [4, 8]
    assert result["best"]["rate"] == max(row["rate"] for row in result["tried"])
    assert result["ratios"] == [pytest.approx(result["ours"]["rate"] / result["generate"]["rate"])]
    assert result["agreement"]["failures"] == 0
    assert result["agreement"]["responses"] == 24
    assert len(lines) == 7
