"""`softrl table`: what is read, what is compared with what, and what is written; without training anything."""

import csv
import io
import json
import math

import numpy as np
import pytest

from softrl import cli
from softrl.errors import CheckpointError, ConfigError
from softrl.reporting.table import comparison, gather, measures, published, results, write
from softrl.reporting.table.results import Result
from tests.reporting import sweeps


def made(task, preset, seed, returns, *, steps=100, about=None, **setting):
    """A finished seed whose evaluations are evenly spaced up to `steps`, a second every ten steps."""
    at = np.linspace(0, steps, len(returns))
    curve = {"env_steps": at, "updates": at, "seconds": at / 10, "return": returns, "stochastic_return": returns}
    curve = {name: np.array(values, float) for name, values in curve.items()}
    return Result("", task, "sac", preset, seed, steps, curve, about or {}, setting)


def column(name, comparable=True, **numbers):
    """Published means at 100 steps, by task."""
    listed = tuple(published.Number(task, 100, mean, 1.0) for task, mean in numbers.items())
    return published.Column(
        name, "a paper", 5, "version 4", "deterministic", comparable, "" if comparable else "v4", listed
    )


def four():
    """Two presets on two tasks, two seeds each: finals (1, 3), (10, 30) and (2, 2), (40, 40)."""
    finals = {("a", "old"): (1, 3), ("b", "old"): (10, 30), ("a", "new"): (2, 2), ("b", "new"): (40, 40)}
    return [made(t, p, seed, [0, end]) for (t, p), ends in finals.items() for seed, end in enumerate(ends)]


def final(made):
    """The panel of the final return."""
    return next(panel for panel in made.panels if panel.measure.name == "final return")


def test_a_cell_is_mean_and_sample_deviation_over_finite_seeds():
    panel = final(comparison.compare([*four(), made("a", "old", 2, [0, math.nan])]))
    assert panel.cells["a", "sac old"] == (2.0, pytest.approx(math.sqrt(2)), 2, 3)
    assert panel.cells["b", "sac new"] == (40.0, 0.0, 2, 2)


def test_scores_are_shares_of_the_best_column_of_each_task():
    panel = final(comparison.compare(four()))
    assert panel.scales == {"a": (0.0, 2.0, "sac old"), "b": (0.0, 40.0, "sac new")}
    old, new = panel.summaries["sac old"], panel.summaries["sac new"]
    assert old.mean.point == (1.0 + 0.5) / 2 and new.mean.point == 1.0
    assert panel.best == "sac new", "the IQM of (½, 1½, ¼, ¾) is 0.625, of (1, 1, 1, 1) it is 1"
    assert old.iqm.point == 0.625 and old.improvement.point == (0.5 + 1.0) / 2
    assert math.isnan(new.improvement.point)


def test_published_numbers_are_the_reference_where_there_are_some():
    panel = final(comparison.compare(four(), [column("X", a=4.0), column("Y", a=8.0)]))
    assert panel.scales["a"] == (0.0, 8.0, "Y") and panel.scales["b"].by == "sac new"
    both = final(comparison.compare(four(), [column("X", a=4.0, b=20.0)]))
    assert both.summaries["X"].mean.point == 1.0 and math.isnan(both.summaries["X"].mean.low), "means have no interval"


def test_published_numbers_at_other_steps_are_not_compared():
    far = column("X", a=4.0)._replace(numbers=(published.Number("a", 102, 4.0),))
    assert comparison.compare(four(), [far]).others == {}
    near = far._replace(numbers=(published.Number("a", 101, 4.0),))
    assert list(comparison.compare(four(), [near]).others) == ["X"]


def test_a_reference_can_be_named_and_must_exist():
    panel = final(comparison.compare(four(), reference="sac old"))
    assert panel.scales == {"a": (0.0, 2.0, "sac old"), "b": (0.0, 20.0, "sac old")}
    with pytest.raises(ConfigError, match="unknown column 'sac odl'; did you mean 'sac old'"):
        comparison.compare(four(), reference="sac odl")


def test_where_returns_are_negative_zero_is_the_untrained_policy():
    both = [made("a", "old", 0, [-30, -20]), made("a", "new", 0, [-30, -10])]
    panel = final(comparison.compare(both))
    assert panel.scales == {"a": (-30.0, -10.0, "sac new")}
    assert panel.summaries["sac old"].mean.point == 0.5


def test_tasks_that_a_column_lacks_are_left_out_of_all_scores_and_named():
    compared = comparison.compare([run for run in four() if (run.task, run.preset) != ("b", "old")])
    panel = final(compared)
    assert panel.common == ("a",) and panel.summaries["sac new"].mean.n == 2
    text = write.markdown(compared)
    assert "left out of the scores" in text and "scale: b." in text
    assert "–" in next(line for line in text.splitlines() if line.startswith("| b "))


def test_a_column_that_was_only_begun_takes_no_task_from_the_scores_of_the_others():
    third = [made("c", preset, 0, [0, number]) for preset, number in (("old", 1), ("new", 2))]
    begun = [*four(), *third, made("a", "begun", 0, [0, 1])]
    compared = comparison.compare(begun)
    panel = final(compared)
    assert panel.common == ("a", "b", "c") and panel.apart == ("sac begun",)
    assert set(panel.summaries) == {"sac old", "sac new"}
    assert "sac begun is left out of the scores, because it has 1 of 3 tasks." in write.markdown(compared)
    two = final(comparison.compare([run for run in begun if run.preset != "old"]))
    assert two.common == ("a",) and two.apart == (), "two columns are compared by what both have"
    beside = final(comparison.compare([run for run in begun if run.preset != "old"], [column("X", a=4, b=20, c=4)]))
    assert beside.common == ("a", "b", "c") and beside.apart == ("sac begun",), "and one with what is published"


def test_seeds_may_be_missing_in_some_tasks():
    some = [run for run in four() if (run.task, run.preset, run.seed) != ("b", "old", 1)]
    panel = final(comparison.compare(some))
    assert panel.cells["b", "sac old"].n == 1 and panel.common == ("a", "b")
    assert comparison.matrices(panel) == {"sac old": [[0.5, 0.25]], "sac new": [[1.0, 1.0], [1.0, 1.0]]}


def test_a_column_without_a_finite_number_is_named_and_does_not_empty_the_table():
    compared = comparison.compare([*four(), made("a", "lost", 0, [0, math.nan])])
    panel = final(compared)
    assert panel.missing == ("sac lost",) and panel.common == ("a", "b")
    text = write.markdown(compared)
    assert "no run of sac lost has one" in text and "– (0 of 1)" in text


@pytest.mark.parametrize("tasks", [("a",), ("a", "b")])
def test_a_task_with_one_seed_leaves_no_interval_that_would_be_too_narrow(tasks):
    text = write.markdown(comparison.compare([run for run in four() if run.seed == 0 or run.task not in tasks]))
    assert "No interval, because a task has one seed: sac old, sac new." in text
    assert "[" not in text


def test_measures_are_read_off_the_curve_and_nothing_is_foretold():
    run = made("a", "old", 0, [0.0, 10.0, 10.0])
    assert measures.final(run) == 10.0
    assert measures.area(run) == (5.0 * 50 + 10.0 * 50) / 100
    assert measures.at(run, "env_steps", 25) == 5.0 and measures.at(run, "seconds", 5.0) == 10.0
    assert math.isnan(measures.at(run, "env_steps", 101)) and math.isnan(measures.at(run, "seconds", 10.1))
    broken = made("a", "old", 0, [0.0, math.nan, 10.0])
    assert math.isnan(measures.area(broken)) and math.isnan(measures.at(broken, "env_steps", 25))
    assert measures.final(broken) == 10.0
    empty = made("a", "old", 0, [])
    assert all(math.isnan(x) for x in (measures.final(empty), measures.area(empty), measures.start(empty)))


def test_returns_at_steps_and_seconds_come_first_when_asked_for():
    names = [panel.measure.name for panel in comparison.compare(four(), at_steps=50, at_seconds=2.5).panels]
    assert names == ["return at 50 steps", "return at 2.5 s", "final return", "area under the curve"]
    panel = comparison.compare(four(), at_steps=50).panels[0]
    assert panel.cells["a", "sac old"].mean == 1.0
    beside = comparison.compare(four(), [column("X", a=4.0)], at_steps=100).panels[0]
    assert beside.cells["a", "X"].mean == 4.0


def test_settings_name_columns_unless_all_runs_have_them():
    runs = [made("a", "tuned", 0, [0, 1], gamma=g, width=8) for g in (0.9, 0.99)]
    compared = comparison.compare(runs)
    assert compared.columns == ("sac tuned · gamma 0.9", "sac tuned · gamma 0.99")
    assert "All runs: width 8." in write.markdown(compared)


def test_what_is_not_finished_or_not_comparable_is_said():
    late = made("a", "old", 5, [0, 9])._replace(steps=1_000)
    noted = made("a", "new", 5, [0, 9], about={"note": "The device was shared."})
    text = write.markdown(comparison.compare([late, noted], [column("X", comparable=False, a=4.0)]))
    assert "Not at their last step, 1 of 2 runs: sac old on a, seed 5." in text
    assert "The device was shared." in text and "a paper" not in text, "X was measured at other steps"
    assert "a: runs of 100 and of 1,000 steps stand beside each other; --at-steps" in text
    text = write.markdown(comparison.compare(four(), [column("X", comparable=False, a=4.0)]))
    assert " X † |" in text and "† Not comparable (v4): X." in text and "X: a paper; version 4, deterministic." in text


def test_a_result_comes_back_as_it_was_written(tmp_path):
    one = made("gym/Hopper-v5", "tuned", 3, [0.1, math.nan, 1e9], about={"commit": "abc"}, gamma=0.9)
    (back,) = gather.read(results.write(one, tmp_path / "deep" / "one.json").parent)
    assert back._replace(curve={}) == one._replace(curve={})
    for name in results.CURVE:
        np.testing.assert_array_equal(back.curve[name], one.curve[name])
    assert len((tmp_path / "deep" / "one.json").read_text().splitlines()) < 30, "a series is one line"


def test_a_seed_counts_once(tmp_path):
    for name in ("one", "two"):
        results.write(made("a", "old", 0, [0, 1]), tmp_path / name / "a_0.json")
    with pytest.raises(ConfigError, match=r"one/a_0.json and .*two/a_0.json are the same seed 0 of sac on a"):
        gather.read(tmp_path)


def test_damaged_results_are_refused_and_other_files_passed_by(tmp_path):
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "notes.txt").write_text("curve")
    with pytest.raises(ConfigError, match="holds no results"):
        gather.read(tmp_path)
    path = results.write(made("a", "old", 0, [0, 1]), tmp_path / "a.json")
    whole = json.loads(path.read_text())
    for change, words in (
        ({"seed": None}, "it has no seed"),
        ({"curve": {**whole["curve"], "seconds": [1]}}, "differ in length"),
        ({"curve": {"return": []}}, "it has no curve.env_steps"),
    ):
        path.write_text(json.dumps({name: value for name, value in {**whole, **change}.items() if value is not None}))
        with pytest.raises(CheckpointError, match=words):
            gather.read(tmp_path)
    path.write_text("{")
    with pytest.raises(CheckpointError, match="not JSON"):
        gather.read(tmp_path)


@pytest.mark.parametrize(
    "text, words",
    [
        ("[[column]]\nalgorithm = 'X'\n", "column X has no source"),
        ("[[column]]\nalgorithm = 'X'\nsource = ''\n", "column X has no source"),
        ("[[column]]\nalgoritm = 'X'\n", "unknown word .* did you mean 'algorithm'"),
        ("column = [", "is not TOML"),
    ],
)
def test_published_numbers_without_a_source_are_refused(text, words, tmp_path):
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        published.read(tmp_path / "p.toml")


def test_published_numbers_that_are_not_comparable_need_the_reason(tmp_path):
    whole = (
        "[[column]]\nalgorithm = 'X'\nsource = 's'\nseeds = 1\nenvironments = 'v4'\nreturns = 'r'\ncomparable = false\n"
    )
    (tmp_path / "p.toml").write_text(whole)
    with pytest.raises(ConfigError, match="give the reason"):
        published.read(tmp_path / "p.toml")
    (tmp_path / "p.toml").write_text(whole + "reason = 'v4'\nnumbers = [{ task = 'a', steps = 1 }]\n")
    with pytest.raises(ConfigError, match="a number is a task, steps, mean"):
        published.read(tmp_path / "p.toml")
    with pytest.raises(ConfigError, match="cannot read"):
        published.read(tmp_path / "none.toml")


def test_the_csv_holds_every_cell_in_full():
    text = write.comma_separated(comparison.compare(four(), [column("X", comparable=False, a=4.0)]))
    rows = {(row["measure"], row["task"], row["column"]): row for row in csv.DictReader(io.StringIO(text))}
    assert rows["final return", "a", "sac old"] == {
        "measure": "final return", "task": "a", "column": "sac old", "mean": "2.0", "std": repr(math.sqrt(2)),
        "seeds": "2", "runs": "2", "zero": "0.0", "one": "4.0", "published": "false", "comparable": "true",
    }  # fmt: skip
    assert rows["final return", "a", "X"]["comparable"] == "false"


def test_the_json_is_what_rliable_reads():
    """Algorithm → [seeds, tasks], as `rliable.library.get_interval_estimates` takes it."""
    found = {name: np.array(rows) for name, rows in json.loads(write.for_rliable(comparison.compare(four()))).items()}
    np.testing.assert_array_equal(found["sac old"], [[0.5, 0.25], [1.5, 0.75]])
    np.testing.assert_array_equal(found["sac new"], [[1.0, 1.0], [1.0, 1.0]])
    with pytest.raises(ConfigError, match="needs a task that every column has"):
        write.for_rliable(comparison.compare([made("a", "old", 0, [0, 1]), made("b", "new", 0, [0, 1])]))


def test_the_page_needs_nothing_else_and_shows_names_as_text():
    page = write.page(comparison.compare([made("<script>alert(1)</script>", "old", 0, [0, 1])]), "softrl table x")
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "src=" not in page and 'href="http' not in page and "softrl table x" in page


def test_the_command_line_writes_by_suffix_and_refuses_others(tmp_path, capsys):
    for index, run in enumerate(four()):
        results.write(run, tmp_path / "results" / f"{index}.json")
    for suffix in write.FORMATS:
        with pytest.raises(SystemExit) as end:
            cli.main(["table", str(tmp_path / "results"), "--out", str(tmp_path / f"table{suffix}")])
        assert end.value.code == 0 and (tmp_path / f"table{suffix}").stat().st_size > 100
    for words, said in (
        (["--out", "table.pdf"], "unknown format '.pdf'"),
        (["--at-steps", "0"], "at_steps must be"),
        (["--at-seconds", "-1"], "at_seconds must be"),
    ):
        with pytest.raises(SystemExit) as end:
            cli.main(["table", str(tmp_path / "results"), *words])
        assert end.value.code == 2 and said in capsys.readouterr().err


def test_a_sweep_is_a_table_of_its_settings(tmp_path):
    words = {
        "seeds": 3,
        "base": {"steps": 45_056},
        "axes": {"temperature": [0.02, 0.1], "env": ["probe/bounded-lq", "probe/death"]},
    }
    found = gather.read(sweeps.made(tmp_path / "sweep", words, unfinished=1))
    assert len(found) == 11, "a member without an evaluation is not there"
    compared = comparison.compare(found)
    assert compared.columns == ("sac tuned · temperature 0.02", "sac tuned · temperature 0.1")
    assert {row.task for row in compared.rows} == {"probe/bounded-lq", "probe/death"}
    assert sorted(cell.n for cell in final(compared).cells.values()) == [2, 3, 3, 3]


def test_columns_that_agree_in_four_digits_are_two():
    results = [made("task", "tuned", 0, [0.0, 1.0], gamma=0.99995), made("task", "tuned", 0, [0.0, 9.0], gamma=0.99999)]
    assert comparison.compare(results).columns == ("sac tuned · gamma 0.99995", "sac tuned · gamma 0.99999")
