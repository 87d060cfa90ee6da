r"""Answers read as mathematics and compared: text, numbers, structure, values. `compare.same` is the way in."""
