"""experiments/choices: what its page shows is what its JSON holds."""

from experiments.choices import table


def test_the_page_shows_the_committed_trials():
    page = (table.HERE / "README.md").read_text()
    for name in table.COLUMNS:
        assert table.table(name) in page, "run python experiments/choices/table.py, and put its tables there"
