r"""The grader `math` beside math-verify: pairs a second on one core, and accuracy on labelled pairs, in one run.

    python benchmarks/verifier.py DATA [OUT]

DATA is a folder with the benchmark files (`math500.jsonl`, ...: rows with `answer`); OUT a file to which the result is
appended as one JSON line. Every measurement runs in a fresh process, so that no cache is warm, ours and theirs in turn,
three rounds each (math-verify: one, being slow). Responses have 1,600 characters. math-verify is used as its own tests
do: box first, gold in a box, its time-outs on.

- same: each reference of the benchmarks, boxed, against itself.
- different: against another reference of its file (a fixed permutation; pairs with equal texts left out).
- rollouts: 1,024 responses to one problem, 40 distinct answers. Ours only: the cache is the point.
- pairs: the labelled pairs in tests/golden/verifier without the stress cases, as accuracy.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

FILES = ("math500", "aime24", "aime25", "amc23", "minerva_math", "olympiadbench")
ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "verifier"
LABELLED = ("pairs_dev.jsonl", "pairs_heldout.jsonl")
FILLER = "We look at the problem step by step and write down what is known. "
ROUNDS = 3
AIMS = {"same": 5_000, "different": 1_000}

Grade = Callable[[str, str], bool]


def response(answer: str) -> str:
    """A response of 1,600 characters that ends in the answer."""
    tail = f"Therefore, the answer is $\\boxed{{{answer}}}$."
    return (FILLER * 40)[: max(1_600 - len(tail), 0)] + tail


def references(data: Path) -> list[list[str]]:
    """The references of each file."""
    return [[json.loads(row)["answer"] for row in (data / f"{name}.jsonl").open(encoding="utf-8")] for name in FILES]


def pairs(kind: str, data: Path) -> list[tuple[str, str, bool]]:
    """(reference, response, expected) of one measurement."""
    if kind == "same":
        return [(gold, response(gold), True) for golds in references(data) for gold in golds]
    if kind == "different":
        found = []
        for golds in references(data):
            others = random.Random(0).sample(golds, len(golds))
            found += [(a, response(b), False) for a, b in zip(golds, others, strict=True) if a != b]
        return found
    if kind == "rollouts":
        answers = ["12.8", "12.7", r"8\sqrt[3]{4}", "64/5", "13", *(f"{n / 10:.1f}" for n in range(1, 36))]
        return [("12.8", response(random.Random(i).choice(answers)), False) for i in range(1_024)]
    rows = [json.loads(row) for name in LABELLED for row in (GOLDEN / name).open(encoding="utf-8")]
    scored = [row for row in rows if row["category"] != "stress" and row["grader"] == "math"]
    return [(row["gold"], row["response"], row["expected"]) for row in scored]


def ours() -> Grade:
    """The grader `math`."""
    from oneshot.rewards.functions import build_verifier

    verify = build_verifier("math")
    return lambda reference, text: verify(text, reference).correct


def theirs() -> Grade:
    """math-verify 0.9, box first."""
    from math_verify import parse, verify

    return lambda reference, text: bool(verify(parse(f"\\boxed{{{reference}}}"), parse(text)))


def worker(side: str, kind: str, data: Path) -> None:
    """Grade all pairs once, cold, and print what came out."""
    work = pairs(kind, data)
    grade = {"ours": ours, "math-verify": theirs}[side]()
    grade("1", response("2"))  # imports and first calls
    verdicts, worst = [], 0.0
    start = time.perf_counter()
    for reference, text, _ in work:
        began = time.perf_counter()
        verdicts.append(grade(reference, text))
        worst = max(worst, time.perf_counter() - began)
    seconds = time.perf_counter() - start
    expected = [e for _, _, e in work]
    wrongly = sum(v and not e for v, e in zip(verdicts, expected, strict=True))
    missed = sum(e and not v for v, e in zip(verdicts, expected, strict=True))
    told = {"n": len(work), "seconds": seconds, "worst": worst, "accepted_wrongly": wrongly, "refused_wrongly": missed}
    print(json.dumps(told))


def measure(side: str, kind: str, data: Path) -> dict[str, float]:
    """One measurement in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--worker", side, kind, str(data)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(data: Path, out: Path | None) -> None:
    """Run everything, print a table with ratios, append the result."""
    result: dict[str, object] = {
        "machine": platform.processor() or platform.machine(),
        "python": sys.version.split()[0],
    }
    for kind in ("same", "different", "pairs", "rollouts"):
        rounds: dict[str, list[dict[str, float]]] = {"ours": [], "math-verify": []}
        for turn in range(ROUNDS):
            rounds["ours"].append(measure("ours", kind, data))
            if turn == 0 and kind != "rollouts":
                rounds["math-verify"].append(measure("math-verify", kind, data))
        for side, told in rounds.items():
            if told:
                result[f"{kind}/{side}"] = show(kind, side, told)
        if rounds["math-verify"]:
            ours_s, theirs_s = (statistics.median(r["seconds"] for r in rounds[s]) for s in ("ours", "math-verify"))
            print(f"{'':10} ratio {theirs_s / ours_s:.0f}")
    if out:
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")


def show(kind: str, side: str, told: list[dict[str, float]]) -> dict[str, float]:
    """One line of the table, and the same as an object."""
    seconds = statistics.median(t["seconds"] for t in told)
    first = told[0]
    rate = first["n"] / seconds
    accuracy = 1 - (first["accepted_wrongly"] + first["refused_wrongly"]) / first["n"]
    worst = max(t["worst"] for t in told)
    aim = AIMS.get(kind) if side == "ours" else None
    verdict = "" if aim is None else f"  aim {aim:,}: {'met' if rate >= aim else 'MISSED'}"
    if kind == "rollouts":
        verdict, accuracy = f"  aim 50 ms: {'met' if seconds < 0.05 else 'MISSED'}", float("nan")
    print(
        f"{kind:10} {side:12} n {first['n']:5.0f}  {seconds * 1000:9.1f} ms  {rate:9,.0f} pairs/s  worst {worst:.3f} s"
        + ("" if kind == "rollouts" else f"  accuracy {accuracy:.4f}, accepted wrongly {first['accepted_wrongly']:.0f}")
        + verdict,
        flush=True,
    )
    return {**first, "seconds": seconds, "worst": worst, "pairs_per_second": rate}


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
