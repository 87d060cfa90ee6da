from __future__ import annotations

import os
from pathlib import Path

import pytest

from oneshot.model.machine import available_memory, usable_cores

MIB = 1024**2


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:  8192000 kB\nMemAvailable:   4096000 kB\n"}
V2 = {"proc/self/cgroup": "0::/user/job\n"}
V1 = {"proc/self/cgroup": "5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n"}


def limit(folder: str, total: int, used: int, cache: int = 0) -> dict[str, str]:
    return {
        f"sys/fs/cgroup{folder}/memory.max": f"{total * MIB}\n",
        f"sys/fs/cgroup{folder}/memory.current": f"{used * MIB}\n",
        f"sys/fs/cgroup{folder}/memory.stat": f"anon 5\ninactive_file {cache * MIB}\n",
    }


@pytest.mark.parametrize(
    ("files", "mib"),
    [
        (MEMINFO, 4000),
        (MEMINFO | V2 | limit("/user/job", 3000, 1000), 2000),
        (MEMINFO | V2 | limit("/user/job", 3000, 1000, cache=300), 2300),  # page cache can be dropped
        (MEMINFO | V2 | limit("/user", 1500, 1000) | limit("/user/job", 3000, 1000), 500),  # the parent is tighter
        (MEMINFO | V2 | limit("", 800, 100), 700),  # inside a container the root is the limit
        (MEMINFO | V2 | limit("/user/job", 100_000, 1000), 4000),  # a limit above what there is
        (MEMINFO | V2 | limit("/user/job", 100, 200), 0),
        (
            MEMINFO
            | V2
            | {"sys/fs/cgroup/user/job/memory.max": "max\n", "sys/fs/cgroup/user/job/memory.current": "5\n"},
            4000,
        ),
        (
            MEMINFO
            | V1
            | {
                "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{900 * MIB}\n",
                "sys/fs/cgroup/memory/job/memory.usage_in_bytes": f"{500 * MIB}\n",
                "sys/fs/cgroup/memory/job/memory.stat": f"total_inactive_file {50 * MIB}\n",
            },
            450,
        ),
    ],
)
def test_available_memory(tmp_path: Path, files: dict[str, str], mib: int) -> None:
    assert available_memory(machine(tmp_path, files)) == mib * MIB


def test_without_proc_the_physical_memory_counts(tmp_path: Path) -> None:
    free = available_memory(tmp_path)
    assert 0 < free <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_this_machine_has_memory_and_cores() -> None:
    assert available_memory() > MIB
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        (V2 | {"sys/fs/cgroup/user/job/cpu.max": "250000 100000\n"}, 2),
        (V2 | {"sys/fs/cgroup/user/job/cpu.max": "max 100000\n"}, 8),
        (V2 | {"sys/fs/cgroup/user/cpu.max": "300000 100000\n", "sys/fs/cgroup/user/job/cpu.max": "max 100000\n"}, 3),
        (V2 | {"sys/fs/cgroup/user/job/cpu.max": "50000 100000\n"}, 1),
        (
            V1
            | {
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        (
            V1
            | {
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            8,
        ),
    ],
)
def test_usable_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert usable_cores(machine(tmp_path, files)) == cores
