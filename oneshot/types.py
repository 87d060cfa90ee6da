"""What crosses a module boundary: frozen, keyword-only dataclasses. No torch at run time.

Shape legend, used as suffixes everywhere:

    P problems   G samples per group   B responses (rows)   T response tokens   L packed tokens of a micro-batch
    N predicted tokens of a micro-batch   V vocabulary   H hidden size
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

PAIR = "pairing.role"
"""Key in `Problem.meta`: 1 where the curriculum trains on it as the hard one of a pair, −1 as the easy one."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One question with a checkable answer. Example: `Problem(id="pi1", prompt="...", answer="12.8")`."""

    id: str
    prompt: str
    """The question itself, without system text or suffix."""
    answer: str
    """The reference answer. Empty never matches anything."""
    category: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able provenance; the built-in task keeps kind, wording, operation and operands here."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a verifier says about one response, and why. It never raises; undecided counts as wrong."""

    correct: bool
    extracted: str | None
    """The answer text found in the response; None where there is none."""
    method: str
    """The tier that decided: `text`, `number`, `structure`, `expression`, `symbolic`, ...; `none` without an answer."""
    status: str = "ok"
    """`ok`, `no_answer`, `empty`, `undecided`, `timeout`, `memory` or `error`."""
    seconds: float = 0.0
    score: float | None = None
    """The number a user's function returned, which is the reward; None where the reward is 0/1 by `correct`."""
    message: str = ""
    """What there is to say about a status that is not `ok`."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One sampled response. `tokens` includes the sampled end-of-sequence token when `finished`."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    """log p of each token under the sampler, at the sampling temperature; empty when decoding is greedy."""
    text: str
    finished: bool
    """An end-of-sequence token was sampled; otherwise the response was cut at the limit."""
    reward: float = 0.0
    verdict: Verdict | None = None

    def scored(self, verdict: Verdict) -> Completion:
        """The same completion with its verdict and the reward that follows from it."""
        reward = float(verdict.correct) if verdict.score is None else verdict.score
        return replace(self, verdict=verdict, reward=reward)


@dataclass(frozen=True, kw_only=True)
class Group:
    """One occurrence of a prompt with its G responses: the unit in which advantages are normalised."""

    id: int
    problem: Problem
    prompt_tokens: tuple[int, ...]
    completions: tuple[Completion, ...]
    policy_version: int
    """The number of optimiser steps the sampling weights had seen."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to decode. `temperature=0` is greedy.

    top-p, top-k and min-p do not exist here: the learner's log p would not be the behaviour policy's.
    """

    temperature: float = 1.0
    max_new_tokens: int = 64
    seed: int = 0
    """Run seed; the stream of one response is keyed by (seed, step, sample)."""


@dataclass(frozen=True, kw_only=True)
class EvalRow:
    """One graded evaluation response; a row of `samples.jsonl.gz`."""

    id: str
    category: str
    prompt: str
    answer: str
    response: str
    extracted: str | None
    correct: bool
    status: str
    cut: bool
    """The response hit the length limit."""
    tokens: int
    sample: int = 0
    """Counts the responses to one problem."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """The problem's meta plus what the evaluation adds: `boxed` (strict box grade), `lenient` (grade with box-less
    extraction), `forced` (grade after a box was forced, where that was asked for), `repeated` (the response ends in a
    repeated tail), `correct_short` (same output cut
    at the training limit), `answer_class` (built-in task: a+b, a-b, axb, a/b, operand, other, none)."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Where a packed row's prompt and responses lie: the prompt first, then the responses one after another."""

    prompt: int
    """Tokens of the prompt."""
    blocks: tuple[Tensor, ...]
    """long [R, T] each: places of R responses of about equal length; a shorter one repeats its last place."""
    order_L: Tensor | None
    """long [L]: where each place lies in [prompt; first block; second block; ...]; None where nothing moves."""


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """What one forward sees, padded or packed alike; the learner does not know which.

    `rows` index the step's B responses in order; token n of the N predicted ones sits at flat position
    `predict_N[n]` of the [R·L] hidden states, is the token `target_N[n]`, and lands at `(row_N[n], col_N[n])`, where
    row counts within `rows` and col within T.
    """

    rows: tuple[int, ...]
    input_ids: Tensor  # [R, L]
    position_ids: Tensor  # [R, L]
    mask: Tensor | None  # bool [R, 1, L, L], True = may attend; None: what `tree` says
    predict_N: Tensor
    target_N: Tensor
    row_N: Tensor
    col_N: Tensor
    tree: Tree | None = None
    """Of a packed row, which has no mask; None for padded rows."""


@dataclass(frozen=True, kw_only=True)
class TokenBatch:
    """All responses of one optimiser step, [B, T] right-padded scalars, and their micro-batches."""

    micro: tuple[MicroBatch, ...]
    mask_BT: Tensor  # bool, True on response tokens including the sampled EOS
    rewards_B: Tensor
    group_B: Tensor  # long, group id of each response
    sampler_logp_BT: Tensor
    max_response: int
    """The response limit (not the longest response): dr_grpo's constant denominator."""
    old_logp_BT: Tensor | None = None
    reference_logp_BT: Tensor | None = None
    values_BT: Tensor | None = None
    """The critic's value before each token."""
    returns_BT: Tensor | None = None
    """What the critic should have said there."""
    token_rewards_BT: Tensor | None = None
    """What each token earned; None: `rewards_B`, each on its response's last token."""
    problem_B: Tensor | None = None
    """long, equal for responses to one problem, in whichever group; needed by pooled groups only."""
    pair_B: Tensor | None = None
    """long, 1 for responses to the hard one of a pair, −1 to the easy one, 0 to others; None where there is none."""
    parts: tuple[int, ...] = ()
    """How many responses each mini-batch has, in row order; empty where all are one."""

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        return self.mask_BT.shape[0], self.mask_BT.shape[1]


class Verifier(Protocol):
    """Grades a response text against a reference. The prompt is not an argument, so it cannot be graded."""

    name: str

    def __call__(self, response: str, reference: str) -> Verdict:
        """Never raises; an empty reference never matches."""
        ...


class Engine(Protocol):
    """Anything that turns prompts into responses with the current policy's weights.

    An engine may have two attributes, which whoever keeps responses as they come sets for a while: `check()`, called
    before every token or few, which may raise to give up what is not finished; and `finished(place, completion)`, told
    each response as it is finished, with its place in the call.
    """

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, streams: Sequence[tuple[int, int]]
    ) -> list[Completion]:
        """One response a prompt, in order.

        `streams[i] = (step, sample)` keys the random numbers of response i, so they depend neither on batch shape nor
        on order. Equal prompts are prefilled once.
        """
        ...
