"""What to train on next: one small file each, with `next` and the state to continue from.

Every file registers its name in `CURRICULA`; a factory's keywords are its `[data.curriculum_options]`.
"""

from __future__ import annotations

from oneshot.train.curriculum import gps, in_turn, mopps, pairing, pcl, sgac
from oneshot.train.curriculum.base import CURRICULA, Design

__all__ = ["CURRICULA", "Design", "gps", "in_turn", "mopps", "pairing", "pcl", "sgac"]
