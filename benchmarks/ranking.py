"""How long `oneshot select` takes to rank a pool by a recorded history, as a user waits for it: the whole process.

    python benchmarks/ranking.py [--pool FILE --history FILE] [--repeats 5] [--store] [--json] [--smoke]

Without files: 1,209 problems with 44 to 57 visits each, accuracies in eighths drawn around rates that rise: as large as
the published record. Two commands take turns: without intervals (`--redraws 0`) and with those of 1,000 redrawn
histories. Beside them, as a yardstick, what `import torch` alone takes here, which neither does. Goals: 2 and 10 s.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sides import ROOT, options, seconds, tell

PROBLEMS, VISITS, SAMPLES = 1_209, (44, 57), 8
GOALS = {"ranks": 2.0, "intervals": 10.0}
YARDSTICK = "import torch"


def made(folder: Path, problems: int) -> tuple[Path, Path]:
    """A pool and its record."""
    rng = np.random.default_rng(0)
    rows, record = [], {}
    for index in range(problems):
        rows.append({"index": index, "problem": f"What is {index} + {index}?", "answer": str(2 * index)})
        visits = int(rng.integers(*VISITS, endpoint=True))
        rates = np.clip(rng.beta(0.3, 0.5) + np.linspace(0, rng.uniform(0, 0.8), visits), 0, 1)
        record[str(index)] = [int(right) / SAMPLES for right in rng.binomial(SAMPLES, rates)]
    pool, history = folder / "pool.jsonl", folder / "history.json"
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    history.write_text(json.dumps(record))
    return pool, history


def call(*words: str) -> None:
    """One process to its end."""
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)


def main() -> None:
    """Measure, print, say whether the goals are met."""
    parser = options(__doc__)
    parser.add_argument("--pool", type=Path, help="a pool of your own")
    parser.add_argument("--history", type=Path, help="its record")
    given = parser.parse_args()
    if (given.pool is None) != (given.history is None):
        parser.error("--pool and --history go together")
    size = 30 if given.smoke else PROBLEMS
    with tempfile.TemporaryDirectory() as folder:
        pool, history = made(Path(folder), size)
        if given.pool:
            pool, history = given.pool.resolve(), given.history.resolve()
        select = ("-m", "oneshot", "select", str(pool), "--history", str(history), "--json")
        sides = {
            "ranks": partial(call, *select, "--redraws", "0"),
            "intervals": partial(call, *select),
            YARDSTICK: partial(call, "-c", YARDSTICK),
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(given.repeats + 1):
            for name, work in sides.items():
                spent = seconds(work)
                if turn:  # the first round only warms up
                    times[name].append(spent)
    medians = {name: statistics.median(spent) for name, spent in times.items()}
    rows: list[dict[str, Any]] = [
        {
            "command": name,
            "seconds": medians[name],
            "goal": goal,
            "met": medians[name] <= goal,
            "ratio_to_torch": medians[name] / medians[YARDSTICK],
        }
        for name, goal in GOALS.items()
    ]
    if not given.json:
        print(f"{'command':10} {'seconds':>8} {'goal':>6}  times `{YARDSTICK}` ({medians[YARDSTICK]:.2f} s)")
        for row in rows:
            told = "" if given.smoke else "  met" if row["met"] else "  MISSED"
            print(f"{row['command']:10} {row['seconds']:8.2f} {row['goal']:6.0f}  {row['ratio_to_torch']:.2f}{told}")
    found = {"problems": size, "own_files": given.pool is not None, "rows": rows, "turns": given.repeats}
    tell("ranking", {"smoke": given.smoke, **found, "torch_seconds": medians[YARDSTICK]}, store=given.store)


if __name__ == "__main__":
    main()
