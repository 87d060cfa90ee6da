"""One file a verb: build the parts, then a loop of one screen. Each has `main(request) -> int`."""
