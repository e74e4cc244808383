"""Policies' distributions: sample, log_prob, mode, entropy."""
