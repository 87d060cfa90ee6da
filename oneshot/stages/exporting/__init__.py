"""The parts of `oneshot export` and `oneshot push`: what a run left, written for other tools and checked."""
