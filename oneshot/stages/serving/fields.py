"""What of a request `transformers serve` does as it says, what it can do without, and what is refused.

It takes every field of the OpenAI interface and leaves many of them aside without a word (`n`, `logprobs`, ...), reads
some as something else (`frequency_penalty` as a factor on repeated tokens) and has two of its own that reach into the
process (`generation_config`, `chat_template_kwargs`). So a field is forwarded, dropped because no answer depends on it,
or refused unless it asks for what happens anyway. Read from transformers 5.23; vLLM does what it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def _whole(value: Any, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 31


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _texts(value: Any) -> bool:
    """A text that is not empty, or several."""
    several = value if isinstance(value, list) else [value]
    return bool(several) and all(isinstance(each, str) and each for each in several)


def _content(value: Any) -> bool:
    """What a message says: a text, or parts that are texts (a part of another kind would be left out silently)."""
    if isinstance(value, list):
        return all(isinstance(p, dict) and p.get("type") == "text" and isinstance(p.get("text"), str) for p in value)
    return isinstance(value, str)


def _messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(m, dict) and isinstance(m.get("role"), str) and _content(m.get("content")) for m in value)
    )


FORWARDED: Mapping[str, tuple[Check, str]] = {
    "messages": (_messages, "a list of messages, each with a role and a text as content"),
    "prompt": (lambda value: isinstance(value, str), "one text (lists of prompts or tokens are not offered)"),
    "stream": (lambda value: isinstance(value, bool), "true or false"),
    "max_tokens": (lambda value: _whole(value, 1), "a whole number from 1"),
    "max_completion_tokens": (lambda value: _whole(value, 1), "a whole number from 1"),
    "temperature": (lambda value: _number(value) and 0 <= value <= 100, "a number from 0 to 100"),
    "top_p": (lambda value: _number(value) and 0 < value <= 1, "a number above 0, at most 1"),
    "seed": (_whole, "a whole number from 0"),
    "stop": (_texts, "a text, or a list of texts"),
}
"""Field -> (its check, what it has to be)."""
DROPPED = frozenset(
    {"user", "metadata", "store", "service_tier", "stream_options", "safety_identifier", "prompt_cache_key"}
)
"""No answer depends on these. The last piece of a stream tells the usage whatever `stream_options` says."""
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "echo": (False,),
    "suffix": ("",),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "modalities": (["text"],),
}
"""Fields that may be there with the value that changes nothing."""
NEEDED = {"chat": "messages", "text": "prompt"}


def refused(body: Mapping[str, Any], kind: str) -> str:
    """Why a request cannot be answered as it asks, empty where it can; `kind` is `chat` or `text`."""
    needed = NEEDED[kind]
    if body.get(needed) is None:
        return f"{needed!r} is missing: {FORWARDED[needed][1]}"
    for name, value in body.items():
        if value is None or name == "model" or name in DROPPED:
            continue
        if name in NEUTRAL:
            if not any(value == same and isinstance(value, bool) == isinstance(same, bool) for same in NEUTRAL[name]):
                return f"{name!r} is not offered: transformers serve would leave it aside or read it as something else"
        elif name not in FORWARDED or (name in NEEDED.values() and name != needed):
            return f"{name!r} is not offered here"
        elif not FORWARDED[name][0](value):
            return f"{name!r} is no such value: {FORWARDED[name][1]}"
    return ""


def kept(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are forwarded."""
    return {name: value for name, value in body.items() if name in FORWARDED and value is not None}
