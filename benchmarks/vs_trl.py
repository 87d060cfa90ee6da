"""A GRPO step of ours and of TRL's GRPOTrainer: seconds and peak memory on the same work, in one run.

    python benchmarks/vs_trl.py [--json] [--repeats 5] [--store] [--smoke]

Both: SmolLM2-135M, float32, one prompt, 4 groups x 8 samples of at most 48 tokens at temperature 1, then one AdamW step
on all 32: clipped policy term as a mean over the step's tokens (TRL: loss_type "dapo"), advantages by group mean and
standard deviation, entropy bonus .01, KL 0, clip .2, lr 1e-6, weight decay .01, gradient clip 1, the same reward.

TRL's settings: no vLLM, no bf16, no gradient checkpointing, KV cache, SDPA, fused AdamW, no old-log-prob pass (one
update a batch), nothing logged or saved. The rows of its micro-batch (with accumulation) and the threads of both sides
are tried first, one step each after a warm-up, and the fastest are used.

Two tables: exactly 48 tokens a sample (no token ends a response; TRL suppresses its end token), and natural ends. The
ratios of the last line are the first table's: speed_ratio is ours over TRL in steps a second, memory_ratio ours over
TRL at peak. The sides are processes of their own that take turns, fresh ones for each table, so that peaks are theirs.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sides import Answers, Side, median, options, peak_memory, tell, turns

LR, ENTROPY, GROUPS, SIZE = 1e-6, 0.01, 4, 8


def parts(model: str) -> tuple[Any, Any, tuple[int, ...], Any]:
    """Policy, problem, its prompt tokens and the grader: the same for both sides."""
    from oneshot.config.environment import home
    from oneshot.data.prompts import render
    from oneshot.data.tasks import builtin
    from oneshot.model import policy as policies
    from oneshot.rewards.functions import build_verifier

    policy = policies.load(model, home=home(), offline=True)
    problem = builtin.candidates(0, "add_word", 1)[0]
    prompt = render(policy.tokenizer, problem, suffix="Answer with one number.")
    return policy, problem, prompt, build_verifier("number")


def ours(model: str, limit: int, endless: bool, budget: int, **_: Any) -> None:
    """One step per question, as the training loop makes it."""
    import dataclasses

    from oneshot.algos.algorithm import configured
    from oneshot.algos.zoo import ALGORITHMS
    from oneshot.data.packing import pack
    from oneshot.model import attention
    from oneshot.model.policy import set_threads
    from oneshot.rollout.collect import collect
    from oneshot.rollout.native import NativeEngine
    from oneshot.train.learner import AdamWSettings, Learner
    from oneshot.types import Sampling

    answers = Answers()
    policy, problem, prompt, verify = parts(model)
    engine = NativeEngine(dataclasses.replace(policy, eos_ids=frozenset([-1])) if endless else policy)
    algorithm = configured(ALGORITHMS.build("grpo"), {"entropy": ENTROPY, "kl": 0.0})
    attention.install(policy.model)  # as for every run
    learner = Learner(policy, algorithm, AdamWSettings(lr=LR), temperature=1.0)
    sampling = Sampling(temperature=1.0, max_new_tokens=limit)
    step = 0

    def answer(threads: dict[str, int]) -> dict[str, float]:
        nonlocal step
        set_threads(threads["ours"])
        began = time.perf_counter()
        groups = collect(engine, [problem] * GROUPS, lambda _: prompt, verify, sampling, step, group_size=SIZE)
        sampled = time.perf_counter() - began
        batch = learner.score(pack(groups, max_response=limit, micro_tokens=budget), algorithm.needs)
        learner.update(batch, algorithm.credit(batch))
        step += 1
        spent = time.perf_counter() - began
        return {
            "seconds": spent,
            "sampling": sampled,
            "generated": sum(len(c.tokens) for g in groups for c in g.completions),
            "trained": int(batch.mask_BT.sum()),
            "forwarded": sum(micro.input_ids.numel() for micro in batch.micro),
            "prompt": len(prompt),
            "peak": peak_memory(),
        }

    answers.serve(answer)


def trl_config(folder: str, limit: int, rows: int, suppressed: list[int]) -> Any:
    """TRL's settings; see the head of this file."""
    from trl import GRPOConfig

    return GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=GROUPS * SIZE // rows,
        num_generations=SIZE,
        max_completion_length=limit,
        temperature=1.0,
        generation_kwargs={"suppress_tokens": suppressed} if suppressed else None,
        loss_type="dapo",
        scale_rewards="group",
        beta=0.0,
        epsilon=0.2,
        entropy_coef=ENTROPY,
        learning_rate=LR,
        lr_scheduler_type="constant",
        weight_decay=0.01,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        max_steps=1_000_000,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        use_vllm=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=0,
    )


def trl(model: str, limit: int, endless: bool, rows: int, **_: Any) -> None:
    """One step per question: a callback holds the trainer between its steps."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOTrainer

    from oneshot.model.policy import set_threads

    answers = Answers()
    policy, problem, prompt, verify = parts(model)
    told: dict[str, Any] = {}

    def reward(completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        told["generated"] = sum(map(len, completion_ids))
        told["forwarded"] = GROUPS * SIZE * (len(prompt) + max(map(len, completion_ids)))
        return [float(verify(text, problem.answer).correct) for text in completions]

    class InTurn(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            question = answers.next()
            if question is None:
                raise SystemExit(0)
            set_threads(question["threads"]["trl"])
            told["began"] = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            spent = time.perf_counter() - told["began"]
            known = {key: told[key] for key in ("generated", "forwarded", "prompt")}
            answers.give(seconds=spent, trained=told["generated"], peak=peak_memory(), **known)

    text = policy.tokenizer.decode(list(prompt))
    told["prompt"] = len(policy.tokenizer(text, add_special_tokens=False)["input_ids"])
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=policy.model,
            processing_class=policy.tokenizer,
            reward_funcs=reward,
            args=trl_config(folder, limit, rows, sorted(policy.eos_ids) if endless else []),
            train_dataset=Dataset.from_list([{"prompt": text}] * GROUPS),
            callbacks=[InTurn()],
        )
        trainer.train()


def fastest(given: Any, common: dict[str, Any], cores: int) -> dict[str, dict[str, int]]:
    """The micro-batch rows of TRL and the threads of each side, by one step each after a warm-up."""
    chosen: dict[str, dict[str, int]] = {"trl": {}, "ours": {}}
    counts = [given.threads] if given.threads else sorted({1, cores})
    if len(counts) == len(given.trl_rows) == 1:
        return {"trl": {"threads": counts[0], "rows": given.trl_rows[0]}, "ours": {"threads": counts[0], "rows": 0}}
    tried: dict[str, list[tuple[float, int, int]]] = {"trl": [], "ours": []}
    for name, rows in (("ours", 0), *(("trl", rows) for rows in given.trl_rows)):
        with Side(__file__, side=name, rows=rows, **common) as side:
            side.ask(threads={name: counts[-1]})
            for threads in counts if rows in (0, given.trl_rows[0]) else counts[-1:]:
                tried[name].append((side.ask(threads={name: threads})["seconds"], threads, rows))
    for name, times in tried.items():
        _, threads, rows = min(times)
        chosen[name] = {"threads": threads, "rows": rows}
        if not given.json:
            shown = ", ".join(f"{s:.1f} s with {t} threads" + (f", {r} rows" if r else "") for s, t, r in times)
            print(f"tried {name}: {shown}", flush=True)
    return chosen


def table(name: str, chosen: dict[str, dict[str, int]], repeats: int, common: dict[str, Any]) -> dict[str, Any]:
    """Both sides in turn, `repeats` steps each after a warm-up."""
    with (
        Side(__file__, side="ours", rows=0, **common) as one,
        Side(__file__, side="trl", rows=chosen["trl"]["rows"], **common) as other,
    ):
        told = turns({"ours": one, "trl": other}, repeats, threads={n: c["threads"] for n, c in chosen.items()})
    row: dict[str, Any] = {"table": name}
    for side_name, answers in told.items():
        keys = ("seconds", "generated", "trained", "forwarded", "prompt")
        row[side_name] = {key: median(answers, key) for key in keys}
        row[side_name] |= {"peak_gib": answers[-1]["peak"] / 2**30, "all_seconds": [a["seconds"] for a in answers]}
    row["ours"]["sampling"] = median(told["ours"], "sampling")
    row["speed_ratio"] = row["trl"]["seconds"] / row["ours"]["seconds"]
    row["memory_ratio"] = row["ours"]["peak_gib"] / row["trl"]["peak_gib"]
    return row


def main() -> None:
    """Choose the settings, run both tables, print them and the ratios."""
    parser = options(__doc__)
    parser.add_argument("--trl-rows", type=int, nargs="+", default=[32, 8], help="micro-batch rows to try for TRL")
    parser.add_argument("--budget", type=int, default=1024, help="tokens of our micro-batches")
    given = parser.parse_args()
    repeats, limit, model = given.repeats, 48, "smollm2-135m"
    with tempfile.TemporaryDirectory() as folder:
        if given.smoke:
            from tests.tiny import save_tiny

            repeats, limit, model, given.trl_rows = 1, 6, str(save_tiny(Path(folder))), [32]
        from oneshot.model.machine import usable_cores

        common = {"model": model, "limit": limit, "budget": given.budget}
        chosen = fastest(given, {**common, "endless": True}, usable_cores())
        rows = []
        for name, endless in (("exactly", True), ("natural", False)):
            row = table(name, chosen, repeats, {**common, "endless": endless})
            rows.append(row)
            for side in ("ours", "trl") if not given.json else ():
                shown = row[side]
                print(
                    f"{name:8} {side:5} {shown['seconds']:7.2f} s a step  peak {shown['peak_gib']:5.2f} GiB  tokens "
                    f"generated {shown['generated']:.0f}, trained {shown['trained']:.0f}, "
                    f"through the learner {shown['forwarded']:.0f}",
                    flush=True,
                )
            if not given.json:
                print(f"{name:8} speed x{row['speed_ratio']:.2f}  memory x{row['memory_ratio']:.2f}", flush=True)
    ratios = {key: rows[0][key] for key in ("speed_ratio", "memory_ratio")}
    tell("vs_trl", {**ratios, "smoke": given.smoke, "chosen": chosen, "rows": rows}, store=given.store)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        arguments = json.loads(sys.argv[2])
        {"ours": ours, "trl": trl}[arguments.pop("side")](**arguments)
    else:
        main()
