"""One file a verb: build the parts, then a loop of one screen. Each has `main(request) -> int`.

The parts of a verb are in the folder of its name or its noun (`evals/`, `studies/`); what several verbs share is here.
"""
