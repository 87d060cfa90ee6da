"""Answers against answers: what is identical, what is a near tie, what is a difference; and llama.cpp by a fake."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from oneshot.errors import DataError
from oneshot.export import verify
from oneshot.export.verify import Said, check_folder, check_gguf, compared, parted, scored
from oneshot.model.policy import load
from tests.tiny import save_tiny

ONE = Said(prompt=(1, 2), tokens=(5, 6, 7), logprobs=(-0.1, -0.2, -0.3), gaps=(2.0, 5e-4, 0.7), text="abc")


@pytest.mark.parametrize(
    ("one", "other", "at"),
    [
        ((1, 2), (1, 2), None),
        ((1, 2), (1, 3), 1),
        ((1, 2), (1,), 1),
        ((1,), (1, 2), 1),
        ((), (), None),
        ((1,), (2,), 0),
    ],
)
def test_where_two_answers_part(one: tuple[int, ...], other: tuple[int, ...], at: int | None) -> None:
    assert parted(one, other) == at


def test_a_near_tie_is_no_difference_and_all_else_is() -> None:
    tie = compared([ONE, ONE], [(5, 6, 7), (5, 9, 9)])
    assert (tie.identical, tie.near_ties, tie.differences, tie.same) == (1, 1, (), True)
    assert tie.sentence() == "1 of 2 identical, 1 part at a near tie (the two best logits within 0.001)"
    real = compared([ONE, ONE], [(5, 6, 9), (9, 6, 7)])
    assert not real.same
    assert real.sentence() == (
        "0 of 2 identical, 2 DIFFER: prompt 0, token 2: the two best logits are 0.7 apart there, and 1 more"
    )


def test_an_answer_that_goes_on_after_the_end_is_a_difference() -> None:
    found = compared([ONE], [(5, 6, 7, 8)])
    assert found.differences == ("prompt 0, token 3: it went on",)


def test_log_probs_count_too() -> None:
    close = compared([ONE], [ONE.tokens], [(-0.1, -0.2, -0.3 + 3e-6)])
    assert close.same
    assert close.mean == pytest.approx(1e-6)
    assert close.most == pytest.approx(3e-6)
    far = compared([ONE], [ONE.tokens], [(-0.1, -0.2, -0.29)])  # 0.01 over 3 tokens
    assert not far.same
    assert "ABOVE the limit" in far.sentence()


def test_scores_are_those_of_one_forward_pass(tmp_path: Path) -> None:
    policy = load(str(save_tiny(tmp_path)), home=tmp_path, offline=True)
    logprobs, gaps = scored(policy.model, (5, 17), (40, 41))
    with torch.no_grad():
        logits = policy.model(input_ids=torch.tensor([[5, 17, 40]])).logits[0]
    logp = logits[1:].log_softmax(-1)
    assert logprobs == pytest.approx((logp[0, 40].item(), logp[1, 41].item()), abs=1e-6)
    best = logits[2].sort(descending=True).values
    assert gaps[1] == pytest.approx((best[0] - best[1]).item(), abs=1e-6)


def test_a_folder_that_does_not_open(tmp_path: Path) -> None:
    save_tiny(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match="does not open"):
        check_folder(tmp_path, [ONE], 4)


def fake_llama(folder: Path, text: str, status: int = 0) -> str:
    path = folder / "llama-completion"
    path.write_text(f"#!{sys.executable}\nimport sys\nsys.stderr.write('why')\nprint({text!r})\nsys.exit({status})\n")
    path.chmod(0o755)
    return str(path)


def test_llama_is_found_in_its_folder_and_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert verify.llama_program(str(tmp_path)) == ""
    (tmp_path / "build" / "bin").mkdir(parents=True)
    inside = fake_llama(tmp_path / "build" / "bin", "abc")
    assert verify.llama_program(str(tmp_path)) == inside
    monkeypatch.setenv("PATH", str(Path(inside).parent))
    assert verify.llama_program() == inside


def test_texts_of_llama_are_told_and_only_none_alike_is_a_difference(tmp_path: Path) -> None:
    other = Said(**{**ONE.__dict__, "text": "xyz"})
    program = fake_llama(tmp_path, "abc [end of text]")
    half = check_gguf(program, tmp_path / "x.gguf", ["?", "?"], [ONE, other], 4)
    assert (half.identical, half.same) == (1, True)
    assert not check_gguf(program, tmp_path / "x.gguf", ["?"], [other], 4).same
    with pytest.raises(DataError, match=r"failed on .*: why"):
        check_gguf(fake_llama(tmp_path, "", 2), tmp_path / "x.gguf", ["?"], [ONE], 4)
