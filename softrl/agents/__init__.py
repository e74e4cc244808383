"""Algorithms as bundles of pure functions; the only place that knows Optax."""
