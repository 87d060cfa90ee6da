"""Every fast path: rounding where it is right; broken on purpose it is found out, said and left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from oneshot.config.schema import ModelConfig, OptimConfig, RolloutConfig
from oneshot.data import packing
from oneshot.errors import MachineError
from oneshot.model.checkpointing import recompute
from oneshot.rollout import linear
from oneshot.rollout.native import NativeEngine
from oneshot.stages.resources.worst_case import head_of, packs, still_learner
from oneshot.stages.setup import Setup
from oneshot.stages.training import comparisons, fast_paths
from oneshot.stages.training.fast_paths import settle
from oneshot.types import MicroBatch
from tests.unit.stages.setups import QUESTION, tiny_setup


class Told:
    """What was said and recorded."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.events: list[dict[str, Any]] = []

    def event(self, kind: str, **details: Any) -> None:
        self.events.append({"kind": kind, **details})

    def settle(self, setup: Setup) -> Setup:
        return settle(setup, setup.render(QUESTION), event=self.event, note=self.notes.append)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]


pytestmark = pytest.mark.usefixtures("on_any_processor")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture
def setup(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """With every path in use: products are turned round as with several threads."""
    monkeypatch.setattr(linear, "turned", lambda device: True)
    monkeypatch.setattr(fast_paths, "turned", lambda device: True)
    made = tiny_setup(folder)
    made.engine.fixed = made.eval_engine.fixed = True
    return made


LEARNER = {"log-probs in chunks", "packed micro-batches", "attention over prefix trees"}
SHARED = "beginnings of prompts run once"
EVERY = LEARNER | {SHARED, "fixed slots in the sampler", "turned products"}


def test_what_is_right_differs_by_rounding_and_is_used(setup: Setup) -> None:
    told = Told()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    found = told.settle(setup)
    assert torch.equal(torch.rand(3), expected)
    assert (found.plain, told.notes, told.of("fallback")) == (frozenset(), [], [])
    (checked,) = told.of("checked")
    assert checked["paths"].keys() == EVERY
    assert 0 <= max(checked["paths"].values()) < 1e-4
    assert checked["limit"] == 1e-3
    assert checked["seconds"] > 0
    assert all(p.grad is None for p in setup.policy.model.parameters())
    assert packs(found)
    assert found.engine.fixed


@pytest.mark.parametrize("temperature", [0.6, 1.3])
def test_at_another_temperature_and_with_activations_computed_again(folder: Path, temperature: float) -> None:
    rollout = RolloutConfig(groups=2, group_size=4, max_new_tokens=2, temperature=temperature)
    setup = tiny_setup(folder, rollout=rollout)
    recompute(setup.policy.model)
    told = Told()
    assert not told.settle(setup).plain
    assert told.of("checked")[0]["paths"].keys() == LEARNER | {SHARED}


def test_an_adapter_is_compared_by_its_own_gradients(folder: Path) -> None:
    setup, told = tiny_setup(folder, model=ModelConfig(name=str(folder), threads=1, lora_rank=4)), Told()
    assert not told.settle(setup).plain
    assert {p.dim() for p in comparisons._few(setup)} == {2}
    assert told.of("checked")[0]["paths"]["packed micro-batches"] < 1e-5


def test_what_is_not_used_is_not_compared(folder: Path) -> None:
    told = Told()
    told.settle(tiny_setup(folder, optim=OptimConfig(packing=False)))
    assert told.of("checked")[0]["paths"].keys() == {"log-probs in chunks", SHARED}


def sees_its_neighbour(micro: MicroBatch) -> MicroBatch:
    """A plain causal mask over the packed row, which goes before its tree."""
    length = micro.input_ids.shape[1]
    return replace(micro, mask=torch.ones(1, 1, length, length, dtype=torch.bool).tril())


def goes_on_counting(micro: MicroBatch) -> MicroBatch:
    """Positions that do not restart at the prompt's length."""
    return replace(micro, position_ids=torch.arange(micro.input_ids.shape[1])[None])


def reads_the_place_before(micro: MicroBatch) -> MicroBatch:
    """The first token of a response is predicted by the place before it, not by the prompt's last."""
    later = (micro.col_N == 0) & (micro.row_N > 0)
    return replace(micro, predict_N=torch.where(later, torch.roll(micro.predict_N, 1) + 1, micro.predict_N))


@pytest.mark.parametrize("broken", [sees_its_neighbour, goes_on_counting, reads_the_place_before])
def test_wrong_packing_becomes_padding(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, broken: Callable[[MicroBatch], MicroBatch]
) -> None:
    original = packing._packed
    monkeypatch.setattr(packing, "_packed", lambda part: broken(original(part)))
    told = Told()
    found = told.settle(setup)
    assert "packed" in found.plain
    assert not packs(found)
    event = told.of("fallback")[-1]
    assert event["what"] == "padded micro-batches"
    assert event["why"].startswith("their numbers differ by ")
    assert told.notes[-1] == f"warning: padded micro-batches instead of packed micro-batches, because {event['why']}"
    assert "packed micro-batches" not in told.of("checked")[0]["paths"]


def test_a_packed_row_that_cannot_run_becomes_padding(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    original = packing._packed
    monkeypatch.setattr(packing, "_packed", lambda part: replace(original(part), predict_N=torch.tensor([9**6])))
    told = Told()
    assert told.settle(setup).plain == {"tree", "packed"}
    assert all(event["why"].startswith("they fail here (") for event in told.of("fallback"))


def off_in(place: int) -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """The chunked head with one of its three values off by a thousandth part and more."""
    head = comparisons.logprob_and_entropy

    def broken(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        values = list(head(*arguments))
        values[place] = values[place] * 1.01
        return values[0], values[1], values[2]

    return broken


def without_gradient(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Right values; the entropy's gradient is missing."""
    logp_N, entropy_N, entropy1_N = comparisons.plain_head(*arguments)
    return logp_N, entropy_N.detach(), entropy1_N


@pytest.mark.parametrize("broken", [off_in(0), off_in(1), off_in(2), without_gradient])
def test_a_wrong_head_becomes_the_plain_one(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, broken: Callable[..., tuple[Tensor, Tensor, Tensor]]
) -> None:
    monkeypatch.setattr(comparisons, "logprob_and_entropy", broken)
    told = Told()
    found = told.settle(setup)
    assert found.plain == {"head"}
    assert head_of(found) is comparisons.plain_head
    assert still_learner(found).head is comparisons.plain_head
    assert told.of("fallback")[0]["what"] == "log-probs over all logits at once"


def test_a_number_that_is_none_is_no_rounding(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        logp_N, entropy_N, entropy1_N = comparisons.plain_head(*arguments)
        return logp_N, entropy_N, entropy1_N * float("nan")

    monkeypatch.setattr(comparisons, "logprob_and_entropy", broken)
    assert Told().settle(setup).plain == {"head"}


def test_wrong_turned_products_become_plain_ones(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(x_RK: Tensor, weight_NK: Tensor) -> Tensor:
        return (weight_NK @ x_RK.T).T.contiguous() + 0.1

    with monkeypatch.context() as patch:
        patch.setattr(linear, "product", broken)
        told = Told()
        assert told.settle(setup).plain == {"turned"}
    assert told.of("fallback")[0]["what"] == "plain products"
    for weight in (setup.policy.head, *(p for p in setup.policy.decoder.parameters() if p.dim() == 2)):
        x_RK = torch.randn(16, weight.shape[1])
        assert torch.equal(linear.product(x_RK, weight), x_RK @ weight.T)
        assert getattr(weight, linear.MARK)


def test_the_mark_turns_no_product_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the plain product reads the transposed matrix."""
    layer = torch.nn.Linear(4, 3, bias=False)
    asked: list[bool] = []

    class Seen(torch.nn.Parameter):
        @property
        def T(self) -> Tensor:
            asked.append(True)
            return super().T

    layer.weight = Seen(layer.weight.detach())
    monkeypatch.setattr(linear, "turned", lambda device: True)
    linear.product(torch.randn(2, 4), layer.weight)
    assert not asked
    linear.never_turned(layer)
    linear.product(torch.randn(2, 4), layer.weight)
    assert asked


def test_wrong_fixed_slots_become_a_growing_cache(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    original = NativeEngine.generate

    def broken(engine: NativeEngine, *arguments: Any, **options: Any) -> Any:
        made = original(engine, *arguments, **options)
        return [replace(c, logprobs=tuple(value - 0.1 for value in c.logprobs)) for c in made]

    monkeypatch.setattr(NativeEngine, "generate", broken)
    told = Told()
    found = told.settle(setup)
    assert found.plain == {"fixed"}
    assert not found.engine.fixed
    assert not found.eval_engine.fixed
    assert told.notes[0].startswith("warning: a growing cache instead of fixed slots in the sampler, because ")


def test_memory_that_ends_meanwhile_is_an_error_of_ours(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(comparisons, "head_of", lambda setup: full)
    with pytest.raises(MachineError, match="memory ran out while") as caught:
        Told().settle(setup)
    assert caught.value.code == "E201"
