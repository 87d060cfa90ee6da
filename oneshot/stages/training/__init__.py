"""One training run: before step 0, the session with its callbacks, readings and control arm, and how it ends."""
