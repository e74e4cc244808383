"""metrics.jsonl: every name in it is explained, and a line is the sum of its chunks."""

import numpy as np

from softrl.agents.registry import algorithm
from softrl.training import records
from softrl.training.assemble import assemble
from softrl.training.programs import compile_programs
from tests import tiny


def names(line: dict, prefix: str = "") -> set[str]:
    flat = set()
    for name, value in line.items():
        flat |= names(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return flat


def test_the_glossary_names_what_a_run_writes_and_nothing_else():
    config = tiny.config()
    assembled = assemble(config)
    programs = compile_programs(assembled)
    run, info = programs.chunk(programs.init(), programs.hypers)
    evaluation = programs.evaluate(programs.publish(run.learner.agent), 0)
    timing = dict.fromkeys(("wall_s", "compile_s", "env_steps_per_s", "updates_per_s"), 0.0)
    line = records.record(config, run, evaluation, [records.tally(info)], timing)
    line["best"] = dict.fromkeys(records.HELD_OUT, 0.0)  # of the last line only
    assert names(line) == set(records.described(algorithm(config.algorithm)))


def test_a_line_adds_up_episodes_and_averages_what_is_a_number():
    """Two chunks of two members; before learning starts there is no loss, and no ended episode has no mean return."""
    chunks = [
        {"return_sum": [10.0, 0.0], "length_sum": [20.0, 0.0], "episodes": [2.0, 0.0], "critic_loss": [np.nan, np.nan]},
        {"return_sum": [50.0, 0.0], "length_sum": [40.0, 0.0], "episodes": [4.0, 0.0], "critic_loss": [3.0, np.nan]},
    ]
    part = records.train_part(chunks)
    np.testing.assert_array_equal(part["episodes"], [6.0, 0.0])
    np.testing.assert_array_equal(part["return_mean"], [10.0, np.nan])
    np.testing.assert_array_equal(part["length_mean"], [10.0, np.nan])
    np.testing.assert_array_equal(part["critic_loss"], [3.0, np.nan])
    assert records.train_part([]) == {}
