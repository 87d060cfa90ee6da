"""Tokenizers of tests with chat templates of several shapes."""

from __future__ import annotations

from typing import Any

from tests.tiny import tokenizer

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|system|>\nYou help.<|end|>\n' }}{% endif %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
"""A system turn of its own where none is given, as SmolLM2's and Qwen2.5's templates have."""
TRIMMED = CHATML.replace("message['content']", "message['content'] | trim")
DATED = CHATML.replace("You help.", "Today is ' + strftime_now('%d %b %Y') + '.")
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}" + CHATML
FOLDED = (
    "{% for m in messages %}{% if m['role'] == 'user' %}[Q]{% if loop.index == 2 and messages[0]['role'] == 'system' %}"
    "{{ messages[0]['content'] }} {% endif %}{{ m['content'] }}[/Q]{% elif m['role'] == 'assistant' %}"
    "{{ m['content'] }}{% endif %}{% endfor %}"
)
"""The system text stands inside the first question."""
NUMBERED = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ loop.index }}. {{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def with_template(template: str | None, **changes: Any) -> Any:
    """The tiny tokenizer with another chat template."""
    made = tokenizer()
    made.chat_template = template
    for name, value in changes.items():
        setattr(made, name, value)
    return made
