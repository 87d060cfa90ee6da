"""One error tree. Every user-facing failure is a `OneshotError` with a stable code and exit status.

    OneshotError                 exit 1   something of ours broke
    ├── UsageError      E1xx     exit 2   a flag, a key, a recipe, a run folder
    ├── MachineError    E2xx     exit 3   memory, disk, network, a missing extra
    ├── DataError       E3xx     exit 4   a row, an example, a model, a reward that cannot be used
    ├── HealthAbort     E5xx     exit 5   a health rule stopped the run
    ├── BelowThreshold  E6xx     exit 6   `--fail-under`
    └── Stopped                  exit 75 (stop signal, checkpointed) or 130 (Ctrl-C)

A message says what happened, where, the rule, and lines that can be pasted. Adding one: pick the branch, the next free
number in `CODES`, and write the sentence there; `make docs` turns the table into `docs/errors.md`.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "E101": "unknown key in a recipe or flag",
    "E102": "unknown name in a registry (model, algorithm, reward, task, recipe, verb)",
    "E103": "a value has the wrong type or is out of range",
    "E104": "the run folder exists already, or is not a run folder",
    "E105": "two settings contradict each other",
    "E106": "a file named on the command line does not exist or cannot be parsed",
    "E107": "what is recorded was made with other settings",
    "E201": "not enough memory for this model and these settings",
    "E202": "not enough disk space",
    "E203": "no network, or the network is needed and --offline was given",
    "E204": "an optional package is missing",
    "E205": "the embedded model could not be fetched or its checksum is wrong",
    "E301": "a row of a data file is empty or malformed",
    "E302": "a reference answer cannot be parsed by the grader",
    "E303": "the base model never solves the example",
    "E304": "a model cannot be loaded or used",
    "E305": "the reward is unusable",
    "E306": "no example fits the rule it is chosen by",
    "E307": "the base model always solves the example",
    "E501": "a health rule stopped the run",
    "E601": "a result is below --fail-under",
}


class OneshotError(Exception):
    """Base of the tree. `message`: what and where; `tries`: pasteable lines; `kept`: what was or was not changed."""

    exit_code = 1
    default_code = "E000"

    def __init__(self, message: str, *, code: str = "", tries: tuple[str, ...] = (), kept: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.tries = tries
        self.kept = kept

    def render(self) -> str:
        """The whole message as printed on stderr: code and text, then one `try:` line each, then what was kept."""
        lines = [f"{self.code} {self.message}".lstrip()]
        lines += [f"  try: {line}" for line in self.tries]
        if self.kept:
            lines.append(f"  {self.kept}")
        return "\n".join(lines)


class UsageError(OneshotError):
    """Exit 2: the request itself is wrong."""

    exit_code = 2
    default_code = "E103"


class MachineError(OneshotError):
    """Exit 3: this machine cannot do it."""

    exit_code = 3
    default_code = "E201"


class DataError(OneshotError):
    """Exit 4: data, model or reward unusable."""

    exit_code = 4
    default_code = "E301"


class HealthAbort(OneshotError):
    """Exit 5: a health rule stopped the run; the run folder holds everything up to that step."""

    exit_code = 5
    default_code = "E501"


class BelowThreshold(OneshotError):
    """Exit 6: `--fail-under` was not reached."""

    exit_code = 6
    default_code = "E601"


class Stopped(OneshotError):
    """Exit 75 after SIGTERM (checkpointed, run me again), 130 after Ctrl-C. No error, so it has no code."""

    default_code = ""

    def __init__(self, message: str, *, exit_code: int, tries: tuple[str, ...] = (), kept: str = "") -> None:
        super().__init__(message, tries=tries, kept=kept)
        self.exit_code = exit_code
