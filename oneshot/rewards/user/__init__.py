"""A user's reward function: loaded, called by its convention in a process of its own, probed before it is trusted."""
