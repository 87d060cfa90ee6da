"""The model card of a run's model: what it is, what was trained on what, what was measured, what that does not show.

Pure text from a `Card`. Format: huggingface.co/docs/hub/model-cards. The language is left out: a run does not know it.
Texts of evaluation problems are never in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneshot.export.licence import Licence

MARKS = {"supported": "▲", "harmed": "▼", "inconclusive": "◇"}
MOST_EXAMPLES, MOST_TEXT = 4, 4000
"""Examples that are shown, and characters of one: a pool is named and not copied."""
PACKAGE = "oneshot-rlvr"
ONE_RUN = (
    "Of one training run: whether training again, or otherwise, would do the same is not tested. That takes at least "
    "three seeds a side."
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """One task, base against trained; shares in [0, 1]."""

    task: str
    n: int
    base: float
    trained: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    badge: str = ""
    why: str = ""
    """Why there is no difference."""

    def row(self) -> str:
        """A line of the table."""
        if self.difference is None or self.low is None or self.high is None:
            told = self.why or "not compared"
        else:
            told = f"{points(self.difference)} ({points(self.low)} to {points(self.high)})"
        badge = f"{MARKS.get(self.badge, '–')} {self.badge}".strip() if self.badge else "–"
        cells = (cell(self.task), f"{self.n:,}", f"{self.base:.1%}", f"{self.trained:.1%}", cell(told), badge)
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything a card says."""

    title: str
    base: str
    """The base model by name, for people."""
    base_hub: str = ""
    """Its Hub id; empty where it has none."""
    base_note: str = ""
    licence: Licence
    adapter: bool
    dtype: str
    checkpoint: str
    steps: int
    repo: str = "USER/NAME"
    tags: Sequence[str] = ()
    datasets: Sequence[str] = ()
    control: str = ""
    """What sets the run apart from a normal one; empty for a normal run."""
    examples: Sequence[tuple[str, str]] = ()
    """(question, answer) of the first ones."""
    count: int = 1
    """How many examples there were."""
    suffix: str = ""
    system: str = ""
    recipe: Mapping[str, str] = field(default_factory=dict)
    results: Sequence[Result] = ()
    claims: Sequence[tuple[str, str, str]] = ()
    """(sentence, badge, why) of what was tested of this one run."""
    limits: Sequence[str] = ()
    stops: Sequence[str] = ()
    max_new_tokens: int = 64
    command: str = ""
    versions: str = ""


def render(card: Card) -> str:
    """The whole card."""
    parts = [_front(card), f"# {cell(card.title)}", _what(card), _example(card), _recipe(card), _results(card)]
    parts += [_claims(card), _limits(card), _use(card), _again(card), f"## Licence\n\n{card.licence.note}"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(card: Card) -> str:
    import yaml

    told: dict[str, Any] = {"base_model": card.base_hub} if card.base_hub else {}
    if card.base_hub:
        told["base_model_relation"] = "adapter" if card.adapter else "finetune"
    told |= dict(card.licence.keys)
    told |= {"library_name": "peft" if card.adapter else "transformers", "pipeline_tag": "text-generation"}
    told |= {"tags": list(card.tags)}
    told |= {"datasets": list(card.datasets)} if card.datasets else {}
    text: str = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{text}---"


def _what(card: Card) -> str:
    what = "An adapter (LoRA) for" if card.adapter else "A fine-tuned copy of"
    many = "one example" if card.count == 1 else f"{card.count:,} examples"
    text = (
        f"{what} {code(card.base)}, trained for {card.steps} steps of reinforcement learning with a verifiable reward "
        f"on {many}, with [{PACKAGE}](https://pypi.org/project/{PACKAGE}/). Weights: {card.checkpoint}, {card.dtype}."
    )
    if card.checkpoint == "base":
        text = f"{code(card.base)} before any training, as the run on {many} began with it. Weights: {card.dtype}."
    notes = [text, card.base_note]
    if card.control:
        notes.append(f"**No normal run ({cell(card.control)}): it exists to be compared with, not to be used.**")
    return "\n\n".join(note for note in notes if note)


def _example(card: Card) -> str:
    if not card.examples:
        return ""
    blocks = [f"{fenced(question)}\n\nReference answer: {code(answer)}" for question, answer in card.examples]
    more = card.count - len(card.examples)
    blocks += [f"... and {more:,} more, which are not copied here."] if more > 0 else []
    head = "## The example" if card.count == 1 else "## The examples"
    if card.suffix:
        blocks.append(f"Each question was followed by: {code(card.suffix)}")
    if card.system:
        blocks.append(f"System text:\n\n{fenced(card.system)}")
    return "\n\n".join([head, *blocks])


def _recipe(card: Card) -> str:
    rows = [f"| {cell(name)} | {cell(value)} |" for name, value in card.recipe.items()]
    return "\n".join(["## Recipe", "", "| setting | value |", "| --- | --- |", *rows]) if rows else ""


def _results(card: Card) -> str:
    if not card.results:
        return "## Results\n\nNothing held out was measured with this checkpoint: whether it learned is not known."
    head = "| task | problems | base | trained | difference in points (95 % interval) | in this run |"
    notes = ["Accuracy of the untrained and the trained model, asked alike; differences are paired by problem."]
    if sum(bool(result.badge) for result in card.results) > 1:
        notes.append("Badges are adjusted for the number of tasks (Holm); intervals are each its own.")
    rows = [result.row() for result in card.results]
    return "\n".join(["## Results", "", " ".join(notes), "", head, "| --- | ---: | ---: | ---: | --- | --- |", *rows])


def _claims(card: Card) -> str:
    rows = [f"| {cell(text)} | {MARKS.get(badge, '–')} {badge} | {cell(why)} |" for text, badge, why in card.claims]
    if not rows:
        return ""
    head = ["### What this run shows", "", ONE_RUN, "", "| finding | in this run | how it was tested |"]
    return "\n".join([*head, "| --- | --- | --- |", *rows])


def _limits(card: Card) -> str:
    return "\n".join(["## Limits", "", *(f"- {cell(text)}" for text in card.limits)]) if card.limits else ""


def _use(card: Card) -> str:
    loader = "AutoPeftModelForCausalLM" if card.adapter else "AutoModelForCausalLM"
    package = "peft" if card.adapter else "transformers"
    imports = f"from {package} import {loader}\nfrom transformers import AutoTokenizer"
    if not card.adapter:
        imports = f"from transformers import {loader}, AutoTokenizer"
    question = f'"What is 17 + 25? " + {card.suffix!r}' if card.suffix else '"What is 17 + 25?"'
    system = f'{{"role": "system", "content": {card.system!r}}}, ' if card.system else ""
    program = f"""{imports}

tokenizer = AutoTokenizer.from_pretrained("{card.repo}")
model = {loader}.from_pretrained("{card.repo}")
chat = [{system}{{"role": "user", "content": {question}}}]
inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
output = model.generate(**inputs, max_new_tokens={card.max_new_tokens}, do_sample=False)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))"""
    measure = f"oneshot eval {card.repo} --tasks gsm8k"
    if card.adapter:
        measure = f"hf download {card.repo} --local-dir ./adapter\noneshot eval ./adapter --tasks gsm8k"
    ends = f"Responses end at {', '.join(map(code, card.stops))}." if card.stops else ""
    measured = f"Measure it (`pip install {PACKAGE}`):"
    parts = ["## How to run", fenced(program, "python"), ends, measured, fenced(measure, "sh")]
    return "\n\n".join(part for part in parts if part)


def _again(card: Card) -> str:
    parts = [fenced(card.command, "sh") if card.command else "The command was not recorded.", card.versions]
    return "\n\n".join(["## How it was made", *(part for part in parts if part)])


def points(value: float) -> str:
    """`+12.5`, in percentage points."""
    return f"{100 * value:+.1f}"


def code(text: str) -> str:
    """A text on one line as code, whatever backticks are in it."""
    line = " ".join(text.split()) or " "
    ticks = "`" * (1 + max(map(len, re.findall(r"`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fenced(text: str, language: str = "") -> str:
    """A text as a block of code that nothing in it can end; a long one is cut, and says so."""
    shown = text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}\n... ({len(text) - MOST_TEXT:,} more characters)"
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", shown)), default=0))
    return f"{fence}{language}\n{shown}\n{fence}"


def cell(text: str) -> str:
    """A text on one line of a table or heading: no markup of its own."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))
