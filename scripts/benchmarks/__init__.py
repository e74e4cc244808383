"""Speed and learning of softrl, side by side with its peers; started by `scripts/bench`, see `benchmarks.__main__`."""
