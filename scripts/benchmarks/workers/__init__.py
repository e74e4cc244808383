"""One program a contestant, each run in the environment that its libraries need; see `benchmarks.protocol`."""
