"""The parts of `oneshot serve` and `oneshot chat`: the back end, the proxy in front of it, the answers."""
