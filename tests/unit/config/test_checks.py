"""Ranges and contradictions: the value, its origin and the rule stand in the message."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.config.load import load
from oneshot.errors import OneshotError


def refused(files: list[Path], flags: dict[str, str]) -> OneshotError:
    with pytest.raises(OneshotError) as caught:
        load(files, {}, flags)
    return caught.value


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ({"rollout.groups": "0"}, "E103", "rollout.groups = 0 (flag --rollout.groups) must be at least 1."),
        ({"optim.steps": "-1"}, "E103", "optim.steps = -1 (flag --steps) must be at least 0"),
        ({"save.runs": ""}, "E103", 'save.runs = "" (flag --save.runs) must name a folder'),
        ({"rollout.temperature": "0"}, "E103", "must be above 0"),
        ({"rollout.batch": "-1"}, "E103", "must be at least 0"),
        ({"optim.lr": "nan"}, "E103", "must be a finite number"),
        ({"algorithm.entropy": "inf"}, "E103", "must be a finite number"),
        ({"optim.beta2": "1"}, "E103", "below 1"),
        ({"algorithm.kl_kind": "k1"}, "E105", "refused in the loss: k1 as a loss on the policy's own samples has an"),
        ({"algorithm.kl_kind": "k4"}, "E103", 'must be one of: "", k2, k3, rho_k3'),
        ({"algorithm.kl_in_reward": "-1"}, "E103", "must be at least 0"),
        ({"algorithm.entropy_schedule": "sine"}, "E103", "must be one of: constant, linear, cosine"),
        ({"algorithm.importance_cap": "-1"}, "E103", "must be at least 0"),
        ({"algorithm.minibatches": "0"}, "E103", "must be at least 1"),
        ({"algorithm.minibatches": "5"}, "E105", "rollout.groups = 4 (default): a mini-batch is of whole groups"),
        ({"optim.schedule": "step"}, "E103", "must be one of: constant, linear, cosine"),
        ({"optim.lr_final": "-1"}, "E103", "must be at least 0"),
        ({"optim.term_norms_every": "-1"}, "E103", "must be at least 0"),
        ({"optim.masters": "false", "model.dtype": "bfloat16", "optim.lr": "9e-5"}, "E105", "from 0.0001 on it is"),
        ({"algorithm.weighting": "mean"}, "E103", "sequence_mean, fixed_length, per_row"),
        ({"save.name": "a/b"}, "E103", "one plain word"),
        ({"rollout.group_size": "1"}, "E105", "nothing to compare"),
        (
            {"rollout.group_size": "1", "algorithm.name": "reinforce_pp", "algorithm.baseline": "group"},
            "E105",
            "nothing to compare",
        ),
        ({"data.example": "q"}, "E105", "stands without --data.answer"),
        ({"data.answer": "7"}, "E105", "stands without --data.example"),
        ({"data.example": "q", "data.answer": "7", "data.source": "x.jsonl"}, "E105", "two training examples"),
        ({"data.example": "q", "data.answer": "7", "data.index": "3"}, "E105", "picks a row"),
        ({"rollout.top_p": "0.9"}, "E105", "would not be those of the policy that sampled"),
    ],
)
def test_ranges_and_contradictions(flags: dict[str, str], code: str, said: str) -> None:
    error = refused([], flags)
    assert error.code == code
    assert said in error.message


def test_single_responses_are_fine_where_nothing_is_compared() -> None:
    for name in ("ppo", "reinforce_pp"):
        assert load([], {}, {"rollout.group_size": "1", "algorithm.name": name}).config.rollout.group_size == 1


@pytest.mark.parametrize("changes", [{"optim.lr": "1e-4"}, {"optim.lr": "0"}, {"model.dtype": "float32"}])
def test_bfloat16_weights_may_be_trained_themselves_at_large_rates(changes: dict[str, str]) -> None:
    config = load([], {}, {"optim.masters": "false", "model.dtype": "bfloat16", **changes}).config
    assert not config.optim.masters


def test_top_k_in_a_file_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[rollout]\ntop_k = 20\n", encoding="utf-8")
    error = refused([path], {})
    assert error.code == "E105"
    assert "a.toml line 2" in error.message
