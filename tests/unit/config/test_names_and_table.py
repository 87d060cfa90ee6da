"""Names of keys, the table of origins, and the round trip through a run folder."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.config.checks import TRAINING_STEPS
from oneshot.config.load import from_dict, load, to_dict
from oneshot.config.names import ALIASES, HINTS, KEYS, SECTIONS, closest_key, flag, hint, variable
from oneshot.config.origins import format_table, show, table, value_of
from oneshot.config.schema import Config, OptimConfig
from oneshot.errors import UsageError


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("optim.stpes", "optim.steps"),
        ("rollout.group-size", "rollout.group_size"),
        ("optim.temperature", "rollout.temperature"),
        ("training.num_generations", "rollout.group_size"),
        ("optimizer.weight_decay", "optim.weight_decay"),
        ("optim.learning_rat", "optim.lr"),
        ("evals.evry", "evals.every"),
        ("zzz.qqq", ""),
    ],
)
def test_the_nearest_key(wrong: str, meant: str) -> None:
    assert closest_key(wrong) == meant


def test_round_trip_through_json() -> None:
    flags = {"algorithm.clip_high": "0.28", "data.example": 'say "é"\n', "data.answer": "7", "optim.eps": "1e-10"}
    config = load([], {}, flags).config
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    assert from_dict(to_dict(Config())) == Config()
    with pytest.raises(UsageError, match=r"config\.json: unknown key optim\.lrr"):
        from_dict({"optim": {"lrr": 1}})


@given(lr=st.floats(0, 1), seed=st.integers(0, 2**63), text=st.text(), packing=st.booleans())
def test_round_trip_of_any_value(lr: float, seed: int, text: str, packing: bool) -> None:
    base = Config()
    config = replace(base, seed=seed, optim=OptimConfig(lr=lr, packing=packing), data=replace(base.data, system=text))
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0), st.integers(0, TRAINING_STEPS))
def test_text_and_toml_agree(lr: float, steps: int) -> None:
    resolved = load([], {variable("optim.lr"): repr(lr)}, {"optim.steps": str(steps)})
    assert (resolved.config.optim.lr, resolved.config.optim.steps) == (lr, steps)


def test_the_table_lists_every_key_once_with_options_in_their_section() -> None:
    resolved = load([], {}, {"algorithm.clip_high": "0.3", "optim.lr": "1e-5"})
    rows = table(resolved)
    keys = [key for key, *_ in rows]
    assert set(keys) == {*KEYS, "algorithm.clip_high"}
    assert keys.index("algorithm.minibatches") + 1 == keys.index("algorithm.clip_high")
    assert ("optim.lr", 1e-5, "flag --optim.lr") in rows
    lines = format_table(resolved).split("\n")
    assert len(lines) == len(rows)
    assert any(line.split() == ["optim.lr", "1e-05", "flag", "--optim.lr"] for line in lines)


def test_the_table_holds_one_harmless_line_a_value() -> None:
    assert show("a\n\x1b[31m") == '"a\\n\\x1b[31m"'
    assert (show(True), show(""), show(3)) == ("true", '""', "3")


def test_aliases_point_at_keys_that_exist_and_hide_none() -> None:
    assert set(ALIASES.values()) <= set(KEYS)
    assert not set(ALIASES) & set(KEYS)


def test_names_whose_values_differ_are_hinted_at_and_never_taken() -> None:
    last = {alias.rpartition(".")[2] for alias in ALIASES} | {key.rpartition(".")[2] for key in KEYS}
    assert not set(HINTS) & last
    assert hint("actor_rollout_ref.actor.clip_ratio_high") == f" Here it is {HINTS['clip_ratio_high']}."
    assert hint("loss-type") == f" Here it is {HINTS['loss_type']}."
    assert hint("optim.lr") == ""
    with pytest.raises(UsageError, match=r"unknown key epsilon\. Here it is algorithm\.clip_low") as caught:
        from_dict({"epsilon": 0.2})
    assert caught.value.code == "E101"


def test_every_key_that_a_hint_names_exists() -> None:
    options = ("clip_low", "clip_high", "value_clip", "gamma", "lam")
    own = {f"algorithm.{name}" for name in options}  # of algorithms
    named = {word for text in HINTS.values() for word in re.findall(r"(?:algorithm|optim|rollout)\.\w+", text)}
    assert "algorithm.updates" in named
    assert named <= set(KEYS) | own


def test_every_field_of_the_schema_is_a_key() -> None:
    named = {f"{s}.{f.name}" for s in SECTIONS for f in fields(getattr(Config(), s))}
    named -= {"algorithm.options", "data.curriculum_options"}
    assert named | {"seed"} == set(KEYS)
    assert all(value_of(Config(), key) is not None for key in KEYS)


def test_spellings() -> None:
    assert flag("rollout.group_size") == "--rollout.group-size"
    assert variable("rollout.group_size") == "ONESHOT_ROLLOUT__GROUP_SIZE"
