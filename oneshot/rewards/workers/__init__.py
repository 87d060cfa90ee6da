"""Killable worker processes: time and memory of what they run are bounded from outside."""

from oneshot.rewards.workers.pool import Outcome, WorkerPool

__all__ = ["Outcome", "WorkerPool"]
