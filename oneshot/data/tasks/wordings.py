"""The sentences of the built-in task: per kind, six wordings shared by every split and two that occur only in test.

`{a} {b} {c}` are the operands; `{name} {other} {thing} {place}` are drawn from the lists below.
"""

from __future__ import annotations

NAMES = ("Ana", "Ben", "Chloe", "David", "Emma", "Farid", "Grace", "Hugo", "Iris", "Jonas", "Kira", "Liam")
THINGS = ("apples", "books", "coins", "pencils", "stickers", "cards", "shells", "stamps", "marbles", "eggs")
PLACES = ("box", "bag", "basket", "shelf", "row", "drawer")

SHARED = 6
"""Wordings 0..5 may occur in any split; the rest occur only in test."""

LABELS: dict[str, str] = {
    "add_bare": "bare additions",
    "sub_bare": "bare subtractions",
    "mul_bare": "bare multiplications",
    "add_word": "addition word problems",
    "sub_word": "subtraction word problems",
    "mul_word": "multiplication word problems",
    "div_word": "division word problems",
    "two_step": "two-step word problems",
}
"""What the kinds are called in sentences."""

WORDINGS: dict[str, tuple[str, ...]] = {
    "add_bare": (
        "What is {a} + {b}?",
        "Calculate {a} + {b}.",
        "What is the sum of {a} and {b}?",
        "Add {a} and {b}. What do you get?",
        "How much is {a} plus {b}?",
        "Find the value of {a} + {b}.",
        "If you add {b} to {a}, which number is the result?",
        "Work out {a} plus {b}.",
    ),
    "sub_bare": (
        "What is {a} - {b}?",
        "Calculate {a} - {b}.",
        "What is the difference between {a} and {b}?",
        "Subtract {b} from {a}. What do you get?",
        "How much is {a} minus {b}?",
        "Find the value of {a} - {b}.",
        "If you take {b} away from {a}, which number is left?",
        "Work out {a} minus {b}.",
    ),
    "mul_bare": (
        "What is {a} * {b}?",
        "Calculate {a} x {b}.",
        "What is the product of {a} and {b}?",
        "Multiply {a} by {b}. What do you get?",
        "How much is {a} times {b}?",
        "Find the value of {a} * {b}.",
        "If you multiply {b} by {a}, which number is the result?",
        "Work out {a} times {b}.",
    ),
    "add_word": (
        "{name} has {a} {thing} and buys {b} more. How many {thing} does {name} have now?",
        "{name} found {a} {thing} on Monday and {b} {thing} on Tuesday. How many {thing} did {name} find in total?",
        "There are {a} {thing} in one {place} and {b} {thing} in another {place}. "
        "How many {thing} are there altogether?",
        "{name} has {a} {thing}. {other} gives {name} {b} {thing}. How many {thing} does {name} have?",
        "{name} owns {a} {thing} and {other} owns {b} {thing}. How many {thing} do they own together?",
        "A shop sold {a} {thing} in the morning and {b} {thing} in the afternoon. "
        "How many {thing} did it sell that day?",
        "{a} {thing} are in a {place}. {name} puts in {b} more {thing}. How many {thing} are in the {place} now?",
        "First {name} counts {a} {thing}, then {b} further {thing}. What is the total number of {thing} counted?",
    ),
    "sub_word": (
        "{name} has {a} {thing} and gives away {b}. How many {thing} does {name} have left?",
        "There were {a} {thing} in a {place}. {name} took out {b}. How many {thing} remain in the {place}?",
        "{name} had {a} {thing} and lost {b} of them. How many {thing} does {name} still have?",
        "A shop had {a} {thing} and sold {b}. How many {thing} are left in the shop?",
        "{name} has {a} {thing} and {other} has {b} {thing}. How many more {thing} does {name} have than {other}?",
        "{name} needs {a} {thing} and already has {b}. How many more {thing} does {name} need?",
        "Out of {a} {thing}, {b} are broken. How many {thing} are not broken?",
        "{name} used {b} of {a} {thing}. What number of {thing} is unused?",
    ),
    "mul_word": (
        "There are {a} {thing} in one pack. How many {thing} are there in {b} packs?",
        "{name} buys {b} packs of {thing} with {a} {thing} in each pack. How many {thing} does {name} buy?",
        "{name} collects {a} {thing} every day. How many {thing} does {name} collect in {b} days?",
        "Each of {b} children has {a} {thing}. How many {thing} do the children have altogether?",
        "One {place} holds {a} {thing}. How many {thing} do {b} of them hold?",
        "{name} makes {b} rows with {a} {thing} in every row. How many {thing} does {name} use?",
        "A machine makes {a} {thing} per hour. How many {thing} does it make in {b} hours?",
        "{b} friends bring {a} {thing} each. What is the total number of {thing}?",
    ),
    "div_word": (
        "{name} shares {a} {thing} equally among {b} friends. How many {thing} does each friend get?",
        "{a} {thing} are packed into {b} equal packs. How many {thing} are in each pack?",
        "{name} puts {a} {thing} into rows of {b}. How many rows are there?",
        "A {place} with {a} {thing} is divided equally between {b} children. How many {thing} does one child receive?",
        "{name} has {a} {thing} and uses {b} every day. For how many days do the {thing} last?",
        "{b} people split {a} {thing} evenly. How many {thing} does each person take?",
        "If {a} {thing} are placed equally on {b} tables, how many {thing} are on one table?",
        "{name} sells {a} {thing} in sets of {b}. What is the number of sets?",
    ),
    "two_step": (
        "{name} buys {b} packs of {a} {thing} and then finds {c} more {thing}. How many {thing} does {name} have?",
        "There are {b} rows of {a} {thing} and {c} extra {thing}. How many {thing} are there in total?",
        "{name} has {c} {thing} and gets {a} {thing} on each of {b} days. How many {thing} does {name} have then?",
        "Each of {b} children has {a} {thing}, and the teacher has {c} {thing}. "
        "How many {thing} do they have altogether?",
        "One {place} holds {a} {thing}. {name} fills {b} of them and has {c} {thing} over. How many {thing} are there?",
        "{name} makes {a} {thing} per hour for {b} hours and already had {c} {thing}. How many {thing} are there now?",
        "{b} friends bring {a} {thing} each, and {name} brings {c}. What is the total number of {thing}?",
        "A shop has {c} {thing} and receives {b} boxes of {a} {thing}. What number of {thing} does it have?",
    ),
}
