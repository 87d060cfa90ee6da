"""The parts of `oneshot compare`: which results may be compared, their differences and intervals, the text."""
