"""Train on the example that a probe picks, and on examples picked at random: what choosing is worth, if anything.

    python benchmarks/pick.py [--steps 12] [--limit 64] [--seed 0] [--task-seed 0] [--results FILE] [--smoke]

The built-in task and the settings of the demo's recipe. A pool of train-split problems of every kind is probed as
`oneshot select --probe` does, for the pass rate nearest to one half. Then eleven examples are trained on, each from the
same weights with the same steps and seed: the pick, five drawn at random from the rest of the pool, and five more drawn
at random among those that the base model solves sometimes (of fresh samples some were right and some wrong). Each model
is read greedily on the dev set before and after: all kinds with equal weight, and the example's own kind.

Resumable: the samples of the probe are kept beside the results, and every finished arm is one line of
benchmarks/results/pick.jsonl, which is skipped the next time. Descriptive: one seed, and five of each.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pick_table import compared, table
from sides import RESULTS, facts

from oneshot._store import files
from oneshot.config.load import load, to_dict
from oneshot.config.sources import shipped_recipes
from oneshot.data.tasks import builtin
from oneshot.record import RunFolder
from oneshot.stages import loop
from oneshot.stages.evals.evaluation import evaluate
from oneshot.stages.probing.probe import Prober
from oneshot.stages.probing.probing import probe_pool, prober_of, protocol_of, record_beside
from oneshot.stages.setup import Setup, annotate, load_setup, resolve_names
from oneshot.stages.training.beginning import begin
from oneshot.types import Problem, Verdict

EACH = 5
"""Random examples of each sort."""
ROUND = 100
"""Streams of the base rates lie beyond those of the demo's rounds."""
TINY = "tiny"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What arms must share to be compared; a line with another one is another experiment."""

    model: str = "smollm2-135m"
    seed: int = 0
    task_seed: int = 0
    steps: int = 12
    groups: int = 4
    group_size: int = 8
    limit: int = 64
    """Longest response in training and probing."""
    pool: int = 24
    """Problems of each kind to choose from."""
    probe: int = 8
    """Samples a problem, on average and at most."""
    fresh: int = 32
    """Samples behind each base rate; none of them chose the pick."""
    dev: int = 16
    """Problems of each kind that are read before and after."""
    read: int = 128
    """Longest response there."""


SMOKE = Setting(
    model=TINY, steps=1, groups=1, group_size=2, limit=4, pool=2, probe=2, fresh=4, dev=1, read=4
)  # fmt: skip


class Coin:
    """A grader for the smoke test, because a random model solves nothing: by the response's checksum."""

    name = "coin"

    def __call__(self, response: str, reference: str) -> Verdict:
        """Right where the reference is stated, and half of the time."""
        correct = reference in response or zlib.crc32(response.encode()) % 2 == 0
        return Verdict(correct=correct, extracted=response[:8] or None, method="coin")


def started(setting: Setting, folder: Path, problems: Sequence[Problem]) -> tuple[Setup, RunFolder]:
    """The base model, fresh, in a run folder of its own inside `folder`."""
    flags: dict[str, Any] = {
        "model.name": folder / TINY if setting.model == TINY else setting.model,
        "seed": setting.seed,
        "data.task_seed": setting.task_seed,
        "optim.steps": setting.steps,
        "rollout.groups": setting.groups,
        "rollout.group_size": setting.group_size,
        "rollout.max_new_tokens": setting.limit,
        "evals.max_new_tokens": setting.read,
    }
    texts = {key: str(value) for key, value in flags.items()}
    config = load([shipped_recipes()["demo"]], {}, texts).config
    setup = load_setup(config, resolve_names(config), offline=False)
    if setting.model == TINY:
        names = dataclasses.replace(setup.names, verify=Coin(), eval_verify=Coin())
        setup = dataclasses.replace(setup, names=names)
    run = RunFolder.create(folder / "runs", "pick", to_dict(setup.config), ())
    return begin(setup, problems, run, note), run


def note(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def pool_of(setting: Setting) -> list[Problem]:
    """Train-split problems of every kind."""
    return [p for kind in builtin.KINDS for p in builtin.candidates(setting.task_seed, kind, setting.pool)]


def dev_of(setting: Setting) -> list[Problem]:
    """The dev set with equally many problems of every kind."""
    return builtin.dev_set(setting.task_seed, next(iter(builtin.KINDS)), own=setting.dev, other=setting.dev)


def read(setup: Setup, setting: Setting) -> str:
    """The dev problems, greedily: `1` for each that is right, `0` for each that is not, in order."""
    names = setup.names
    rows = evaluate(
        setup.eval_engine, setup.policy, dev_of(setting), setup.render_eval, names.eval_verify, names.strict,
        max_new_tokens=setting.read, short=setting.limit, annotate=annotate,
    )  # fmt: skip
    return "".join(str(int(row.correct)) for row in rows)


def base(setting: Setting, folder: Path, results: Path) -> dict[str, Any]:
    """The line `base`: which eleven examples there are, their base rates, and dev before training."""
    began, problems = time.perf_counter(), pool_of(setting)
    setup, _ = started(setting, folder, problems)
    record = record_beside(results.with_stem(f"{results.stem}-{setting.seed}-{setting.task_seed}-{setting.limit}"))
    found = probe_pool(
        prober_of(setup), problems, top=1, samples=setting.probe, fresh=setting.fresh, record=record,
        protocol=protocol_of(setup), allow_unsolved=True, note=note,
    )  # fmt: skip
    best = found.ranked[0]
    arms = [arm("pick", best.problem, best.fresh_successes, best.fresh_samples)]
    arms += at_random(prober_of(setup), [p for p in problems if p.id != best.problem.id], setting)
    return {
        "arms": arms,
        "dev": read(setup, setting),
        "probe": {"problems": len(problems), "samples": found.samples, "decided": found.decided},
        "seconds": round(time.perf_counter() - began, 1),
        "machine": facts(),
    }


def at_random(prober: Prober, rest: Sequence[Problem], setting: Setting) -> list[dict[str, Any]]:
    """Five of the rest in a seeded order, then the first five after them that are solved sometimes."""
    order = np.random.default_rng([setting.seed, setting.task_seed, len(rest)]).permutation(len(rest)).tolist()
    parts = [order[start : start + EACH] for start in range(0, len(order), EACH)]
    arms: list[dict[str, Any]] = []
    mixed = 0
    for number, part in enumerate(parts):
        note(f"base rates: {len(part)} problems, {setting.fresh} samples each; {mixed} of {EACH} are solved sometimes")
        for one in prober([rest[i] for i in part], setting.fresh, round=ROUND + number):
            if not number:
                arms.append(arm(f"random {len(arms) + 1}", one.problem, one.successes, one.samples))
            elif 0 < one.successes < one.samples and mixed < EACH:
                mixed += 1
                arms.append(arm(f"mixed {mixed}", one.problem, one.successes, one.samples))
        if mixed == EACH:
            break
    return arms


def arm(name: str, problem: Problem, successes: int, samples: int) -> dict[str, Any]:
    """One example to train on, whole, with its base rate."""
    return {"arm": name, "problem": files.plain(problem), "successes": successes, "samples": samples}


def trained(setting: Setting, folder: Path, example: Mapping[str, Any], before: str) -> dict[str, Any]:
    """The line of one arm: trained by the product's own loop, then dev again."""
    began, problem = time.perf_counter(), Problem(**example["problem"])
    setup, run = started(setting, folder, [problem])
    loop.train(loop.build(setup, [problem], run))
    after = read(setup, setting)
    return {
        **example,
        "accuracy": [row["train/accuracy"] for row in run.metrics()],
        "dev": after,
        **compared(dev_of(setting), before, after, problem.category),
        "seconds": round(time.perf_counter() - began, 1),
        "machine": facts(),
    }


def main() -> None:
    """Do what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("steps", "limit", "seed", "task-seed"):
        default = getattr(Setting, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    parser.add_argument("--results", type=Path, help="default benchmarks/results/pick.jsonl; smoke: nowhere")
    parser.add_argument("--smoke", action="store_true", help="a tiny random model; measures nothing")
    given = parser.parse_args()
    own = {"steps": given.steps, "limit": given.limit, "seed": given.seed, "task_seed": given.task_seed}
    setting = SMOKE if given.smoke else dataclasses.replace(Setting(), **own)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        results = given.results or (folder if given.smoke else RESULTS) / "pick.jsonl"
        if given.smoke:
            from tests.tiny import save_tiny

            save_tiny(folder / TINY)
        lines = arms_of(setting, folder, results)
    print("\n".join(table(lines)))


def arms_of(setting: Setting, folder: Path, results: Path) -> list[dict[str, Any]]:
    """The lines of all arms; those that are in the file already are not run again."""
    key = files.plain(setting)
    done = {line["arm"]: line for line in files.read_lines(results) if line["setting"] == key}

    def keep(name: str, line: Mapping[str, Any]) -> None:
        done[name] = {"setting": key, **line, "arm": name}
        results.parent.mkdir(parents=True, exist_ok=True)
        files.append_line(results, done[name])

    if "base" not in done:
        keep("base", base(setting, folder, results))
    for number, example in enumerate(done["base"]["arms"], start=1):
        if example["arm"] not in done:
            note(f"{number} of {len(done['base']['arms'])}: {example['arm']}: {example['problem']['prompt']!r}")
            keep(example["arm"], trained(setting, folder, example, done["base"]["dev"]))
    return [done[example["arm"]] for example in done["base"]["arms"]]


if __name__ == "__main__":
    main()
