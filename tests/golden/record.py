"""Makes `tests/golden/tiny/` anew: a tiny random model and the rollouts of three training steps with it.

    PYTHONPATH=. .venv/bin/python tests/golden/record.py

Needed only when the recorded inputs themselves must change; the pinned numbers follow from them (`make golden`).
Weights and tokens are stored, because random initialisation and near-tie draws differ between versions and CPUs.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from oneshot.rollout.collect import collect
from oneshot.rollout.native import NativeEngine
from oneshot.types import Problem, Sampling, Verdict
from tests.golden.replay import INPUTS, TEMPERATURE, learner_of_recorded, step_of
from tests.tiny import save_tiny

PROMPTS = {"one": (1, 70, 71, 39, 0, 2), "two": (1, 88, 20, 0, 2)}


class Parity:
    """Correct for every other text, about: the sum of its code points is even."""

    name = "parity"

    def __call__(self, response: str, reference: str) -> Verdict:
        return Verdict(correct=sum(map(ord, response)) % 2 == 0, extracted=None, method="exact")


def main() -> None:
    """Save the model, then sample, record and train three steps."""
    torch.set_num_threads(1)
    save_tiny(INPUTS, seed=20, hidden=16, layers=1)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        (INPUTS / name).unlink(missing_ok=True)
    (INPUTS / "model.safetensors").chmod(0o644)
    learner = learner_of_recorded()
    engine = NativeEngine(learner.policy)
    problems = [Problem(id=key, prompt=key, answer="-") for key in ("one", "two", "one")]
    sampling = Sampling(temperature=TEMPERATURE, max_new_tokens=10, seed=5)
    steps = []
    for step in range(3):
        groups = collect(engine, problems, lambda problem: PROMPTS[problem.id], Parity(), sampling, step, group_size=4)
        steps.append(
            [
                {
                    "id": group.id,
                    "prompt": group.prompt_tokens,
                    "tokens": [c.tokens for c in group.completions],
                    "logprobs": [[round(value, 6) for value in c.logprobs] for c in group.completions],
                    "rewards": [c.reward for c in group.completions],
                }
                for group in groups
            ]
        )
        step_of(learner, groups)
    lines = ",\n".join(json.dumps(group) for groups in steps for group in groups)
    per_step = len(steps[0])
    Path(INPUTS / "rollouts.json").write_text(f'{{"groups_per_step": {per_step}, "groups": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
