"""Scores over tasks: values by hand, the paper's formulas written out, intervals that hold what they promise."""

import itertools

import numpy as np
import pytest

from softrl.reporting.table import scores
from softrl.sweep.statistics import bootstrap

TWO_TASKS = [np.array([0.0, 1.0, 2.0, 9.0]), np.array([4.0, 6.0])]


def by_the_formula(ours, theirs):
    """Agarwal et al. 2021, §4.3, pair by pair."""
    tasks = []
    for xs, ys in zip(ours, theirs, strict=True):
        wins = [1.0 if x > y else 0.5 if x == y else 0.0 for x, y in itertools.product(xs, ys)]
        tasks.append(sum(wins) / len(wins))
    return sum(tasks) / len(tasks)


def test_mean_median_and_iqm_are_those_by_hand():
    assert scores.mean(TWO_TASKS) == (3.0 + 5.0) / 2, "each task counts once, however many seeds it has"
    assert scores.median([*TWO_TASKS, np.array([100.0])]) == 5.0, "of the tasks' means 3, 5 and 100"
    assert scores.interquartile_mean(TWO_TASKS) == (1 + 2 + 4 + 6) / 4, "of six runs one is dropped at either end"


def test_the_profile_counts_runs_above_a_threshold_and_every_task_once():
    assert scores.above(TWO_TASKS, 1.0) == (2 / 4 + 2 / 2) / 2, "a run at the threshold is not above it"
    assert scores.above(TWO_TASKS, 5.0) == (1 / 4 + 1 / 2) / 2
    assert [scores.above(TWO_TASKS, at) for at in (-1.0, 9.0)] == [1.0, 0.0]


def test_the_probability_of_improvement_is_the_share_of_pairs_won_and_ties_count_half():
    ours, theirs = [np.array([1.0, 3.0]), np.array([5.0])], [np.array([2.0, 3.0, 0.0]), np.array([5.0, 5.0])]
    # Task 1: 1 beats 0; 3 beats 2 and 0 and ties with 3: 3.5 of 6. Task 2: two ties.
    assert scores.improvement(ours, theirs) == pytest.approx((3.5 / 6 + 0.5) / 2, abs=1e-15)
    assert scores.improvement(theirs, ours) == pytest.approx(1 - (3.5 / 6 + 0.5) / 2, abs=1e-15)
    dice = np.random.default_rng(0)
    for _ in range(20):
        x, y = ([dice.integers(0, 6, dice.integers(1, 8)).astype(float) for _ in range(3)] for _ in range(2))
        # Sums of at most 49 halves: rounding alone.
        assert scores.improvement(x, y) == pytest.approx(by_the_formula(x, y), abs=1e-12)


def test_resamples_at_once_are_resamples_one_by_one():
    dice = np.random.default_rng(1)
    x, y = ([dice.integers(0, 9, (7, n)).astype(float) for n in sizes] for sizes in ((3, 5), (4, 2)))
    for of in (scores.mean, scores.median, scores.interquartile_mean, lambda some: scores.above(some, 4.0)):
        np.testing.assert_array_equal(of(x), [of([task[i] for task in x]) for i in range(7)])
    one_by_one = [scores.improvement([task[i] for task in x], [task[i] for task in y]) for i in range(7)]
    np.testing.assert_array_equal(scores.improvement(x, y), one_by_one)


def test_strata_are_resampled_each_by_itself():
    """Two tasks without spread, far apart: resampling across them would give a spread, within them it cannot."""
    apart = [np.zeros(5), np.full(3, 100.0)]
    assert bootstrap(scores.mean, apart) == (50.0, 50.0, 50.0, 8)
    ours, theirs = [np.zeros(2), np.ones(2)], [np.full(2, -1.0), np.full(2, 2.0)]
    assert bootstrap(scores.improvement, ours, theirs) == (0.5, 0.5, 0.5, 8), "one task won, one lost"


def test_the_interval_of_two_runs_is_known_exactly_and_the_seed_is_fixed():
    """Of {0, 1} the resamples' means are 0, ½ and 1 with chances ¼, ½, ¼: 95 % of them need all three."""
    assert bootstrap(scores.mean, [np.array([0.0, 1.0])]) == (0.5, 0.0, 1.0, 2)
    some = [np.random.default_rng(2).normal(size=6) for _ in range(3)]
    assert bootstrap(scores.interquartile_mean, some) == bootstrap(scores.interquartile_mean, some)


def test_the_two_columns_of_an_improvement_are_resampled_each_by_itself():
    """Of x = {0, 1} against y = {0, 1}: with the same draws for both the two would always tie."""
    assert bootstrap(scores.improvement, [np.array([0.0, 1.0])], [np.array([0.0, 1.0])])[1:3] == (0.0, 1.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Of 300 samples of 10 normal seeds on 3 tasks each the mean's interval holds the truth in 95 % less the shortfall
    of percentiles at n = 10 (their spread is √(9/10) of the true one: 93 %), ± 3 standard errors of 1.5 %."""
    dice = np.random.default_rng(0)
    samples = dice.normal(1.0, 0.5, (300, 3, 10)) + np.array([0.0, 1.0, 2.0])[:, None]
    found = [bootstrap(scores.mean, list(sample), resamples=400) for sample in samples]
    assert 0.885 <= np.mean([one.low <= 2.0 <= one.high for one in found]) <= 0.975


def test_one_seed_a_task_has_no_interval_and_no_run_has_no_number():
    alone = bootstrap(scores.mean, [np.array([1.0]), np.array([3.0])])
    assert alone[0] == 2.0 and alone.n == 2 and np.isnan(alone[1:3]).all()
    assert np.isnan(bootstrap(scores.mean, [])[:3]).all()
