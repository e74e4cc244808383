"""Tables of many runs: returns by task and algorithm, scores over tasks, intervals, and others' numbers beside them."""
