"""How far a run's model is from its base, at each reading of the dev set: the dose that arms are compared at.

KL(base‖model), averaged over the tokens of the base's own greedy answers to fixed prompts, and ‖w − w₀‖. Nothing here
changes the run: forward passes without gradients, greedy answers, which draw no random numbers. See docs/drift.md.

Memory. The base's hidden states at those places stay for the whole run (tokens × hidden size). Its output matrix and
its weights are the reference's where the learner keeps one, and with LoRA they are the model's own. Otherwise the files
are read again for the moment of each measurement: as much as the trained values are, which is what every optimiser step
takes for the moment too, so the forecast holds; beside bfloat16 with float32 masters half as much again. Where that
does not fit, an event says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from oneshot.config.environment import home
from oneshot.data.packing import pack
from oneshot.errors import DataError, MachineError
from oneshot.model import drift, lora, precision
from oneshot.model import policy as policies
from oneshot.model.fingerprint import fingerprint
from oneshot.model.machine import available_memory
from oneshot.model.memory import gib
from oneshot.record import RunFolder
from oneshot.stages.resources.forecasts import DRIFT_PROMPTS
from oneshot.stages.resources.worst_case import packs
from oneshot.stages.setup import Setup
from oneshot.train.forward import states
from oneshot.train.learner import Learner
from oneshot.types import Completion, Group, MicroBatch, Problem, Sampling, TokenBatch

TOKENS = 512
"""Of each answer at most so many tokens, the first ones, whatever the response limit of the evaluation is."""

Measure = Callable[[int], None]
"""(steps done): measure and record, unless that is recorded."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One measurement."""

    kl: float
    """Nats a token."""
    error: float | None
    """Its standard error; None with one prompt."""
    distance: float | None = None
    """Of the weights; None where the initial ones cannot be had."""


@dataclass(kw_only=True)
class Drift:
    """Measures one run. Make it with `begin`, while the weights are the initial ones."""

    setup: Setup
    run: RunFolder
    learner: Learner
    say: Callable[[str], None]
    batch: TokenBatch
    """The base's answers, a row each."""
    base: list[Tensor]
    """The base's hidden states [N, H], by micro-batch."""
    weights: str
    """Fingerprint of the initial weights."""
    refused: bool = False
    """That the initial weights cannot be read again was said."""

    def __call__(self, step: int) -> None:
        """Measure after `step` steps, unless that is recorded; at step 0 the model is the base, and everything 0."""
        if any(row["step"] == step for row in self.run.drift()):
            return
        began = time.perf_counter()
        found = Found(kl=0.0, error=0.0, distance=0.0) if step == 0 else self._measured(step)
        if found is None:
            return
        self.run.write_drift(
            {
                "checkpoint": f"checkpoint-{step}" if step else "base",
                "step": step,
                "kl": found.kl,
                "kl_se": found.error,
                "tokens": int(self.batch.mask_BT.sum()),
                "prompts": len(self.batch.mask_BT),
                "weight_norm": drift.weight_norm(self.learner.policy.model, self._masters),
                "weight_distance": found.distance,
                "seconds": time.perf_counter() - began,
            }
        )

    @property
    def _masters(self) -> dict[nn.Parameter, Tensor]:
        return dict(zip(self.learner.optimizer.parameters, self.learner.optimizer.masters, strict=True))

    def _measured(self, step: int) -> Found | None:
        """Against the initial weights; None, with an event that says why, where they cannot be had."""
        policy, reference = self.learner.policy, self.learner.reference
        if policy.adapted:
            return self._found(policy.head, drift.adapter_distance(policy.model))
        if reference is not None and not self.setup.masters:
            return self._found(head_of(reference), drift.weight_distance(policy.model, self._masters, reference, {}))
        try:
            model, masters = initial_again(self.setup, self.weights)
        except (MachineError, DataError) as error:
            self.run.event("drift", step=step, why=error.message)
            if not self.refused:
                self.say(f"warning: drift is not measured in full: {error.message}")
            self.refused = True
            return None if reference is None else self._found(head_of(reference), None)
        distance = drift.weight_distance(policy.model, self._masters, model, masters)
        head_VH = head_of(model)
        del model, masters  # before logits are made
        return self._found(head_VH, distance)

    def _found(self, head_VH: Tensor, distance: float | None) -> Found:
        """With the KL over all tokens; `head_VH` is the base's output matrix."""
        prompts = len(self.batch.mask_BT)
        sums_P, counts_P = torch.zeros(prompts, dtype=torch.float64), torch.zeros(prompts, dtype=torch.float64)
        for micro, base_NH in zip(self.batch.micro, self.base, strict=True):
            kl_N = drift.kl_of_states(head_VH, self.learner.policy.head, base_NH, hidden(self.learner, micro))
            prompt_N = torch.tensor(micro.rows)[micro.row_N]
            sums_P.index_add_(0, prompt_N, kl_N.double().cpu())
            counts_P.index_add_(0, prompt_N, torch.ones(len(prompt_N), dtype=torch.float64))
        mean, error = mean_by_prompt(sums_P.tolist(), counts_P.tolist())
        return Found(kl=mean, error=error, distance=distance)


def begin(
    setup: Setup, run: RunFolder, learner: Learner, held_out: Sequence[Problem], say: Callable[[str], None]
) -> Measure:
    """What measures drift in this attempt; measures the base. To be called while the weights are the initial ones.

    The base's answers are sampled once a run and recorded as tokens, so that a resumed run measures on the same.
    """
    if not (setup.config.evals.drift and held_out):
        return lambda step: None
    if not (answers := run.drift_answers()):
        answers = _answers(setup, held_out[:DRIFT_PROMPTS])
        run.write_drift_answers(answers)
        if len(answers) < DRIFT_PROMPTS:
            say(f"drift: measured on the base's answers to all {len(answers)} dev problems; {DRIFT_PROMPTS} are usual")
    packing = partial(pack, max_response=TOKENS, micro_tokens=setup.config.optim.micro_tokens, packed=packs(setup))
    batch = packing([_group(number, row) for number, row in enumerate(answers)])
    measure = Drift(
        setup=setup,
        run=run,
        learner=learner,
        say=say,
        batch=batch,
        base=[hidden(learner, micro) for micro in batch.micro],
        weights=fingerprint(setup.policy.model),
    )
    measure(0)
    return measure


def _answers(setup: Setup, problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """The base's greedy answers as rows of tokens."""
    prompts = [setup.render_eval(problem) for problem in problems]
    limit = min(setup.config.evals.source_tokens, TOKENS)
    sampling = Sampling(temperature=0.0, max_new_tokens=limit)
    made = setup.eval_engine.generate(prompts, sampling, [(0, i) for i in range(len(prompts))])
    return [
        {"id": problem.id, "prompt": prompt, "answer": completion.tokens, "finished": completion.finished}
        for problem, prompt, completion in zip(problems, prompts, made, strict=True)
    ]


def _group(number: int, row: Mapping[str, Any]) -> Group:
    """One answer as the learner packs it."""
    tokens, prompt = (tuple(map(int, row[key])) for key in ("answer", "prompt"))
    answer = Completion(tokens=tokens, logprobs=(), text="", finished=bool(row["finished"]))
    problem = Problem(id=str(number), prompt="", answer="")
    return Group(id=number, problem=problem, prompt_tokens=prompt, completions=(answer,), policy_version=0)


@torch.no_grad()
def hidden(learner: Learner, micro: MicroBatch) -> Tensor:
    """[N, H]: the present weights' hidden states that predict the answers' tokens, computed as the learner does."""
    learner.check()
    return states(learner.policy.decoder, micro, learner.policy.device)


def head_of(model: Any) -> Tensor:
    """The output matrix [V, H]."""
    weight: Tensor = model.get_output_embeddings().weight
    return weight


def mean_by_prompt(sums: Sequence[float], counts: Sequence[float]) -> tuple[float, float | None]:
    """The mean over all tokens, and its standard error where a prompt's tokens come together; None with one prompt.

    Mean = Σ s / Σ n over the prompts' sums s and counts n; SE² = m / (m − 1) · Σ (s − mean · n)² / (Σ n)², the
    linearised variance of a ratio, for m prompts.
    """
    tokens, prompts = sum(counts), len(sums)
    mean = sum(sums) / tokens
    if prompts < 2:
        return mean, None
    squares = sum((s - mean * n) ** 2 for s, n in zip(sums, counts, strict=True))
    return mean, float((prompts / (prompts - 1) * squares) ** 0.5 / tokens)


def initial_again(setup: Setup, weights: str) -> tuple[nn.Module, dict[nn.Parameter, Tensor]]:
    """The weights that the run began with, read from the model's files once more, and the float32 values behind them.

    Raises:
        MachineError: E201 they do not fit beside what is there.
        DataError: E304 the files hold other weights now.
    """
    config, policy = setup.config, setup.policy
    numbers = sum(p.numel() for p in policy.model.parameters())
    size = 6 if setup.masters else policy.head.element_size()  # float32, and the copy rounded from it
    free = _free(policy.device)
    if free and size * numbers > free:
        raise MachineError(
            f"the initial weights need {gib(size * numbers)} GiB beside the run; {gib(free)} are free.", code="E201"
        )
    with torch.random.fork_rng(devices=[]):
        again = policies.load(
            config.model.name,
            home=home(),
            offline=True,
            revision=config.model.revision,
            dtype=precision.read_as(config, training=True),
        )
    model = lora.merged(again, keep=False).model
    masters = precision.lowered(model, config, training=True)
    if fingerprint(model) != weights:
        raise DataError(f"{config.model.name} holds other weights now than the run began with.", code="E304")
    return model, masters


def _free(device: torch.device) -> int:
    """Bytes that can be had; 0 where that is not known."""
    if device.type != "cuda":
        return available_memory()
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + held
