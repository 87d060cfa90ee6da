"""Fixed slots against the growing cache, with plain calls for recordings: what a CPU can show of the GPU path."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

from oneshot.model.policy import Policy
from oneshot.rollout import fixed, native
from oneshot.rollout.draw import Filters
from oneshot.rollout.fixed import FixedDecoding, Means, bucket, bucket_within
from oneshot.rollout.graphs import Work
from oneshot.rollout.native import NativeEngine
from oneshot.types import Completion, Sampling
from tests.parts import tiny_policy
from tests.unit.rollout.sampling import Request, assert_close

HOT = Sampling(temperature=0.9, max_new_tokens=21, seed=3)


def requests_of(prompts: int, copies: int) -> list[Request]:
    draw = random.Random(5)
    made = [tuple(draw.randrange(260) for _ in range(draw.randrange(1, 41))) for _ in range(prompts)]
    return [(prompt, i * copies + s) for i, prompt in enumerate(made) for s in range(copies)]


def sample(
    policy: Policy, requests: Sequence[Request], sampling: Sampling = HOT, filters: Filters | None = None, **how: int
) -> list[Completion]:
    engine = NativeEngine(policy, **how)  # type: ignore[arg-type]
    streams = [(0, number) for _, number in requests]
    return engine.generate([prompt for prompt, _ in requests], sampling, streams, filters=filters)


def decoding(policy: Policy, requests: Sequence[Request], rows: int, means: Means) -> FixedDecoding:
    prompts, streams = [prompt for prompt, _ in requests], [(0, number) for _, number in requests]
    return FixedDecoding(policy, rows, prompts, HOT, streams, None, means)


def run(made: FixedDecoding) -> list[Completion]:
    with torch.inference_mode():
        return made.run(lambda: None)


def assert_same(found: Sequence[Completion], expected: Sequence[Completion]) -> None:
    assert [c.tokens for c in found] == [c.tokens for c in expected]
    assert_close(found, expected)


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize("rows", [16, 40, 1000])
def test_the_same_responses_as_with_a_growing_cache(policy: Policy, rows: int, temperature: float) -> None:
    requests, sampling = requests_of(12, 6), replace(HOT, temperature=temperature)
    expected = sample(policy, requests, sampling, fixed=False)
    assert len({len(c.tokens) for c in expected}) > 4
    assert {c.finished for c in expected} == {True, False}
    assert_same(sample(policy, requests, sampling, fixed=True, batch=rows), expected)


def test_no_row_is_looked_at_more_often_than_it_must(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = requests_of(3, 5)
    expected = sample(policy, requests, fixed=False)
    for every in (1, 3, 8, 100):
        monkeypatch.setattr(fixed, "READ_EVERY", every)
        looks: list[int] = []
        made = decoding(policy, requests, 64, Means())
        look = made._look

        def counted(look: Callable[[], None] = look, looks: list[int] = looks) -> None:
            looks.append(1)
            look()

        made._look = counted  # type: ignore[method-assign]
        assert_same(run(made), expected)  # what ended rows drew meanwhile is in no response
        longest = max(len(c.tokens) for c in expected)
        assert len(looks) == 1 + -(-(longest - 1) // every)


def test_seed_step_and_sample_decide_and_the_batch_does_not(policy: Policy) -> None:
    requests = requests_of(5, 8)
    expected = sample(policy, requests, fixed=True)
    backwards = sample(policy, requests[::-1], fixed=True, batch=16)[::-1]
    assert_same(backwards, expected)
    assert_same(sample(policy, requests[7:11], fixed=True), expected[7:11])
    other = sample(policy, requests, replace(HOT, seed=4), fixed=True)
    assert sum(a.tokens == b.tokens for a, b in zip(other, expected, strict=True)) < 5


def test_filters_and_a_limit_of_one_token(policy: Policy) -> None:
    requests = requests_of(4, 5)
    greedy = sample(policy, requests, replace(HOT, temperature=0.0), fixed=True)
    assert all(c.logprobs == () for c in greedy)
    narrow = sample(policy, requests, filters=Filters(top_k=1), fixed=True)
    assert [c.tokens for c in narrow] == [c.tokens for c in greedy]
    one = sample(policy, requests, replace(HOT, max_new_tokens=1), fixed=True)
    assert [len(c.tokens) for c in one] == [1] * 20
    assert_same(one, sample(policy, requests, replace(HOT, max_new_tokens=1), fixed=False))


def test_buckets_by_hand() -> None:
    assert [bucket(n) for n in (1, 16, 17, 100, 128, 129, 500, 1024, 1025)] == [
        16, 16, 32, 128, 128, 256, 512, 1024, 1152,
    ]  # fmt: skip
    assert [bucket_within(n) for n in (1, 15, 16, 31, 100, 127, 128, 255, 600, 1024)] == [
        16, 16, 16, 16, 64, 64, 128, 128, 512, 1024,
    ]  # fmt: skip
    for n in range(1, 1500):
        assert bucket_within(n) <= max(n, 16)
        assert bucket(n) >= n and bucket(bucket(n)) == bucket(n) == bucket_within(bucket(n))


def recorded(calls: Counter[str]) -> Callable[[Work], Work]:
    """Plain calls in the place of recordings."""

    def capture(work: Work) -> Work:
        calls["recorded"] += 1

        def replay() -> None:
            calls["replayed"] += 1
            work()

        return replay

    return capture


def test_rows_shrink_by_buckets_and_each_shape_is_recorded_once(policy: Policy) -> None:
    requests, calls = requests_of(10, 10), Counter[str]()
    made = decoding(policy, requests, 1000, Means(capture=recorded(calls)))
    assert (made.rows, made.most) == (128, 128)
    assert_same(run(made), sample(policy, requests, fixed=False))
    assert made.rows < 128
    assert not made.steps.refused
    assert calls["recorded"] == len(made.steps.replays) >= 1
    assert calls["replayed"] > calls["recorded"]
    assert all(rows == bucket(rows) and window == 64 for rows, window in made.steps.replays)
    assert (made.place.window, made.slots) == (64, 64)


def test_refilled_rows_keep_the_shape(policy: Policy) -> None:
    requests, shapes = requests_of(10, 10), Counter[tuple[int, int]]()
    made = decoding(policy, requests, 32, Means())
    work = made.steps.work

    def counted(rows: int, window: int) -> None:
        shapes[rows, window] += 1
        work(rows, window)

    made.steps.work = counted
    assert_same(run(made), sample(policy, requests, fixed=False))
    assert {rows for rows, _ in shapes} <= {16, 32}


def test_windows_double_and_end_at_the_slots(policy: Policy) -> None:
    made = decoding(policy, [((1, 2), 0)], 16, Means())
    made.slots = 640
    assert [made._window(n) for n in (1, 128, 129, 256, 257, 512, 513, 640)] == [128, 128, 256, 256, 512, 512, 640, 640]
    made.means = Means(attend=True)
    assert made._window(1) == 640


def test_it_can_be_given_up_between_looks_and_gives_the_model_back(policy: Policy) -> None:
    engine, before = NativeEngine(policy, fixed=True), policy.decoder.config._attn_implementation
    left = [2]

    def give_up() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    engine.check = give_up
    with pytest.raises(KeyboardInterrupt):
        engine.generate([(1, 2, 3)] * 4, HOT, [(0, i) for i in range(4)])
    assert policy.decoder.config._attn_implementation == before


def test_the_engine_says_what_decoded_and_why(policy: Policy) -> None:
    engine = NativeEngine(policy, fixed=True)
    found = engine.generate([(1, 2, 3)] * 20, HOT, [(0, i) for i in range(20)])
    assert engine.how == (
        "fixed slots, 32 rows; attention by torch (the model is on cpu), draws by torch (the model is on cpu), "
        "steps by torch (the model is on cpu)"
    )
    assert engine.decoded_tokens == sum(len(c.tokens) for c in found)
    plain = NativeEngine(policy)
    assert (plain.fixed, plain.batch) == (False, native.ROWS)
    plain.generate([(1, 2, 3)], HOT, [(0, 0)])
    assert plain.how == "a growing cache"
    assert NativeEngine(policy, batch=3).batch == native.MIN_ROWS


def test_long_responses_go_through_several_windows() -> None:
    unending, sampling = tiny_policy(eos=[-1]), replace(HOT, max_new_tokens=150)
    requests, calls = requests_of(3, 2), Counter[str]()
    prompts, streams = [prompt for prompt, _ in requests], [(0, number) for _, number in requests]
    made = FixedDecoding(unending, 16, prompts, sampling, streams, None, Means(capture=recorded(calls)))
    assert_same(run(made), sample(unending, requests, sampling, fixed=False))
    assert set(made.steps.replays) == {(16, 128), (16, 192)}
