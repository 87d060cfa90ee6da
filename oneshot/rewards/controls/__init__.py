r"""Control arms: training on the same example without what it teaches, so that a gain can be told from that of any run.

`arms` names them and has the words of every output, `pay` the rewards, `form` what `format` pays.
"""

from oneshot.rewards.controls.arms import CONTROLS, Control, label
from oneshot.rewards.controls.form import form_of
from oneshot.rewards.controls.pay import (
    Pay,
    against,
    coin,
    form,
    identity,
    keyed,
    majority,
    repaid,
    right_only,
    shuffled,
    unguessable,
    wrong_answers,
)

__all__ = [
    "CONTROLS",
    "Control",
    "Pay",
    "against",
    "coin",
    "form",
    "form_of",
    "identity",
    "keyed",
    "label",
    "majority",
    "repaid",
    "right_only",
    "shuffled",
    "unguessable",
    "wrong_answers",
]
