"""What the flags of `oneshot eval` say, checked before any file is opened. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from oneshot.config.origins import show, value_of
from oneshot.config.request import Request
from oneshot.errors import UsageError
from oneshot.registry import nearest

LAST, BEST, ALL = "last", "best", "all"
WHICH = (LAST, BEST, ALL)
CONTROL = ("reward.control", "data.corrupt")
"""What makes a training run a control arm."""
_OF_A_MODEL = ("checkpoints", "icl", "best_prompt", "forced_box")


@dataclass(frozen=True, kw_only=True)
class Flags:
    """The flags of `oneshot eval` that are no settings."""

    target: str = ""
    """A model or a run; empty with `responses`."""
    responses: str = ""
    """A file of stored outputs."""
    ks: tuple[int, ...] = ()
    """The k of pass@k and maj@k that are shown; empty means all that were computed."""
    checkpoints: str = LAST
    """One of `WHICH`."""
    least: Mapping[str, float] = field(default_factory=dict)
    """Task -> least accuracy; the empty name stands for every task."""
    out: str = ""
    """Folder of the results of a model or of responses."""
    forced: bool = False
    icl: str = ""
    """A run whose example goes into the prompt."""
    best_prompt: bool = False
    exports: tuple[str, ...] = ()
    """Some of `export.results.EXPORTERS`."""


def read(request: Request) -> Flags:
    """The flags of a request.

    Raises:
        UsageError: E102 an unknown export, E103 a value that is none, E105 two that do not go together.
        MachineError: E204 the package of an export is missing.
    """
    given = request.verb_flags
    target = request.positional[0] if request.positional else ""
    responses = str(given.get("responses", ""))
    if not target and not responses:
        tries = ("oneshot eval MODEL --tasks math500", "oneshot eval --responses FILE.jsonl --tasks math500")
        raise UsageError("oneshot eval needs MODEL|RUN.", code="E103", tries=tries)
    if responses:
        _check_responses(request, target, responses)
    return Flags(
        target=target,
        responses=responses,
        ks=_ks(str(given["k"])) if "k" in given else (),
        checkpoints=_one_of("checkpoints", str(given.get("checkpoints", LAST)), WHICH),
        least=given.get("fail_under", {}),
        out=str(given.get("out", "")),
        forced="forced_box" in given,
        icl=str(given.get("icl", "")),
        best_prompt="best_prompt" in given,
        exports=_exports(given, responses),
    )


def _exports(given: Mapping[str, object], responses: str) -> tuple[str, ...]:
    """Checked here, so that nothing is measured for an export that cannot be made."""
    kinds = tuple(name.strip() for name in _words(given.get("export", "")))
    if not kinds and "export" not in given:
        return ()
    from oneshot.export.results import EXPORTERS, check

    if not kinds:
        raise UsageError(
            f"--export {given['export']!r} names no export. Known: {', '.join(EXPORTERS)}.",
            code="E103",
            tries=("--export lm-eval",),
        )

    check(kinds)
    if responses and "out" not in given:
        raise UsageError(
            "--export writes what is recorded, and graded responses are recorded with --out only.",
            code="E105",
            tries=(f"--export {','.join(kinds)} --out DIR",),
        )
    return kinds


def _words(text: object) -> list[str]:
    return list(dict.fromkeys(filter(None, str(text).split(","))))


def _check_responses(request: Request, target: str, responses: str) -> None:
    """Stored outputs need no model, and nothing that only a model can do."""
    if target:
        raise UsageError(
            f"--responses {responses} are graded as they are, without a model: leave {target!r} out.",
            code="E105",
            tries=(f"oneshot eval --responses {responses} --tasks TASK",),
        )
    keys = ("samples", "temperature", "max_new_tokens", "suffix")
    made = [f"--{name.replace('_', '-')}" for name in _OF_A_MODEL if name in request.verb_flags]
    made += [f"--evals.{key.replace('_', '-')}" for key in keys if _typed(request, f"evals.{key}")]
    if made:
        raise UsageError(
            f"{made[0]} says how a model is asked, and --responses were made already.",
            code="E105",
            tries=(f"oneshot eval --responses {responses} --tasks TASK",),
        )


def _typed(request: Request, key: str) -> bool:
    """Whether a flag of this command set the key; a recipe may say how models are asked, and is passed over."""
    return request.origins.get(key, "").startswith("flag")


def passed_over(request: Request) -> list[str]:
    """What of a recipe makes a training run a control arm, and does nothing to a model or to responses.

    A recipe is for training as well, so its other settings of training are passed over without a word. Of a run they
    are refused where the run had others (E105).
    """
    return [
        f"{key} = {show(value)} ({request.origins[key]}) acts in training only and changes nothing measured here"
        for key in CONTROL
        if request.given(key) and (value := value_of(request.config, key))
    ]


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        hint = nearest(value, list(known))
        raise UsageError(f"--{name} {value!r} is none of: {', '.join(known)}.{hint}", code="E103")
    return value


def _ks(text: str) -> tuple[int, ...]:
    words = _words(text)
    wrong = [word for word in words if not (word.strip().isascii() and word.strip().isdigit() and int(word) > 0)]
    if wrong or not words:
        raise UsageError(
            f"--k {text}: {(wrong or [text])[0]!r} is not a whole number above 0.", code="E103", tries=("--k 1,8",)
        )
    return tuple(sorted({int(word) for word in words}))


def check_k(ks: Iterable[int], samples: Mapping[str, int]) -> None:
    """Refuse a k above the number of responses to a problem (`samples`: task -> that number) in every task.

    A suite may have tasks that are read once beside others that are sampled; the former then show no pass@k.

    Raises:
        UsageError: E103. pass@k of n < k responses has no unbiased estimate.
    """
    most, task = max(ks, default=0), max(samples, key=lambda name: samples[name], default="")
    if task and most > samples[task]:
        raise UsageError(
            f"--k {most} needs {most} responses to each problem, and {task} has --n {samples[task]}.",
            code="E103",
            tries=(f"--n {most}", f"--k {samples[task]}"),
            kept="Nothing was measured.",
        )


def check_least(least: Mapping[str, float], tasks: Iterable[str]) -> None:
    """Refuse a threshold for a task that is not measured.

    Raises:
        UsageError: E102 with the nearest name.
    """
    names = list(tasks)
    unknown = sorted(set(least) - {"", *names})
    if not unknown:
        return
    name = unknown[0]
    if len(names) == 1:
        said, near = f"the task measured here is called {names[0]!r}.", names[0]
    else:
        said, near = f"the tasks measured here are {', '.join(names)}.{nearest(name, names)}", names[0]
    raise UsageError(f"--fail-under names {name!r}; {said}", code="E102", tries=(f"--fail-under {near}={least[name]}",))


def missed(least: Mapping[str, float], values: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Task -> (its value, the least asked for) of each task below it; a named threshold goes beside the common one."""
    found: dict[str, tuple[float, float]] = {}
    for task, value in values.items():
        asked = [least[name] for name in ("", task) if name in least]
        if asked and value < max(asked):
            found[task] = (value, max(asked))
    return found
