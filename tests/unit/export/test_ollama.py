"""Modelfiles: what is derived from a chat template, what is refused, and that the file read back renders the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.errors import DataError
from oneshot.export.ollama import Modelfile, modelfile, read
from oneshot.export.turns import Turns, rendered, turns_of
from tests.tiny import TEMPLATE
from tests.unit.export.templates import CHATML, DATED, FOLDED, NO_SYSTEM, NUMBERED, TRIMMED, with_template

PARAMETERS = {"temperature": 0.6, "num_predict": 3072.0}


def made(template: str = CHATML, system: str = "") -> Modelfile:
    tokenizer = with_template(template)
    stops = [tokenizer.eos_token_id]
    return modelfile(
        turns_of(tokenizer), tokenizer, source="./model", stops=stops, parameters=PARAMETERS, system=system
    )


def test_the_pieces_of_a_template_with_a_system_turn_of_its_own() -> None:
    assert turns_of(with_template(CHATML)) == Turns(
        first="",
        before={"system": "<|system|>\n", "user": "<|user|>\n", "assistant": "<|assistant|>\n"},
        after={"system": "<|end|>\n", "user": "<|end|>\n", "assistant": "<|end|>\n"},
        answer="<|assistant|>\n",
        system="You help.",
    )


def test_the_whole_file() -> None:
    assert made().text() == (
        "FROM ./model\n"
        "\n"
        'TEMPLATE """{{ range .Messages }}{{ if eq .Role "system" }}<|system|>\n'
        "{{ .Content }}<|end|>\n"
        '{{ else if eq .Role "user" }}<|user|>\n'
        "{{ .Content }}<|end|>\n"
        '{{ else if eq .Role "assistant" }}<|assistant|>\n'
        "{{ .Content }}<|end|>\n"
        "{{ end }}{{ end }}<|assistant|>\n"
        '"""\n'
        "\n"
        'SYSTEM """You help."""\n'
        "\n"
        'PARAMETER stop "<|end|>"\n'
        "PARAMETER temperature 0.6\n"
        "PARAMETER num_predict 3072\n"
        "PARAMETER top_k 0\n"
        "PARAMETER top_p 1\n"
        "PARAMETER min_p 0\n"
        "PARAMETER repeat_penalty 1\n"
    )


def test_no_system_line_where_the_template_writes_none_and_the_runs_own_where_it_has_one() -> None:
    assert "SYSTEM" not in made(TEMPLATE).text()
    assert 'SYSTEM """Be brief."""' in made(TEMPLATE, system="Be brief.").text()
    assert 'SYSTEM """Be brief."""' in made(CHATML, system="Be brief.").text()


texts = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20)


@given(texts, texts, texts, st.booleans(), st.sampled_from([CHATML, TEMPLATE]))
def test_the_file_renders_what_the_chat_template_renders(
    question: str, answer: str, more: str, system: bool, template: str
) -> None:
    chat = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": more},
    ]
    chat = [{"role": "system", "content": more}, *chat] if system else chat
    file = read(made(template).text())
    assert file.render(chat) == rendered(with_template(template), chat)
    assert file.render(chat[:1] if not system else chat[:2]) == rendered(
        with_template(template), chat[:1] if not system else chat[:2]
    )


def test_a_file_is_read_back_as_it_was_written() -> None:
    file = made()
    assert read(file.text()).__dict__ == {**file.__dict__, "notes": (), "stops": ["<|end|>"]}


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (None, "the tokenizer has none"),
        (TRIMMED, "it changes the text of a turn"),
        (DATED, "it writes the date (strftime_now)"),
        (NO_SYSTEM, "it refuses a conversation of system, user, assistant, user: no system turn"),
        (FOLDED, "is not"),
        (NUMBERED, "not"),
        ("{{ messages[0]['content'] }}", "does not appear as it is"),
        (TEMPLATE.replace("<|end|>", "{{ '{{x' }}"), "double braces"),
        (TEMPLATE.replace("<|end|>", '"""'), "quotes"),
        (CHATML.replace("You help.", ""), "without a text"),
    ],
)
def test_what_cannot_be_derived_is_refused_with_the_reason(template: str | None, why: str) -> None:
    with pytest.raises(DataError, match="no template for Ollama can be derived") as refused:
        made(template).text()  # type: ignore[arg-type]
    assert why in refused.value.message
    assert refused.value.code == "E304"


class Starting:
    """A tokenizer that puts `<|user|>` before every text, as Llama's puts its beginning-of-sequence token."""

    def __init__(self, template: str) -> None:
        self._real = with_template(template, bos_token="<|user|>")

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [self._real.bos_token_id, *self._real(text)["input_ids"]]}


def starting(template: str) -> Modelfile:
    tokenizer = Starting(template)
    return modelfile(turns_of(tokenizer), tokenizer, source=".", stops=[0], parameters={})


def test_a_token_that_ollama_writes_by_itself_is_not_written_twice() -> None:
    file = starting("<|user|>" + TEMPLATE)
    assert file.template.startswith("{{ range .Messages }}")
    assert file.text().startswith("# <|user|> is not in the template")
    chat = [{"role": "user", "content": "a"}]
    assert "<|user|>" + read(file.text()).render(chat) == rendered(with_template("<|user|>" + TEMPLATE), chat)
    with_system = starting("<|user|>" + CHATML)
    assert "<|user|><|system|>" not in with_system.template
    assert "<|user|>" + with_system.render(chat) == rendered(with_template("<|user|>" + CHATML), chat)


def test_a_template_that_begins_otherwise_than_ollama_would_is_refused() -> None:
    with pytest.raises(DataError, match=r"Ollama would put <\|user\|> before every prompt"):
        starting(CHATML)


def test_a_file_without_a_template_is_no_modelfile() -> None:
    with pytest.raises(DataError, match="no TEMPLATE"):
        read("FROM ./model\n")
