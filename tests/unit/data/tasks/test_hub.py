"""What the libraries that fetch raise of their own."""

from __future__ import annotations

import pytest

from oneshot.data.tasks.loading import load_task
from oneshot.data.tasks.suites import TASKS
from oneshot.errors import MachineError
from tests.unit.data.tasks.test_loading import hub


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("datasets.exceptions", "DatasetGenerationError"),
        ("httpx2", "ReadTimeout"),
        ("huggingface_hub.errors", "XetDownloadError"),
    ],
)
def test_the_libraries_own_failures_are_no_tracebacks(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> None:
    raised = getattr(pytest.importorskip(module), name)("it broke\noff")
    assert not isinstance(raised, (OSError, ValueError, RuntimeError))
    hub(monkeypatch, raised)
    with pytest.raises(MachineError, match="fetching openai/gsm8k from the Hub failed: it broke ") as caught:
        load_task(TASKS.build("gsm8k"))
    assert caught.value.code == "E203"
    assert "--data-dir DIR" in caught.value.tries[0]
    hub(monkeypatch, KeyError("ours"))
    with pytest.raises(KeyError):  # what none of them raises is not hidden
        load_task(TASKS.build("gsm8k"))
