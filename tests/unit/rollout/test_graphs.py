"""Recorded decode steps with plain calls for recordings: compared once, refused where wrong, never done twice."""

from __future__ import annotations

from collections.abc import Callable

import torch

from oneshot.rollout.graphs import Steps, Work


class Counting:
    """Steps over two state tensors: one count and one float."""

    def __init__(self) -> None:
        self.state = [torch.zeros(2, dtype=torch.long), torch.zeros(2)]

    def work(self, rows: int, window: int) -> None:
        self.state[0] += rows
        self.state[1] += 0.5


def test_a_replay_that_does_something_else_is_refused_and_leaves_the_plain_result() -> None:
    for wrong, told in ((lambda s: s[0].add_(1), "state 0"), (lambda s: s[1].add_(0.01), "state 1 by up to 0.01")):
        counting = Counting()

        def capture(work: Work, wrong: Callable[..., object] = wrong, counting: Counting = counting) -> Work:
            def replay() -> None:
                work()
                wrong(counting.state)

            return replay

        steps = Steps(counting.work, counting.state, capture)
        for _ in range(6):
            steps(16, 128)
        assert counting.state[0].tolist() == [96, 96]
        assert counting.state[1].tolist() == [3, 3]
        assert told in steps.refused
        assert not steps.replays


def test_a_recording_that_fails_is_tried_once() -> None:
    counting, tried = Counting(), []

    def capture(work: Work) -> Work:
        tried.append(1)
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    steps = Steps(counting.work, counting.state, capture)
    for _ in range(9):
        steps(16, 128)
    assert len(tried) == 1
    assert counting.state[0].tolist() == [144, 144]
    assert steps.refused.startswith("recording failed: RuntimeError: operation not permitted when")


def test_each_shape_is_recorded_once_after_two_plain_steps() -> None:
    counting, did = Counting(), []

    def capture(work: Work) -> Work:
        did.append("recorded")

        def replay() -> None:
            did.append("replayed")
            work()

        return replay

    steps = Steps(counting.work, counting.state, capture)
    for rows in (16, 16, 16, 16, 32, 32, 32):
        steps(rows, 128)
    assert counting.state[0].tolist() == [4 * 16 + 3 * 32] * 2
    assert did == ["recorded", "replayed", "replayed", "recorded", "replayed"]
    assert list(steps.replays) == [(16, 128), (32, 128)]
    assert not steps.refused


def test_a_refusal_known_before_records_nothing() -> None:
    counting, tried = Counting(), []

    def capture(work: Work) -> Work:
        tried.append(1)
        return work

    steps = Steps(counting.work, counting.state, capture, refused="as last time")
    for _ in range(9):
        steps(16, 128)
    assert not tried
    assert counting.state[0].tolist() == [144, 144]
