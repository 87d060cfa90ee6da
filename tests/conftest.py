"""What every test shares: marks by folder, the rule that CI skips nothing, few threads, the shared data."""

from __future__ import annotations

import os
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Before anything imports torch: these models are so small that a second thread costs time, up to 100 times as much.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

if find_spec("hypothesis"):  # `make gpu` runs on a Python that may not have it
    from hypothesis import settings

    # A slow machine is no failure, and the same tree gives the same verdict twice.
    settings.register_profile("oneshot", deadline=None, derandomize=True, max_examples=60, database=None)
    settings.load_profile("oneshot")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="compute the golden files anew instead of comparing with them"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in tests/gpu is marked gpu, everything in tests/browser browser (before -m selects)."""
    for item in items:
        for folder in ("gpu", "browser"):
            if ROOT / "tests" / folder in item.path.parents:
                item.add_marker(folder)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under ONESHOT_CI=1 a skip outside tests/gpu is a failure, with the reason of the skip."""
    expected_failure = hasattr(report, "wasxfail")
    if os.environ.get("ONESHOT_CI") != "1" or expected_failure or not report.skipped or "tests/gpu" in report.nodeid:
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}\nCI skips no test outside tests/gpu. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the paper's pool and the benchmarks: `data/` in `../shared`, or in what ONESHOT_SHARED names."""
    folder = Path(os.environ.get("ONESHOT_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; ONESHOT_SHARED=FOLDER names another place")
    return folder


@pytest.fixture(scope="session")
def update_golden(pytestconfig: pytest.Config) -> bool:
    """True under `make golden`: write the golden files instead of comparing with them."""
    return bool(pytestconfig.getoption("--update-golden"))


@pytest.fixture
def on_any_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where oneDNN is not the faster one, so that the same paths are in use on every machine."""
    monkeypatch.setattr("oneshot.model.products._amd", lambda: False)
