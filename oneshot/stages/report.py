"""`oneshot report RUN`: write the page of a run again, from its folder alone. Loads no torch, opens no socket."""

from __future__ import annotations

import json
from pathlib import Path

from oneshot.config.request import Request
from oneshot.record import RunFolder
from oneshot.report import page
from oneshot.report.gather import gather


def main(request: Request) -> int:
    """Build `report.html` in the run folder and print its path; with `--json` one object with the results.

    RUN is a path, a name in `save.runs`, or `latest`. `summary` is the run's summary.json; comparisons that it lacks
    are computed from the recorded evaluations.

    Raises:
        UsageError: E104 no such run folder, E106 a damaged file without which there is no page.
        MachineError: E202 the disk is full; an older report is kept.
    """
    (reference,) = request.positional
    run = RunFolder.open(reference, Path(request.config.save.runs))
    path = page.write(run)
    if request.json:
        print(json.dumps({"schema": "oneshot.report/1", "path": str(path), "summary": dict(gather(run).summary)}))
    else:
        print(path)
    return 0
