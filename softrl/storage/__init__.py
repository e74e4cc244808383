"""Durable files: a state's leaves, manifests, checkpoints, a run's directory and its metrics; nothing of training."""
