r"""A reward function from somebody's file, called the way it was written for. Runs inside a worker process.

The convention is recognised by argument names alone:

| convention | known by | signature |
| --- | --- | --- |
| TRL | `completions` | `f(prompts, completions, answer, **kwargs) -> list[float]`; called with lists of length 1 |
| verl | `solution_str` | `compute_score(data_source, solution_str, ground_truth, extra_info=None) -> float` |
| reasoning-gym | `entry` | `score_answer(answer, entry) -> float` |
| verifiers v0 | `completion` or `state` | `f(prompt, completion, answer, state, info, ...) -> float`, any of them |
| plain | `response` | `f(response, reference) -> bool or float` |

Where several fit, the first whose required arguments can all be supplied is taken, in this order. Arguments that have a
default are passed too when they are known; with `**kwargs` all that the convention knows are passed. Every convention
may be `async`. Numbers may be anything with `.item()`; where one number is expected, a dict with "score" will do.

- verifiers v0 hands over chat messages unless an environment is told otherwise, so `completion` is
  `[{"role": "assistant", "content": response}]`; annotated `completion: str`, it is the string.
- reasoning-gym scores an answer that was taken out of the response before: the last complete box, else the last
  `<answer>...</answer>`, else None.
- The response alone is graded. Prompts, token ids and the trainer's state are not known here: they are None, so that
  a function which uses them fails instead of learning from a stand-in. Dictionaries for further data are empty.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import math
import sys
from collections.abc import Awaitable, Callable
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

from oneshot.errors import UsageError
from oneshot.registry import nearest
from oneshot.rewards.user.conventions import CONVENTIONS, Convention
from oneshot.rewards.user.guard import Refused, UsersCode, shown

Job = dict[str, Any]
"""`{"response": ..., "reference": ...}`, or `{"describe": True}`."""


def split(spec: str) -> tuple[Path, str]:
    """`path/to/file.py:function` as the file and the (dotted) name of the function.

    Raises:
        UsageError: E103 when it is not of that form.
    """
    file, colon, name = spec.rpartition(":")
    if not colon or not file.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(
            f"{spec!r} does not name a reward function: FILE.py:FUNCTION is needed.",
            code="E103",
            tries=("reward.py:score   (the function score in the file reward.py)",),
        )
    return Path(file).expanduser(), name


def load(spec: str) -> Callable[[Job], dict[str, Any]]:
    """The function of `file.py:function`, as one that takes a job and returns a JSON-able result; never raises then.

    A job is answered with `{"score": float, "extracted": str | None}`, or with `{"failure": reason}` where the function
    raised or returned what is no reward. `{"describe": True}` is answered with `{"convention": ..., "signature": ...}`,
    or with `{"failure": reason}` where the file cannot be imported, has no such function, or it fits no convention.

    The file is imported: it is code and runs with the caller's rights. Its folder is appended to `sys.path`, so that
    it can import its neighbours without hiding anything installed.

    Raises:
        UsageError: E103 `spec` has no such form.
    """
    path, name = split(spec)
    path = path.resolve()
    try:
        with UsersCode(path):
            return Reward(_find(path, name), name, path)
    except Refused as refused:
        failure = {"failure": str(refused)}
        return lambda job: failure


def recognise(function: Callable[..., Any]) -> tuple[Convention, inspect.Signature]:
    """The convention a function was written for, by the names of its arguments.

    Raises:
        Refused: no convention fits, or it asks for an argument that its convention does not have.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise Refused(f"its arguments cannot be read ({error})") from error
    named = {name for name, p in signature.parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    needed = [name for name, p in signature.parameters.items() if name in named and p.default is p.empty]
    fitting = [convention for convention in CONVENTIONS if named & set(convention.marks)]
    if not fitting:
        lines = "".join(f"\n  {convention.name}: {convention.signature}" for convention in CONVENTIONS)
        raise Refused(f"its arguments {signature} fit no convention; name them as in one of these:{lines}")
    for convention in fitting:
        if set(needed) <= set(convention.names):
            return convention, signature
    first = fitting[0]
    unknown = [name for name in needed if name not in first.names]
    raise Refused(
        f"it looks like the {first.name} convention but asks for {', '.join(map(repr, unknown))}, which is not known "
        f"here; known are {', '.join(first.names)}"
    )


class Reward:
    """A user's function with its convention. Calling it never raises for what the function does."""

    def __init__(self, function: Callable[..., Any], name: str, path: Path) -> None:
        self.function, self.name, self.path = function, name, path
        self.convention, self.signature = recognise(function)

    def __call__(self, job: Job) -> dict[str, Any]:
        """Score one response; see `load`."""
        if job.get("describe"):
            return {"convention": self.convention.name, "signature": f"{self.name}{self.signature}"}
        try:
            with UsersCode(self.path):
                return self._score(job["response"], job["reference"])
        except Refused as refused:
            return {"failure": str(refused)}

    def _score(self, response: str, reference: str) -> dict[str, Any]:
        values = self.convention.values(response, reference)
        annotation = getattr(self.signature.parameters.get("completion"), "annotation", None)
        if "completion" in values and annotation in (str, "str"):
            values["completion"] = response
        positional, keywords = _bind(self.signature, values)
        result = self.function(*positional, **keywords)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
        if self.convention.batched:
            result = _only(result)
        extracted = None
        if isinstance(result, dict):
            if "score" not in result:
                raise Refused(f'returned a dict without "score": {shown(result)}')
            found = result.get("pred", result.get("extracted"))
            result, extracted = result["score"], found if isinstance(found, str) else None
        if extracted is None and self.convention.extracts:
            extracted = values["answer"]
        return {"score": _number(result), "extracted": extracted}


def _find(path: Path, name: str) -> Callable[..., Any]:
    """Import a file by its path and take a callable out of it."""
    module = _imported(path)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            has = f"It has: {', '.join(known)}." if known else "It has no function."
            raise Refused(f"the file has no function {name!r}.{nearest(name, known)} {has}")
        found = getattr(found, part)
    if not callable(found) or inspect.isclass(found):
        raise Refused(f"{name} is {shown(found)}, not a function")
    function: Callable[..., Any] = found
    return function


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"oneshot_reward_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise Refused("it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look a class's module up by name
    sys.path.append(str(path.parent))
    try:
        with UsersCode(path):
            spec.loader.exec_module(module)
    except Refused as refused:
        raise Refused(f"importing the file {refused}") from refused
    return module


def _bind(signature: inspect.Signature, values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """What to call a function with: every value it names, and all others when it takes `**kwargs`."""
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    left = dict(values)
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            keywords |= left
        elif name in left and parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(left.pop(name))
        elif name in left and parameter.kind is not parameter.VAR_POSITIONAL:
            keywords[name] = left.pop(name)
    return positional, keywords


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _only(result: Any) -> Any:
    """The one reward of a batch of one."""
    as_list = getattr(result, "tolist", None)
    rewards = as_list() if callable(as_list) else result
    if not isinstance(rewards, list | tuple):
        raise Refused(f"returned {shown(result)}, not a list of rewards")
    if len(rewards) != 1:
        raise Refused(f"returned {len(rewards)} rewards for 1 completion")
    if rewards[0] is None:
        raise Refused(
            'returned None for a completion ("does not apply"), which is no reward: there is no other function'
        )
    return rewards[0]


def _number(value: Any) -> float:
    """A finite number; True is 1."""
    item = getattr(value, "item", None)
    number = item() if callable(item) and not isinstance(value, Real) else value
    if not isinstance(number, Real):
        raise Refused(f"returned {shown(value)}, not a number")
    try:
        score = float(number)
    except OverflowError as error:
        raise Refused("returned a number too large for a reward") from error
    if not math.isfinite(score):
        raise Refused(f"returned {score}")
    return score
