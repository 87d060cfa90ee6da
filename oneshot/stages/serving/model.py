"""The folder that is served, and what the model has to say from it: prompt tokens, stop ids, greedy tokens.

The back end reads a folder of links to the checkpoint's files, with one file of its own: `generation_config.json` has
the ids at which responses ended in training, and OpenAI's defaults (temperature 1, nothing cut off) in place of the
base model's settings. An adapter is merged into such a folder first, since `transformers serve` takes no adapters.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot._store import folders as sealed
from oneshot.config.environment import home
from oneshot.data.prompts import messages, render
from oneshot.errors import DataError, UsageError
from oneshot.export import folders
from oneshot.export.merged import plain_weights
from oneshot.export.verify import NEAR, open_tokenizer, scored
from oneshot.model.shapes import ADAPTER_CONFIG
from oneshot.stages.serving.target import Target
from oneshot.types import Problem, Sampling

if TYPE_CHECKING:
    from oneshot.model.policy import Policy

GENERATION = "generation_config.json"
TEMPLATE = "chat_template.jinja"
PLAIN = (
    "{% for m in messages %}{{ m['content'] }}{% if not loop.last %}{{ '\\n\\n' }}{% endif %}{% endfor %}{{ '\\n' }}"
)
"""What `data.prompts.render` writes where a tokenizer has no template."""
GOLDEN_TOKENS = 32
"""Tokens of the answer that is compared at the start, at most."""


@dataclass(frozen=True, kw_only=True)
class Golden:
    """One prompt and what the model says to it, greedily, by the project's own sampler."""

    id: str
    messages: tuple[dict[str, str], ...]
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    gaps: tuple[float, ...]
    """The distance between the two best logits where each token was chosen."""
    texts: tuple[str, ...]
    """What is said up to each token; a character that is not whole yet is left out."""
    text: str
    limit: int

    def compared(self, text: str, tokens: int) -> tuple[bool, str]:
        """(whether rounding explains it, in words) of the same answer from elsewhere, with its number of tokens."""
        if text == self.text and tokens == len(self.tokens):
            return True, f"{tokens} greedy tokens are the project's own sampler's"
        at = next((i for i, so_far in enumerate(self.texts) if not text.startswith(so_far)), len(self.texts) - 1)
        gap = self.gaps[at]
        where = f"part at token {at}, where the two best logits are {gap:.2g} apart"
        near = gap < NEAR
        return near, f"greedy tokens {where}" + (": a near tie, which rounding decides" if near else "")


@dataclass(frozen=True, kw_only=True)
class Served:
    """What the back end gets."""

    folder: Path
    dtype: str
    golden: Golden


def prepare(target: Target, room: Path, *, dtype: str, say: Callable[[str], None]) -> Served:
    """Fill `room / "model"`, and ask the model the golden prompt. The weights are out of memory again afterwards.

    Raises:
        UsageError: E105 a temporary folder that the back end cannot read.
        MachineError: E202 no room for a merged model; else as `policy.load`.
        DataError: E304 the model does not load, or a server would read the prompt as other tokens.
    """
    folder = room / "model"
    if "@" in str(folder):
        raise UsageError(
            f"the temporary folder {room} has an @ in its name, which transformers serve reads as a revision.",
            code="E105",
            tries=("TMPDIR=/tmp oneshot serve ...",),
        )
    folder.mkdir()
    policy = target.load(offline=False, dtype="float32" if _adapter(target) else dtype)
    golden = None if policy.adapted and dtype != "float32" else ask(policy, target)
    if policy.adapted:
        weights = plain_weights(policy, dtype)
        folders.check_room(
            folder, weights.bytes, "a merged model, which transformers serve needs instead of an adapter,"
        )
        folders.write_model(weights.policy, folder)
        policy = weights.policy
        say("the adapter is merged into its model, in a temporary folder")
    else:
        link(source_of(target), folder)
    golden = golden or ask(policy, target)
    _settings(policy, folder)
    _check_prompt(policy, folder, golden)
    served = Served(folder=folder, dtype=dtype, golden=golden)
    del policy
    gc.collect()
    return served


def _adapter(target: Target) -> bool:
    return (Path(target.source) / ADAPTER_CONFIG).is_file()


def source_of(target: Target) -> Path:
    """The folder with the files of a model that was loaded; of one from the Hub its place in the cache."""
    from transformers.utils.hub import cached_file

    from oneshot.model import policy as policies

    name = policies.find(target.source, home=home(), offline=False)
    if Path(name).is_dir():
        return Path(name).resolve()
    revision = target.config.model.revision or None
    found = cached_file(name, "config.json", revision=revision, local_files_only=True)
    assert found is not None, "it was loaded a moment ago"
    return Path(found).parent


def link(source: Path, folder: Path) -> None:
    """Fill `folder` with links to the files of a model's folder, but for how it generates."""
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name not in (GENERATION, sealed.CHECKSUMS):
            (folder / path.name).symlink_to(path.resolve())


def _settings(policy: Policy, folder: Path) -> None:
    """Write where a response ends, OpenAI's defaults, and a chat template where the tokenizer has none."""
    from transformers import GenerationConfig

    stops, tokenizer = sorted(policy.eos_ids), policy.tokenizer
    (folder / GENERATION).unlink(missing_ok=True)
    GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=stops[0] if len(stops) == 1 else stops,
        pad_token_id=stops[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
    ).save_pretrained(folder)
    if not tokenizer.chat_template:
        bare, whole = (tokenizer("a", add_special_tokens=special)["input_ids"] for special in (False, True))
        start = "{{ bos_token }}" if whole == [tokenizer.bos_token_id, *bare] else ""
        (folder / TEMPLATE).write_text(start + PLAIN, "utf-8")


def ask(policy: Policy, target: Target) -> Golden:
    """The golden prompt and its answer."""
    data, limit = target.config.data, min(target.config.rollout.max_new_tokens, GOLDEN_TOKENS)
    return answers(policy, [target.problem()], limit=limit, suffix=data.suffix, system=data.system)[0]


def answers(
    policy: Policy, problems: Sequence[Problem], *, limit: int, suffix: str = "", system: str = ""
) -> list[Golden]:
    """What the project's own sampler says to each problem, greedily, in at most `limit` tokens."""
    from oneshot.rollout.native import NativeEngine

    prompts = [render(policy.tokenizer, problem, suffix=suffix, system=system) for problem in problems]
    greedy = Sampling(temperature=0.0, max_new_tokens=limit)
    made = NativeEngine(policy).generate(prompts, greedy, [(0, i) for i in range(len(prompts))])
    return [
        Golden(
            id=problem.id,
            messages=tuple(messages(problem, suffix=suffix, system=system)),
            prompt=prompt,
            tokens=one.tokens,
            gaps=scored(policy.model, prompt, one.tokens)[1],
            texts=so_far(policy.decode, one.tokens),
            text=one.text,
            limit=limit,
        )
        for problem, prompt, one in zip(problems, prompts, made, strict=True)
    ]


def so_far(decode: Callable[[Sequence[int]], str], tokens: Sequence[int]) -> tuple[str, ...]:
    """The text up to each token, without characters whose last byte is still to come."""
    return tuple(decode(tokens[: i + 1]).rstrip("\ufffd") for i in range(len(tokens)))


def _check_prompt(policy: Policy, folder: Path, golden: Golden) -> None:
    """Refuse a folder from which prompt or stop ids are not those of training.

    Raises:
        DataError: E304.
    """
    from transformers import GenerationConfig

    tokenizer = open_tokenizer(folder)
    found: Any = tokenizer.apply_chat_template(
        list(golden.messages), add_generation_prompt=True, tokenize=True, return_dict=True
    )
    if tuple(found["input_ids"]) != golden.prompt:
        raise DataError(
            f"a server reads the question {golden.id!r} as {len(found['input_ids'])} other tokens than the "
            f"{len(golden.prompt)} it was trained with: the chat template or the tokenizer is not the run's.",
            code="E304",
            kept="Nothing was started.",
        )
    ends = GenerationConfig.from_pretrained(folder).eos_token_id
    if frozenset([ends] if isinstance(ends, int) else ends) != policy.eos_ids:
        raise DataError(f"the stop ids {ends} are not the run's, {sorted(policy.eos_ids)}.", code="E304")
