"""What a probe samples with, and what makes its samples comparable with those of an earlier attempt."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oneshot.stages import graders
from oneshot.stages.probing.probe import Prober
from oneshot.types import Problem

if TYPE_CHECKING:
    from oneshot.stages.setup import Setup

WEIGHTS_READ = 64
"""Numbers of each weight that the digest of a model reads."""


def prober_of(setup: Setup) -> Prober:
    """The sampler with the training prompt, temperature, limit, seed and grader of a setup."""
    from oneshot.stages.loop import build_sampling  # the learner comes with it, and torch

    sampling = build_sampling(setup.config)
    return Prober(engine=setup.engine, render=setup.render, verify=setup.names.verify, sampling=sampling)


def protocol_of(setup: Setup) -> dict[str, Any]:
    """What makes samples comparable beside sampling, grader and pool, for the head of the record."""
    config, model = setup.config, setup.policy.model
    digest = hashlib.sha256()
    for name, weight in model.named_parameters():
        read = weight.detach().reshape(-1)[:WEIGHTS_READ].float().cpu().numpy()
        digest.update(f"{name} {tuple(weight.shape)}".encode() + read.tobytes())
    return {
        "model": config.model.name,
        "revision": config.model.revision,
        "weights": digest.hexdigest()[:16],
        "dtype": str(model.dtype).removeprefix("torch."),
        "suffix": config.data.suffix,
        "system": config.data.system,
    }


def head(
    prober: Prober, problems: Sequence[Problem], prompts: Sequence[tuple[int, ...]], protocol: Mapping[str, Any]
) -> dict[str, Any]:
    """A protocol with grader and sampling, the pool by its texts and references in order, and the prompts' tokens."""
    how = prober.sampling
    sampling = {"temperature": how.temperature, "max_new_tokens": how.max_new_tokens, "seed": how.seed}
    texts = hashlib.sha256(repr([(p.prompt, p.answer) for p in problems]).encode("utf-8", "surrogatepass")).hexdigest()
    tokens = hashlib.sha256(repr(list(prompts)).encode()).hexdigest()
    pool = {"pool": f"{len(problems)} problems, {texts[:16]}", "prompts": tokens[:16]}
    return {**protocol, **graders.described(prober.verify), **sampling, **pool}
