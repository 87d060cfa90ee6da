"""What this machine has free: memory and cores, container limits included. No torch, no dependency."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def available_memory(root: Path = Path("/")) -> int:
    """Bytes of memory a new process may take without swapping; 0 where that is not known.

    The least of the kernel's own estimate (`MemAvailable`) and what each memory cgroup above this process leaves
    (v2 and v1), where page cache that can be dropped counts as free. Elsewhere (macOS) the physical memory.

    Args:
        root: where `/proc` and `/sys` are; tests put their own there.
    """
    free = [bytes_ for bytes_ in (_meminfo(root), *_cgroups_left(root)) if bytes_ is not None]
    return max(0, min(free)) if free else _physical()


def usable_cores(root: Path = Path("/")) -> int:
    """Cores this process may use: its affinity mask, and the CPU quota of its cgroups rounded down, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *(int(quota) for quota in _quotas(root))]))


def _physical() -> int:
    if not hasattr(os, "sysconf"):
        return 0
    names = os.sysconf_names
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in names else "SC_PHYS_PAGES"
    return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") if pages in names else 0


def _read(path: Path) -> str:
    """The text of a file of the kernel's; empty where it is not there or may not be read."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _field(text: str, name: str) -> int | None:
    """The number after `name` in lines such as `MemAvailable:  123 kB` or `inactive_file 123`."""
    words = (line.replace(":", " ").split() for line in text.splitlines())
    return next((int(line[1]) for line in words if line and line[0] == name), None)


def _meminfo(root: Path) -> int | None:
    kib = _field(_read(root / "proc/meminfo"), "MemAvailable")
    return None if kib is None else kib * 1024


def _folders(root: Path, controller: str) -> Iterator[tuple[Path, bool]]:
    """Cgroup folders of this process for one controller, inner to outer, and whether each is of version 2."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        unified = controllers == ""
        if not unified and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("" if unified else controllers)
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            yield mount.joinpath(*parts[:depth]), unified


def _cgroups_left(root: Path) -> Iterator[int]:
    for folder, unified in _folders(root, "memory"):
        limit = _read(folder / ("memory.max" if unified else "memory.limit_in_bytes")).strip()
        used = _read(folder / ("memory.current" if unified else "memory.usage_in_bytes")).strip()
        if limit.isdigit() and used.isdigit():
            name = "inactive_file" if unified else "total_inactive_file"
            yield int(limit) - int(used) + (_field(_read(folder / "memory.stat"), name) or 0)


def _quotas(root: Path) -> Iterator[float]:
    for folder, unified in _folders(root, "cpu"):
        if unified:
            words = _read(folder / "cpu.max").split()
        else:
            words = [_read(folder / name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]) > 0:
            yield int(words[0]) / int(words[1])


def cpu_vendor(root: Path = Path("/")) -> str:
    """Who made the processor, as the kernel says it: `AuthenticAMD`, `GenuineIntel`, ...; empty where not known."""
    lines = (line.partition(":") for line in _read(root / "proc/cpuinfo").splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == "vendor_id"), "")
