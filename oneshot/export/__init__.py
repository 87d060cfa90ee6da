"""What leaves the project: experiment trackers that read a run's metrics."""
