"""What to train on next: one small file each, with `next`, `state_dict` and nothing else."""
