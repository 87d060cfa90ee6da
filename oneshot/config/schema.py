"""The whole configuration: frozen dataclasses, defaults are the vetted setting for one example. Imports no torch.

Sections are nouns. Users state groups x group size; everything else is derived. A field's docstring is its help text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelConfig:
    """Which language model."""

    name: str = "smollm2-135m"
    """`smollm2-135m` (embedded, no hub needed), a local folder, or a Hub id."""
    revision: str = ""
    """Hub revision; empty means the default branch."""
    dtype: str = "auto"
    """auto, float32 or bfloat16. auto is float32 on a CPU."""
    threads: int = 0
    """CPU threads; 0 means the cores this process may use. The number is recorded and a resumed run keeps it."""
    lora_rank: int = 0
    """Train an adapter of this rank (LoRA) beside frozen weights; 0 trains every weight. Needs the extra `lora`."""
    lora_alpha: float = 0.0
    """The adapter's part is scaled by this over the rank; 0 means twice the rank."""
    lora_targets: str = "all-linear"
    """Layers that get an adapter: all-linear, or names separated by commas, e.g. q_proj,v_proj."""


@dataclass(frozen=True)
class DataConfig:
    """Which example, and how it is put to the model."""

    source: str = ""
    """A jsonl/parquet file, a built-in example (`pi1`), or `builtin` for the built-in arithmetic task."""
    index: int = -1
    """Row of `source` to train on; -1 means every row."""
    example: str = ""
    """The text of the one example (with `answer`), instead of `source`."""
    answer: str = ""
    """The reference answer of `example`."""
    suffix: str = ""
    """Text appended to the question in training, after one space."""
    system: str = ""
    """System message; empty means the chat template's own default."""
    task_seed: int = 0
    """Seed of the built-in task's problems."""
    allow_unsolved: bool = False
    """Go on when the base model never solved the example in the preflight samples."""
    curriculum: str = "in-turn"
    """What to train on next, of several examples: in-turn, mopps, gps, pcl, pairing or sgac."""
    curriculum_options: Mapping[str, Any] = field(default_factory=dict)
    """The curriculum's own keywords, e.g. `decay` for mopps."""
    corrupt: float = 0.0
    """Share of the training examples whose answer is replaced by a wrong one, by the paper's rule; 0 means none."""


@dataclass(frozen=True)
class RewardConfig:
    """Which grader gives the reward: 0 or 1, or the score of your own function. It sees the response only."""

    name: str = "math"
    """`math` (last complete \\boxed{}), `math-lenient` (else what is stated as the answer), `number`, `choice`, `exact`
    (whole text), `paper-train`, `paper-eval`, or your own function as `file.py:function`."""
    control: str = ""
    """A control arm: shuffled, random, wrong, unguessable, format, majority, entropy, confidence, rft or noop."""
    timeout: float = 10.0
    """Seconds a call of your own function may take; it is then stopped, and the run with it."""


@dataclass(frozen=True)
class AlgorithmConfig:
    """The policy-gradient algorithm. Keys not listed here go to the algorithm's own function (see `options`)."""

    name: str = "grpo"
    """A registered algorithm."""
    policy: float = 1.0
    """Coefficient of the policy loss; 0 switches it off."""
    kl: float = 0.001
    """Coefficient of the KL term to the initial model, in the loss; 0 switches it off. The default is every
    algorithm's, DAPO's too, which as published has 0."""
    kl_kind: str = ""
    """Estimator of the KL term: k3, k2 or rho_k3; empty means the algorithm's own: k3 (k2 for reinforce_pp with
    baseline = group)."""
    kl_in_reward: float = 0.0
    """Coefficient of k1, taken off the reward of each token; 0 means none. Independent of `kl`."""
    entropy: float = 0.001
    """Coefficient of the entropy bonus (entropy is maximised), at the first step; 0 switches it off."""
    entropy_schedule: str = "constant"
    """constant, or linear or cosine from `entropy` at the first step to `entropy_final` at the last."""
    entropy_final: float = 0.0
    """Coefficient of the entropy bonus at the last step, unless the schedule is constant."""
    weighting: str = ""
    """token_mean, sequence_mean, fixed_length or per_row; empty means the algorithm's own."""
    pooled: bool = False
    """One group per problem, not one per occurrence: another algorithm, in which a rare failure weighs much more."""
    importance_cap: float = 0.0
    """Multiply a token's policy loss by min(π_learner / π_sampler, this), for samplers with other numerics; 0: off."""
    updates: int = 1
    """Passes over a rollout batch; each is one optimiser step unless there are mini-batches."""
    minibatches: int = 1
    """Mini-batches of a pass: runs of whole groups, each an optimiser step of its own, in an order that is drawn."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The algorithm function's own keywords, e.g. `clip_low`, `clip_high` for grpo."""


@dataclass(frozen=True)
class RolloutConfig:
    """How responses are sampled in training."""

    groups: int = 4
    """Groups per step, shared evenly by the examples."""
    group_size: int = 8
    """Responses per group; advantages are normalised inside a group."""
    temperature: float = 1.0
    """Sampling temperature; log-probs, entropy and KL use it too."""
    max_new_tokens: int = 64
    """Response limit in tokens."""
    max_prompt_tokens: int = 1024
    """A longer prompt is refused."""
    batch: int = 0
    """Rows decoded at once; 0 means 64, on a GPU up to 1,024 as memory allows. Below 16 the last bits of a log-prob may
    depend on it."""
    dynamic: bool = False
    """Sample groups whose rewards are all equal again (DAPO's dynamic sampling). Leave it off for one example: once
    that is solved nearly always, each step samples `max_rounds` times, and only groups with a rare failure count."""
    max_rounds: int = 4
    """Rounds of sampling a step with `dynamic`, the first included; after the last the groups are used as they are."""


@dataclass(frozen=True)
class OptimConfig:
    """AdamW and the step count."""

    steps: int = 12
    """Rollout batches; `algorithm.updates` x `algorithm.minibatches` optimiser steps each."""
    lr: float = 5e-6
    """Learning rate after warm-up."""
    warmup: int = 0
    """Linear warm-up, in optimiser steps."""
    schedule: str = "constant"
    """constant, or linear or cosine from `lr` at the end of the warm-up to `lr_final` at the last optimiser step."""
    lr_final: float = 0.0
    """Learning rate at the last optimiser step, unless the schedule is constant; a rate, not a share of `lr`."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    beta1: float = 0.9
    """Adam's first decay rate."""
    beta2: float = 0.999
    """Adam's second decay rate."""
    eps: float = 1e-8
    """Adam's epsilon."""
    grad_clip: float = 1.0
    """Global gradient-norm limit; 0 means none."""
    masters: bool = True
    """Beside bfloat16 weights keep float32 ones, which the optimiser moves; false is refused for small rates. float32
    weights need none."""
    term_norms_every: int = 0
    """Rollout batches between measurements of each loss term's gradient norm; 0: none. One costs a backward pass and a
    gradient's memory a term."""
    micro_tokens: int = 1024
    """Tokens per forward/backward (memory, not mathematics)."""
    packing: bool = True
    """Share the prompt between responses of a micro-batch; false pads instead."""
    checkpointing: str = "auto"
    """Keep no activations inside the layers and compute them again in the backward pass: on, off, or auto, which is on
    where the run would not fit the free memory otherwise. The gradient is the same; it costs about one more forward."""


@dataclass(frozen=True)
class EvalsConfig:
    """Evaluation inside the run."""

    source: str = ""
    """The dev set: a jsonl/parquet file, or `builtin`; empty means none. The best checkpoint is the best on it."""
    tasks: str = ""
    """Test tasks that are read beside it, separated by commas: names, suites (`math6`, `reasoning`) or files."""
    data_dir: str = ""
    """Folder with the tasks' files (`math500.jsonl`, ...); empty means the Hub. `ONESHOT_DATA` sets it too."""
    every: int = 0
    """Steps between evaluations; 0 means before and after only."""
    limit: int = 0
    """Problems of a set that are read, the first ones; 0 means all."""
    samples: int = 0
    """Responses to each problem of a task; 0 means the task's own number."""
    temperature: float = -1.0
    """Sampling temperature of the tasks, 0 is greedy; below 0 means each task's own."""
    max_new_tokens: int = 0
    """Response limit at evaluation, the same for base and trained; 0 means 128 for the dev set, each task's own."""
    batch: int = 0
    """Rows decoded at once; 0 means 64, on a GPU up to 1,024 as memory allows."""
    grader: str = ""
    """Grader at evaluation, a name or `file.py:function`; empty means the reward's."""
    suffix: str = ""
    """Text appended to the question at evaluation; the paper's evaluation has none."""

    drift: bool = True
    """Measure at each reading of the dev set how far the model is from the base: KL on the base's own answers."""
    transfer_map: int = 0
    """Responses to each dev problem for the transfer map (cosines of gradients), made before step 0; 0 means none."""

    @property
    def source_tokens(self) -> int:
        """The response limit on the dev set."""
        return self.max_new_tokens or 128

    @property
    def chooses(self) -> bool:
        """Whether checkpoints are compared during the run: there is a dev set, and steps between its readings."""
        return bool(self.source) and self.every > 0


@dataclass(frozen=True)
class SaveConfig:
    """The run folder and its checkpoints."""

    every: int = 0
    """Steps between checkpoints; 0 means the last step only (and when stopped)."""
    keep: int = 2
    """How many of the last checkpoints are kept; with one there is none to fall back on if it is damaged."""
    best: bool = True
    """Save and keep the checkpoint that is best on the dev set beside them; acts where `evals.every` reads one."""
    runs: str = "runs"
    """Folder of run folders."""
    name: str = ""
    """Slug of the run folder; empty means the example's id."""
    optimizer: bool = True
    """Keep the optimiser state, so that the run can be resumed: twice the weights on disk, and as much again."""
    track: str = ""
    """Experiment trackers that read the metrics: trackio, wandb, tensorboard, mlflow, separated by commas; no account
    is asked for. Empty or `none` means none."""


@dataclass(frozen=True)
class Config:
    """Everything one run needs."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    reward: RewardConfig = RewardConfig()
    algorithm: AlgorithmConfig = AlgorithmConfig()
    rollout: RolloutConfig = RolloutConfig()
    optim: OptimConfig = OptimConfig()
    evals: EvalsConfig = EvalsConfig()
    save: SaveConfig = SaveConfig()
    seed: int = 0
    """Run seed: every random number of the run follows from it."""
