"""`--verify`: what the trained model says through the project's own sampler, and whether each export says the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot.config.environment import llama_cpp
from oneshot.config.schema import Config
from oneshot.data.prompts import messages, render
from oneshot.data.tasks import builtin
from oneshot.errors import OneshotError
from oneshot.export import verify as checks
from oneshot.export import verl
from oneshot.export.merged import plain_weights
from oneshot.export.ollama import FILE, read
from oneshot.export.verify import Agreement, Said
from oneshot.stages.exporting.trained import Trained
from oneshot.stages.training.resume import examples
from oneshot.types import Problem, Sampling

if TYPE_CHECKING:
    from oneshot.model.policy import Policy
    from oneshot.stages.exporting.write import Export

PROMPTS, MOST_TOKENS = 20, 64
"""Prompts that are compared, and tokens of an answer at most: further on, near ties are all that is found."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The trained side."""

    config: Config
    tokenizer: Any
    device: Any
    problems: tuple[Problem, ...]
    prompts: tuple[tuple[int, ...], ...]
    said: tuple[Said, ...]
    exact: tuple[Said, ...]
    """The same without rounding to the exported dtype; the same object where there is none."""
    limit: int


def dev_problems(trained: Trained, *, offline: bool, say: Callable[[str], None]) -> list[Problem]:
    """The run's dev set; empty where there is none or it is gone, which is said."""
    from oneshot.stages.setup import held_out

    kind = next((str(row["meta"].get("kind", "")) for row in trained.run.example()), "")
    try:
        return held_out(trained.config, kind, offline=offline)
    except OneshotError as error:
        say(f"the dev set of the run cannot be read: {error.message}")
        return []


def asked(trained: Trained, *, offline: bool, say: Callable[[str], None]) -> list[Problem]:
    """The problems that are compared: the example(s), then the dev set, then the built-in task's, without repeats."""
    found = {problem.prompt: problem for problem in examples(trained.run)[:PROMPTS]}
    if len(found) < PROMPTS:
        found |= {p.prompt: p for p in dev_problems(trained, offline=offline, say=say) if p.prompt not in found}
    more = builtin.candidates(trained.config.data.task_seed, "add_word", PROMPTS) if len(found) < PROMPTS else []
    found |= {problem.prompt: problem for problem in more if problem.prompt not in found}
    return list(found.values())[:PROMPTS]


def trial(work: Export) -> Trial:
    """Let the trained model answer, greedily, in float32."""
    config = work.trained.config
    problems = asked(work.trained, offline=work.offline, say=work.say)
    policy = work.trained.load(offline=work.offline)
    prompts = tuple(
        render(policy.tokenizer, problem, suffix=config.data.suffix, system=config.data.system) for problem in problems
    )
    limit = min(config.rollout.max_new_tokens, MOST_TOKENS)
    exact = said = _said(policy, prompts, limit)
    if work.dtype != "float32" and work.trained.dtype == "float32":
        policy = plain_weights(policy, work.dtype).policy
        policy.model.float()
        said = _said(policy, prompts, limit)
    return Trial(
        config=config,
        tokenizer=policy.tokenizer,
        device=policy.device,
        problems=tuple(problems),
        prompts=prompts,
        said=said,
        exact=exact,
        limit=limit,
    )


def _said(policy: Policy, prompts: Sequence[tuple[int, ...]], limit: int) -> tuple[Said, ...]:
    from oneshot.rollout.native import NativeEngine

    sampling = Sampling(temperature=0.0, max_new_tokens=limit)
    made = NativeEngine(policy).generate(prompts, sampling, [(0, i) for i in range(len(prompts))])
    found = []
    for prompt, completion in zip(prompts, made, strict=True):
        logprobs, gaps = checks.scored(policy.model, prompt, completion.tokens)
        found.append(Said(prompt=prompt, tokens=completion.tokens, logprobs=logprobs, gaps=gaps, text=completion.text))
    return tuple(found)


def verify(work: Export) -> list[dict[str, Any]]:
    """Compare every export with what was trained, and say it.

    Returns:
        One row a kind: `to`, `same` (None: not compared), `said`, and the numbers where there are any.

    Raises:
        DataError: E304 an export does not open.
    """
    trained = trial(work)
    rows = []
    for kind, path in work.made.items():
        same, text, numbers = _one(kind, path, work, trained)
        work.say(f"{kind}: {text}" if same is not False else f"{kind}: NOT THE SAME: {text}")
        rows.append({"to": kind, "same": same, "said": text, **numbers})
    return rows


def _one(kind: str, path: Path, work: Export, trained: Trial) -> tuple[bool | None, str, dict[str, Any]]:
    """(the same or not, in words, in numbers) of one export."""
    if kind in ("hf", "merged"):
        return _folder(path, work, trained)
    if kind == "adapter":
        found = checks.check_folder(path, trained.exact, trained.limit, trained.device)
        return found.same, found.sentence(), found.as_dict()
    if kind == "gguf":
        return _gguf(path, work, trained)
    if kind == "ollama":
        file = read((path / FILE).read_text("utf-8"))
        texts = [file.render([{"role": "user", "content": _question(trained, p)}]) for p in trained.problems]
        same = [tuple(trained.tokenizer(text)["input_ids"]) for text in texts]
        return _prompts(same, trained, "Ollama itself was not run")
    return _verl(path, trained)


def _folder(path: Path, work: Export, trained: Trial) -> tuple[bool, str, dict[str, Any]]:
    found = checks.check_folder(path, trained.said, trained.limit, trained.device)
    text = found.sentence()
    if trained.said is not trained.exact:
        beside = checks.compared(trained.exact, [each.tokens for each in trained.said])
        text += (
            f" (to the trained model rounded to {work.dtype}; {beside.identical} of {beside.prompts} are what it says "
            "unrounded)"
        )
    tokenizer = checks.open_tokenizer(path)
    prompts = [_prompt(tokenizer, trained, problem) for problem in trained.problems]
    if wrong := sum(a != b for a, b in zip(prompts, trained.prompts, strict=True)):
        return False, f"{text}; {wrong} prompts have OTHER TOKENS with its tokenizer", found.as_dict()
    return found.same, text, found.as_dict()


def _gguf(path: Path, work: Export, trained: Trial) -> tuple[bool | None, str, dict[str, Any]]:
    program = checks.llama_program(llama_cpp())
    if not program:
        return None, f"not verified: neither {' nor '.join(checks.LLAMA)} is in PATH or in LLAMA_CPP/build/bin", {}
    texts = [trained.tokenizer.decode(list(prompt)) for prompt in trained.prompts]
    found: Agreement = checks.check_gguf(program, path, texts, trained.said, trained.limit)
    return found.same, f"{found.sentence()} as texts, by {program} with {work.gguf_type} weights", found.as_dict()


def _verl(path: Path, trained: Trial) -> tuple[bool, str, dict[str, Any]]:
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(path / verl.TRAIN).to_pylist()
    chats = {row["extra_info"]["id"]: row["prompt"] for row in rows}
    own = {problem.id: prompt for problem, prompt in zip(trained.problems, trained.prompts, strict=True)}
    same = [_tokens(trained.tokenizer, chat) == own[name] for name, chat in chats.items() if name in own]
    text = f"{sum(same)} of {len(same)} training prompts identical; verl itself was not run"
    return all(same), text, {"prompts": len(same)}


def _prompts(found: Sequence[tuple[int, ...]], trained: Trial, beside: str) -> tuple[bool, str, dict[str, Any]]:
    same = sum(a == b for a, b in zip(found, trained.prompts, strict=True))
    return same == len(found), f"{same} of {len(found)} prompts identical; {beside}", {"prompts": len(found)}


def _question(trained: Trial, problem: Problem) -> str:
    return messages(problem, suffix=trained.config.data.suffix)[-1]["content"]


def _prompt(tokenizer: Any, trained: Trial, problem: Problem) -> tuple[int, ...]:
    data = trained.config.data
    return render(tokenizer, problem, suffix=data.suffix, system=data.system)


def _tokens(tokenizer: Any, chat: Sequence[dict[str, str]]) -> tuple[int, ...]:
    text = tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=True)
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
