"""Which fields of a request are forwarded, dropped or refused."""

from __future__ import annotations

from typing import Any

import pytest

from oneshot.stages.serving.fields import kept, refused

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
TEXT: dict[str, Any] = {"model": "m", "prompt": "a"}


def test_what_is_dropped_and_what_is_kept() -> None:
    body = {**CHAT, "temperature": 0.5, "user": "me", "stream_options": {"include_usage": True}, "n": 1, "stop": None}
    assert refused(body, "chat") == ""
    assert kept(body) == {"messages": CHAT["messages"], "temperature": 0.5}


@pytest.mark.parametrize(
    "extra",
    [
        {"n": 2}, {"n": True}, {"logprobs": True}, {"logprobs": 0}, {"frequency_penalty": 0.1}, {"best_of": 3},
        {"echo": True}, {"logit_bias": {"1": 5}}, {"response_format": {"type": "json_object"}}, {"tools": [{}]},
        {"tool_choice": "required"}, {"generation_config": "{}"}, {"chat_template_kwargs": {"chat_template": "x"}},
        {"top_k": 5}, {"prompt": "b"}, {"max_tokens": 0}, {"max_tokens": 1.5}, {"max_tokens": True},
        {"max_completion_tokens": -1}, {"temperature": -0.1}, {"temperature": float("nan")}, {"temperature": "0"},
        {"top_p": 0}, {"top_p": 1.1}, {"seed": -1}, {"seed": 1 << 40}, {"stop": []}, {"stop": ""}, {"stop": [1]},
        {"stream": 1}, {"messages": []}, {"messages": "a"}, {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc"}}]}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_the_back_end_would_not_do_as_asked_is_refused(extra: dict[str, Any]) -> None:
    assert refused({**CHAT, **extra}, "chat") != ""


@pytest.mark.parametrize(
    "extra",
    [
        {"presence_penalty": 0}, {"frequency_penalty": 0.0}, {"logprobs": False}, {"logprobs": None}, {"n": 1},
        {"response_format": {"type": "text"}}, {"tools": []}, {"tool_choice": "auto"}, {"temperature": 0},
        {"max_tokens": 1}, {"stop": ["a", "b"]}, {"messages": [{"role": "user", "content": []}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_changes_nothing_may_be_said(extra: dict[str, Any]) -> None:
    assert refused({**CHAT, **extra}, "chat") == ""


def test_completions_take_one_text() -> None:
    assert refused(TEXT, "text") == ""
    assert "one text" in refused({**TEXT, "prompt": ["a"]}, "text")
    assert "one text" in refused({**TEXT, "prompt": [1, 2]}, "text")
    assert "'prompt' is missing" in refused({"model": "m"}, "text")
    assert refused({**TEXT, "messages": CHAT["messages"]}, "text") == "'messages' is not offered here"
