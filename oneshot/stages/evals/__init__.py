"""The parts of `oneshot eval` and of a run's readings: what is asked, sampled, graded and recorded."""
