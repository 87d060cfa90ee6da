"""`oneshot report RUN`: write the page of a run again, from its folder alone. Loads no torch, opens no socket."""

from __future__ import annotations

from pathlib import Path

from oneshot._store import files
from oneshot.config.request import Request
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.report import export, page
from oneshot.report.gather import gather


def main(request: Request) -> int:
    """Build `report.html` in the run folder and print its path; with `--json` one object with the results.

    RUN is a path, a name in `save.runs`, or `latest`. `--with CONTROL` puts what a control arm gained beside the gain;
    `--figures svg,pdf` also writes each figure into `figures/`, and prints those paths too. `summary` is the run's
    summary.json; comparisons that it lacks are computed from the recorded evaluations.

    Raises:
        UsageError: E104 no such run folder, E103 the control arm is the run itself, or an unknown format.
        MachineError: E202 the disk is full, an older report is kept; E204 what writes PDF is not installed.
    """
    (reference,) = request.positional
    runs = Path(request.config.save.runs)
    run, control = RunFolder.open(reference, runs), None
    if beside := request.verb_flags.get("with"):
        control = RunFolder.open(str(beside), runs)
        if control.path.resolve() == run.path.resolve():
            raise UsageError(
                f"--with {beside} is the run itself; what stands beside its gain is another run, trained with "
                "--control.",
                code="E103",
                tries=(f"oneshot report {reference}",),
            )
    asked = export.formats(str(found)) if (found := request.verb_flags.get("figures")) else ()
    export.check(asked)
    facts = gather(run, control)
    run.write_text(page.NAME, page.fitted(facts))
    paths = [run.path / page.NAME, *(export.write(run, facts, asked) if asked else ())]
    if request.json:
        told = {
            "schema": "oneshot.report/1",
            "path": str(paths[0]),
            "summary": dict(facts.summary),
            "claims": [vars(claim) for claim in facts.claims],
            "figures": [str(path) for path in paths[1:]],
        }
        print(files.dumps(told))
    else:
        print(*paths, sep="\n")
    return 0
