r"""A fixed list of prompts that a base model is tried with, and prompts with worked examples. Loads no torch.

A base model often loses more to the prompt than to the question. What its best prompt reaches is what training has to
beat, so the list is fixed here, and which prompt is the best one is decided on a development set (`docs/baselines.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oneshot.data.prompts import messages
from oneshot.types import Problem

SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."
"""The system text of the paper's evaluation template (`qwen25-math-cot`)."""


@dataclass(frozen=True, kw_only=True)
class Worked:
    """An example that stands in a prompt with its solution."""

    question: str
    solution: str


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One way to put a question to a model."""

    name: str
    chat: bool
    """Through the tokenizer's chat template; without one, or where this is False, it is a text that goes on."""
    suffix: str = ""
    """Text after the question, after one space."""
    system: str = ""
    """System text; empty means the chat template's own default."""
    shots: tuple[Worked, ...] = ()
    """Worked examples before the question."""

    def as_dict(self) -> dict[str, Any]:
        """What of it is recorded; the exact text of a prompt stands in `results.json` beside it."""
        return {
            "name": self.name, "chat": self.chat, "suffix": self.suffix, "system": self.system,
            "shots": len(self.shots),
        }  # fmt: skip


FOUR = (
    Worked(
        question=(
            "A bakery packs muffins in boxes of $6$ and in boxes of $10$. On Monday it sold $17$ boxes, which held "
            "$134$ muffins in all. How many boxes of $10$ did it sell?"
        ),
        solution=(
            "Let $t$ be the number of boxes of $10$. Then $17 - t$ boxes held $6$ muffins each, so "
            "$10t + 6(17 - t) = 134$. This is $4t + 102 = 134$, so $4t = 32$ and $t = \\boxed{8}$.\n"
            "Final Answer: The final answer is $8$. I hope it is correct."
        ),
    ),
    Worked(
        question=(
            "A bag holds $4$ red and $5$ blue marbles. Two of them are taken out one after the other, and the first "
            "is not put back. What is the probability that the two have different colours?"
        ),
        solution=(
            "Red and then blue has probability $\\frac{4}{9} \\cdot \\frac{5}{8} = \\frac{20}{72}$, and blue and then "
            "red has probability $\\frac{5}{9} \\cdot \\frac{4}{8} = \\frac{20}{72}$. Together this is "
            "$\\frac{40}{72} = \\boxed{\\frac{5}{9}}$.\n"
            "Final Answer: The final answer is $\\frac{5}{9}$. I hope it is correct."
        ),
    ),
    Worked(
        question=(
            "A machine shows a whole number from $0$ to $14$. Every minute it multiplies the number by $7$ and shows "
            "the remainder on division by $15$ instead. It starts with $1$. What does it show after $50$ minutes?"
        ),
        solution=(
            "After $50$ minutes it shows the remainder of $7^{50}$. Now $7^2 = 49$ leaves the remainder $4$, so $7^4$ "
            "leaves that of $4^2 = 16$, which is $1$. Since $50 = 4 \\cdot 12 + 2$, $7^{50}$ leaves the same remainder "
            "as $7^2$, which is $\\boxed{4}$.\n"
            "Final Answer: The final answer is $4$. I hope it is correct."
        ),
    ),
    Worked(
        question=(
            "A garden is $6 - x$ metres wide and $x$ metres long, and its area is $4$ square metres. "
            "What is the larger of the two possible values of $x$?"
        ),
        solution=(
            "The area gives $x(6 - x) = 4$, which is $x^2 - 6x + 4 = 0$, or $(x - 3)^2 = 5$. So $x = 3 + \\sqrt{5}$ "
            "or $x = 3 - \\sqrt{5}$, both between $0$ and $6$, and the larger one is $\\boxed{3 + \\sqrt{5}}$.\n"
            "Final Answer: The final answer is $3 + \\sqrt{5}$. I hope it is correct."
        ),
    ),
)
"""Four problems of our own with solutions: a whole number, a fraction, a remainder, a root. In no benchmark."""


def prompt_list(*, suffix: str, system: str) -> tuple[Prompt, ...]:
    """The list, in the order in which ties are decided.

    Args:
        suffix: what training puts after the question.
        system: the system text of training.
    """
    return (
        Prompt(name="chat", chat=True),
        Prompt(name="plain", chat=False),
        Prompt(name="training", chat=True, suffix=suffix, system=system),
        Prompt(name="boxed", chat=True, system=SYSTEM),
        Prompt(name="four-shot", chat=False, shots=FOUR),
    )


def prompt_text(tokenizer: Any, prompt: Prompt, problem: Problem) -> tuple[str, bool]:
    """The text of a prompt, and whether it is the chat template's (whose special tokens are written in it already).

    Without shots and without a template this is what `data/prompts.py` renders. Worked examples of a text stand in the
    layout of Minerva (Lewkowycz et al. 2022, arXiv:2206.14858): `Problem:`, `Solution:`.
    """
    *before, user = messages(problem, suffix=prompt.suffix, system=prompt.system)
    if prompt.chat and tokenizer.chat_template:
        turns = [
            turn
            for shot in prompt.shots
            for turn in (
                {"role": "user", "content": shot.question},
                {"role": "assistant", "content": shot.solution},
            )
        ]
        chat = [*before, *turns, user]
        return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)), True
    head = [turn["content"] for turn in before]
    if not prompt.shots:
        return "\n\n".join([*head, user["content"]]) + "\n", False
    worked = [f"Problem:\n{shot.question}\n\nSolution: {shot.solution.strip()}" for shot in prompt.shots]
    return "\n\n".join([*head, *worked, f"Problem:\n{user['content']}\n\nSolution:"]), False


def prompt_tokens(tokenizer: Any, prompt: Prompt, problem: Problem) -> tuple[int, ...]:
    """The exact tokens of a prompt, generation prompt included; a text gets the tokenizer's special tokens."""
    text, templated = prompt_text(tokenizer, prompt, problem)
    return tuple(int(token) for token in tokenizer(text, add_special_tokens=not templated)["input_ids"])
