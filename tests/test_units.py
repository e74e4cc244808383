"""Sizes and times read well."""

from softrl.units import duration, size


def test_sizes_have_three_digits_and_the_largest_unit_that_fits():
    assert [size(count) for count in (0, 1023, 1024, 5.5 * 2**20, 3 * 2**30, 2**45)] == [
        "0 B", "1.02e+03 B", "1 KiB", "5.5 MiB", "3 GiB", "3.28e+04 GiB",
    ]  # fmt: skip


def test_times_have_two_units():
    assert [duration(seconds) for seconds in (0.4, 59.9, 61, 3599, 3600, 86_461)] == [
        "0 s", "59 s", "1 min 01 s", "59 min 59 s", "1 h 00 min", "24 h 01 min",
    ]  # fmt: skip
