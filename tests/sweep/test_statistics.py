"""Statistics of a few runs: exact values by hand, SciPy's twins, and intervals that hold what they promise."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from softrl.sweep.statistics import cells, interquartile_mean, interval, mean, median

scores = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


def test_the_interquartile_mean_drops_a_quarter_at_either_end():
    assert interquartile_mean(np.array([8.0, 1.0, 100.0, 4.0, 2.0, 6.0, -50.0, 3.0])) == (2 + 3 + 4 + 6) / 4
    assert interquartile_mean(np.array([0.0, 1.0, 5.0])) == 2.0, "⌊3 / 4⌋ = 0 are dropped"
    assert interquartile_mean(np.array([9.0, 1.0, 5.0, -100.0])) == 3.0
    np.testing.assert_array_equal(interquartile_mean(np.array([[4.0, 1, 2, 3], [0, 0, 0, 8]])), [2.5, 0.0])


@given(scores)
def test_the_interquartile_mean_is_scipys(values):
    np.testing.assert_allclose(
        interquartile_mean(np.array(values)), scipy.stats.trim_mean(values, 0.25), rtol=1e-12, atol=1e-9
    )


def test_the_interval_of_two_runs_is_known_exactly():
    """Of {0, 1} the resamples' means are 0, ½ and 1 with chances ¼, ½, ¼: 95 % of them need all three."""
    assert interval([[0.0, 1.0]], mean) == (0.5, 0.0, 1.0, 2)
    # The middle 40 % of the same distribution is ½ alone.
    assert interval([[0.0, 1.0]], mean, confidence=0.4)[1:3] == (0.5, 0.5)


def test_strata_are_resampled_each_by_itself():
    """Two tasks without spread, far apart: pooled resampling would mix them, a stratified one cannot."""
    assert interval([[0.0] * 5, [100.0] * 5], mean) == (50.0, 50.0, 50.0, 10)
    assert interval([[0.0] * 2, [100.0] * 6], mean) == (75.0, 75.0, 75.0, 8)


@pytest.mark.parametrize("statistic", [mean, median, interquartile_mean])
def test_the_interval_of_one_task_is_scipys_percentile_bootstrap(statistic):
    values = np.random.default_rng(3).normal(10.0, 5.0, 30)
    ours = interval([values], statistic, resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (values,), statistic, n_resamples=20_000, method="percentile", rng=np.random.default_rng(7)
    ).confidence_interval
    # Two samples of 20,000: the ends of either scatter by about 0.02 (1/√20,000 of the spread, over the density there).
    np.testing.assert_allclose(ours[1:3], [theirs.low, theirs.high], atol=0.15)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Of 400 samples of 20 normal runs, 95 % ± 4 standard errors minus the small-sample shortfall of percentiles."""
    generator = np.random.default_rng(0)
    samples = generator.normal(7.0, 2.0, (400, 20))
    covered = [low <= 7.0 <= high for _, low, high, _ in (interval([row], mean, resamples=500) for row in samples)]
    assert 0.89 <= np.mean(covered) <= 0.985


@settings(max_examples=25)
@given(scores, st.integers(0, 2**31))
def test_the_point_lies_among_the_scores_and_the_seed_decides_every_bit(values, seed):
    one = interval([values], resamples=50, seed=seed)
    np.testing.assert_equal(one, interval([values], resamples=50, seed=seed))
    slack = 1e-9 * max(map(abs, values))  # a mean of equal numbers may round
    assert min(values) - slack <= one.point <= max(values) + slack
    if len(values) > 1:
        assert min(values) - slack <= one.low <= one.high <= max(values) + slack


def test_one_run_has_no_interval_and_none_has_no_mean():
    assert interval([[3.0]])[0] == 3.0 and interval([[3.0]]).n == 1
    assert np.isnan(interval([[3.0]])[1:3]).all()
    assert np.isnan(interval([[np.nan, None], []])[:3]).all() and interval([[]]).n == 0


def test_scores_that_are_not_finite_do_not_count_but_are_missed():
    assert interval([[1.0, np.nan, 3.0, np.inf, None]], mean)[0] == 2.0
    assert interval([[1.0, np.nan, 3.0, np.inf, None]], mean).n == 2


def test_a_table_has_a_row_a_setting_best_first_and_counts_the_diverged():
    settings = [{"gamma": 0.9, "width": w} for w in (8, 16, 8, 16, 8, 32)]
    rows = cells(settings, [1.0, 10.0, 3.0, 30.0, np.nan, None], [False, False, True, False, True, True])
    assert [row.setting["width"] for row in rows] == [16, 8, 32]
    best, second, empty = rows
    assert (best.n, best.diverged, best.mean, best.median, best.iqm, best.best) == (2, 0, 20.0, 20.0, 20.0, 30.0)
    assert (best.low, best.high) == (10.0, 30.0)
    assert (second.n, second.diverged, second.mean) == (2, 2, 2.0)
    assert (empty.n, empty.diverged) == (0, 1) and np.isnan([empty.mean, empty.iqm, empty.low, empty.best]).all()


def test_settings_that_only_look_alike_keep_their_own_rows():
    rows = cells([{"x": 1}, {"x": True}, {"x": "1"}, {"x": [1, 2]}, {"x": (1, 2)}], [1.0] * 5, [False] * 5)
    assert len(rows) == 4, "a list is the tuple that JSON made of it; 1, true and '1' are three things"
