"""A Modelfile for Ollama: where the weights are, the chat template in Go's language, stop texts, how tokens are drawn.

Format: docs.ollama.com/modelfile. Ollama renders `TEMPLATE` with Go's text/template over `.Messages`; a wrong one, or a
missing stop text, is what makes a model that was fine talk nonsense there. So the template is derived from the
model's own (`turns`), and `Modelfile.render` reads the written file back and renders it: the subset of Go's language
that `write` uses, nothing more. Ollama itself was never run here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from oneshot.errors import DataError
from oneshot.export.turns import Chat, Turns, cannot

FILE = "Modelfile"
QUOTES = '"""'
ROLES = ("system", "user", "assistant")
UNFILTERED: Mapping[str, float] = {"top_k": 0, "top_p": 1, "min_p": 0, "repeat_penalty": 1}
"""Ollama has values of its own for these; a run draws from the whole distribution."""
_ACTION = re.compile(r"\{\{(.*?)\}\}")
_EQUAL = re.compile(r'(?:else )?if eq \.Role "(\w+)"')
_COMMAND = re.compile(r"(?P<name>[A-Z]+) +(?P<value>\"\"\".*?\"\"\"|[^\n]*)(?:\n|$)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Modelfile:
    """What a Modelfile says."""

    source: str
    """`FROM`: a folder or a GGUF file, relative to the Modelfile."""
    template: str
    system: str = ""
    """Used where a conversation brings none; empty: none."""
    stops: Sequence[str] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    """Comments, a line each."""

    def text(self) -> str:
        """The file. `DataError` E304 where a text cannot be quoted in it."""
        for part in (self.template, self.system):
            if QUOTES in part or part.endswith('"'):
                raise cannot("a text in it has quotes that a Modelfile cannot hold")
        lines = [*(f"# {note}" for note in self.notes), f"FROM {self.source}", ""]
        lines += [f"TEMPLATE {QUOTES}{self.template}{QUOTES}", ""]
        lines += [f"SYSTEM {QUOTES}{self.system}{QUOTES}", ""] if self.system else []
        lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in self.stops]
        lines += [f"PARAMETER {name} {value:g}" for name, value in self.parameters.items()]
        return "\n".join(lines) + "\n"

    def render(self, chat: Chat) -> str:
        """The prompt of a conversation, as Go's template engine makes it of this file."""
        if self.system and chat[0]["role"] != "system":
            chat = [{"role": "system", "content": self.system}, *chat]
        head, _, rest = self.template.partition("{{ range .Messages }}")
        body, _, tail = rest.rpartition("{{ end }}")
        return head + "".join(_turn(body, message) for message in chat) + tail


def go_template(turns: Turns) -> str:
    """The pieces as a Go template, without line breaks or blanks of its own: all text outside braces is written out."""
    for piece in (turns.first, turns.answer, *turns.before.values(), *turns.after.values()):
        if "{{" in piece or "}}" in piece:
            raise cannot("a text in it has double braces")
    cases = [f'if eq .Role "{role}" }}}}{turns.before[role]}{{{{ .Content }}}}{turns.after[role]}' for role in ROLES]
    body = "{{ " + "{{ else ".join(cases) + "{{ end }}"
    return f"{turns.first}{{{{ range .Messages }}}}{body}{{{{ end }}}}{turns.answer}"


def _turn(body: str, message: Mapping[str, str]) -> str:
    """One pass through the body of the loop: the branch of the message's role."""
    out, taken, done, at = "", True, False, 0
    for action in _ACTION.finditer(body):
        out += body[at : action.start()] if taken else ""
        at, word = action.end(), action[1].strip()
        if equal := _EQUAL.fullmatch(word):
            taken = not done and equal[1] == message["role"]
            done = done or taken
        elif word == "end":
            taken, done = True, False
        elif word == ".Content":
            out += message["content"] if taken else ""
        else:
            raise DataError(f"the template has an action that is not understood: {{{{{action[1]}}}}}.", code="E304")
    return out + (body[at:] if taken else "")


def read(text: str) -> Modelfile:
    """A Modelfile as `Modelfile.text` writes it.

    Raises:
        DataError: E304 it names no weights or no template.
    """
    told: dict[str, str] = {}
    stops, parameters = list[str](), dict[str, float]()
    for command in _COMMAND.finditer(text[text.find("FROM ") :]):  # comments stand before it
        value = command["value"]
        if command["name"] == "PARAMETER":
            name, _, given = value.partition(" ")
            if name == "stop":
                stops.append(json.loads(given))
            else:
                parameters[name] = float(given)
        else:
            told[command["name"]] = value.removeprefix(QUOTES).removesuffix(QUOTES)
    if missing := [name for name in ("FROM", "TEMPLATE") if not told.get(name)]:
        raise DataError(f"the Modelfile has no {missing[0]}.", code="E304")
    return Modelfile(
        source=told["FROM"],
        template=told["TEMPLATE"],
        system=told.get("SYSTEM", ""),
        stops=stops,
        parameters=parameters,
    )


def modelfile(
    turns: Turns,
    tokenizer: Any,
    *,
    source: str,
    stops: Sequence[int],
    parameters: Mapping[str, float],
    system: str = "",
) -> Modelfile:
    """The Modelfile of a model.

    Args:
        turns: of its chat template.
        tokenizer: for the texts of tokens.
        source: the weights, relative to the file.
        stops: ids at which a response ended in training.
        parameters: of drawing tokens: `temperature`, `num_predict`.
        system: the run's own system text; empty: the template's, where it has one.

    Raises:
        DataError: E304 the template cannot be written, or begins otherwise than the tokenizer.
    """
    if turns.system == "":
        raise cannot("it writes a system turn without a text, which Ollama leaves out")
    turns, notes = _without_start(turns, tokenizer)
    return Modelfile(
        source=source,
        template=go_template(turns),
        system=system or turns.system or "",
        stops=[str(tokenizer.decode([stop])) for stop in stops],
        parameters={**parameters, **UNFILTERED},
        notes=notes,
    )


def adds_start(tokenizer: Any) -> bool:
    """Whether the tokenizer puts its beginning-of-sequence token before a text by itself, as Ollama then does."""
    ids = tokenizer("a")["input_ids"]
    return tokenizer.bos_token_id is not None and bool(ids) and ids[0] == tokenizer.bos_token_id


def _without_start(turns: Turns, tokenizer: Any) -> tuple[Turns, list[str]]:
    """The pieces without a beginning-of-sequence token that Ollama writes by itself, and the comment on it."""
    if not adds_start(tokenizer):
        return turns, []
    start = str(tokenizer.bos_token)
    notes = [f"{start} is not in the template: Ollama puts it before every prompt, as the tokenizer does."]
    if turns.first.startswith(start):
        return replace(turns, first=turns.first.removeprefix(start)), notes
    opening = turns.before["system"]
    if turns.system is not None and opening.startswith(start):  # then every conversation begins with a system turn
        return replace(turns, before={**turns.before, "system": opening.removeprefix(start)}), notes
    raise cannot(f"Ollama would put {start} before every prompt, and the chat template has none")
