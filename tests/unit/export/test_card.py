"""The model card: its front lines as YAML, its numbers, and texts that try to be markup."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from oneshot.export.card import Card, Result, cell, code, fenced, render
from oneshot.export.licence import Licence

MATH = Result(task="math500", n=500, base=0.36, trained=0.698, difference=0.338, low=0.3, high=0.37, badge="supported")
CARD = Card(
    title="qwen-1shot",
    repo="me/qwen-1shot",
    base="Qwen/X",
    base_hub="Qwen/X",
    licence=Licence(keys={"license": "apache-2.0"}, note="The licence is that of the base."),
    adapter=False,
    dtype="float32",
    checkpoint="checkpoint-12",
    steps=12,
    tags=("rlvr",),
    examples=(("What is 2 + 3?", "5"),),
    recipe={"steps": "12"},
    results=(MATH,),
    limits=("One run.",),
    stops=("<|im_end|>",),
    command="oneshot train --data pi1",
    versions="torch 2.13.0 on Python 3.11.2; seed 0.",
)  # fmt: skip


def front(text: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(text.split("---\n")[1])
    return found


def test_the_front_lines() -> None:
    assert front(render(CARD)) == {
        "base_model": "Qwen/X",
        "base_model_relation": "finetune",
        "license": "apache-2.0",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["rlvr"],
    }
    adapter = front(render(replace(CARD, adapter=True, datasets=("a/b",))))
    assert (adapter["library_name"], adapter["base_model_relation"]) == ("peft", "adapter")
    assert adapter["datasets"] == ["a/b"]
    assert "base_model" not in front(render(replace(CARD, base_hub="")))


def test_what_the_body_says() -> None:
    text = render(CARD)
    assert "trained for 12 steps of reinforcement learning with a verifiable reward on one example" in text
    assert "```\nWhat is 2 + 3?\n```\n\nReference answer: `5`" in text
    assert "| math500 | 500 | 36.0% | 69.8% | +33.8 (+30.0 to +37.0) | ▲ supported |" in text
    assert 'AutoModelForCausalLM.from_pretrained("me/qwen-1shot")' in text
    assert "Responses end at `<|im_end|>`." in text
    assert "```sh\noneshot train --data pi1\n```" in text
    assert "## Limits\n\n- One run." in text
    assert "control" not in text


def test_nothing_reads_as_more_than_one_run() -> None:
    found = ("In this run the model learned the example.", "supported", "32 samples")
    text = render(replace(CARD, claims=(found,), limits=("Of *a* <b>.",)))
    assert "difference in points (95 % interval) | in this run |" in text
    head = text.split("### What this run shows")[1]
    assert "at least three seeds a side" in head
    assert "| finding | in this run | how it was tested |" in head
    assert "| In this run the model learned the example. | ▲ supported | 32 samples |" in head
    assert "- Of \\*a\\* \\<b\\>." in text and "may be claimed" not in text


def test_what_is_missing_is_said() -> None:
    text = render(replace(CARD, results=(), command="", examples=(), recipe={}, stops=()))
    assert "whether it learned is not known" in text
    assert "The command was not recorded." in text
    assert "## The example" not in text
    undone = Result(task="a", n=3, base=0.0, trained=1.0, why="not compared: other problems")
    assert "| a | 3 | 0.0% | 100.0% | not compared: other problems | – |" in render(replace(CARD, results=(undone,)))


def test_a_control_arm_says_so_at_once() -> None:
    text = render(replace(CARD, control="control arm: shuffled rewards"))
    assert "**No normal run (control arm: shuffled rewards)" in text.split("## ")[0]


def test_a_pool_is_named_and_not_copied() -> None:
    text = render(replace(CARD, count=1209))
    assert "... and 1,208 more, which are not copied here." in text
    assert "on 1,209 examples" in text


def test_an_adapter_is_loaded_by_peft() -> None:
    text = render(replace(CARD, adapter=True))
    assert 'AutoPeftModelForCausalLM.from_pretrained("me/qwen-1shot")' in text
    assert "hf download me/qwen-1shot --local-dir ./adapter" in text


@given(st.text(alphabet="`a \n#", max_size=30))
def test_no_text_ends_its_block(text: str) -> None:
    first, *body, last = fenced(text).split("\n")
    assert first == last
    assert "\n".join(body) == text
    assert not any(line.strip().startswith(first) for line in body)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a", "`a`"), ("a`b", "``a`b``"), ("`a`", "`` `a` ``"), ("a\n\nb", "`a b`"), ("", "` `")],
)
def test_code(text: str, shown: str) -> None:
    assert code(text) == shown


def test_cells_hold_no_markup() -> None:
    assert cell("a|b\n<script>[x](y) #*_`") == "a\\|b \\<script\\>\\[x\\](y) \\#\\*\\_\\`"
    assert len(fenced("x" * 5000)) < 4100
