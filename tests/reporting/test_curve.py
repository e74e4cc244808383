"""Learning curves: what is drawn is what was measured."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from softrl.errors import ConfigError, RenderError
from softrl.reporting import curve as drawing
from softrl.reporting.curve import curve


def records(members: int, count: int):
    """Lines of metrics.jsonl: member m has return 100 i + m at evaluation i, ± 7 over episodes."""
    return [
        {
            "env_steps": i * 2**33,  # more than 32 bits hold
            "updates": i,
            "eval": {
                "return_mean": [100.0 * i + m for m in range(members)],
                "return_std": [7.0] * members,
                "stochastic_return_mean": [90.0 * i + m for m in range(members)],
            },
            "timing": {"wall_s": 30.0 * i + 15.0},
        }
        for i in range(count)
    ]


def drawn(lines):
    """Labelled lines as arrays, and the band's lowest and highest edges, as they stand in the axes."""
    axes = Figure().add_subplot()
    drawing._lines(axes, lines)
    labelled = {line.get_label(): line.get_ydata() for line in axes.lines if not line.get_label().startswith("_")}
    band = axes.collections[0].get_paths()[0].get_extents() if axes.collections[0].get_paths() else None
    return axes, labelled, band


@pytest.mark.parametrize("members", [1, 2, 8, 64])
@pytest.mark.parametrize("count", [1, 5])
def test_a_picture_is_left_for_any_number_of_members(tmp_path, members, count):
    path = curve(
        records(members, count), tmp_path / "new" / "curve.png", title="brax/halfcheetah, spring, seeds 0 to 7"
    )
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB"))
    assert min(pixels.shape[:2]) > 400
    assert (np.abs(pixels.astype(int) - [27, 108, 168]).sum(-1) < 10).sum() > 20, "the mean's line is blue"
    assert list(path.parent.iterdir()) == [path]


def test_one_members_band_is_one_standard_deviation_over_episodes():
    _, labelled, band = drawn(records(1, 5))
    np.testing.assert_array_equal(labelled["deterministic policy"], [0, 100, 200, 300, 400])
    np.testing.assert_array_equal(labelled["sampling policy"], [0, 90, 180, 270, 360])
    assert (band.y0, band.y1) == (-7, 407)


def test_several_members_are_a_line_each_their_mean_and_their_range():
    axes, labelled, band = drawn(records(8, 5))
    np.testing.assert_array_equal(labelled["deterministic policy, mean of 8 members"], np.arange(5) * 100 + 3.5)
    assert (band.y0, band.y1) == (0, 407)
    assert len(axes.lines) == 8 + 2


def test_a_member_that_is_not_finite_does_not_spoil_the_mean():
    lines = records(3, 3)
    lines[1]["eval"]["return_mean"] = [None, float("nan"), 50.0]
    lines[2]["eval"]["return_mean"] = [float("inf"), 10.0, 20.0]
    _, labelled, _ = drawn(lines)
    np.testing.assert_array_equal(labelled["deterministic policy, mean of 3 members"], [1.0, 50.0, 15.0])


@pytest.mark.parametrize("members", [1, 3])
def test_a_run_without_one_finite_return_is_still_a_picture(tmp_path, members):
    lines = records(members, 3)
    for line in lines:
        line["eval"] = {"return_mean": [None] * members}
        line["timing"] = {}
    assert curve(lines, tmp_path / "curve.png").exists()


def test_minutes_stand_above_the_evaluations_that_they_belong_to():
    axes = Figure().add_subplot()
    drawing._minutes(axes, records(1, 21))
    (above,) = axes.child_axes
    minutes = [float(label.get_text()) for label in above.get_xticklabels()]
    assert len(minutes) == 6
    expected = [0.5 * step / 2**33 + 0.25 for step in above.get_xticks()]
    np.testing.assert_allclose(minutes, expected, atol=0.051)  # one decimal is shown


def test_what_cannot_be_drawn_or_written_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least one evaluation"):
        curve([], tmp_path / "curve.png")
    with pytest.raises(ConfigError, match=r"got 'curve\.bmp'"):
        curve(records(1, 2), tmp_path / "curve.bmp")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RenderError, match="cannot write"):
        curve(records(1, 2), tmp_path / "file" / "curve.png")
