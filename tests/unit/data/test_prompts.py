"""Problem to chat messages to tokens."""

from __future__ import annotations

import pytest

from oneshot.data.prompts import messages, render
from oneshot.errors import DataError
from oneshot.types import Problem
from tests.tiny import tokenizer

PI = Problem(id="pi", prompt="What is 2 + 2?", answer="4")
SUFFIX = "Think, then box it."


def text_of(tokens: tuple[int, ...]) -> str:
    return str(tokenizer().decode(list(tokens)))


def test_messages() -> None:
    question = {"role": "user", "content": "What is 2 + 2?"}
    assert messages(PI) == [question]
    assert messages(PI, system="Be brief.") == [{"role": "system", "content": "Be brief."}, question]
    assert messages(PI, suffix=SUFFIX)[0]["content"] == f"What is 2 + 2? {SUFFIX}"


@pytest.mark.parametrize("end", ["", " ", "\n"])
def test_a_suffix_that_is_there_is_not_added_again(end: str) -> None:
    carried = Problem(id="pi", prompt=f"What is 2 + 2? {SUFFIX}{end}", answer="4")
    assert messages(carried, suffix=SUFFIX)[0]["content"] == carried.prompt


def test_the_tokens_are_those_of_the_template_with_its_generation_prompt() -> None:
    tokens = render(tokenizer(), PI, suffix=SUFFIX, system="Be brief.")
    assert text_of(tokens) == (f"<|system|>Be brief.<|end|><|user|>What is 2 + 2? {SUFFIX}<|end|><|assistant|>")
    # Special tokens are single ids: end 0, user 1, assistant 2, system 3; the rest is one token a byte.
    assert tokens[0] == 3
    assert tokens[-2:] == (0, 2)
    assert len(tokens) == 5 + len(f"Be brief.What is 2 + 2? {SUFFIX}")
    assert all(type(token) is int for token in tokens)


def test_a_tokenizer_without_a_template_gets_the_text() -> None:
    plain = tokenizer()
    plain.chat_template = None
    assert text_of(render(plain, PI, system="Be brief.")) == "Be brief.\n\nWhat is 2 + 2?\n"


def test_a_prompt_over_the_limit_is_refused_with_the_number_that_would_do() -> None:
    length = len(render(tokenizer(), PI))
    assert len(render(tokenizer(), PI, limit=length)) == length
    with pytest.raises(DataError, match=f"'pi' has {length} tokens, the limit is {length - 1}") as caught:
        render(tokenizer(), PI, limit=length - 1)
    assert caught.value.code == "E301"
    assert caught.value.tries == (f"--rollout.max-prompt-tokens {length}",)
