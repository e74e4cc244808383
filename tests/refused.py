"""Commands that must be refused."""

import pytest

from softrl import cli


def explained(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command line says to bad arguments: exit code 2, no traceback, and every one of `words` in it."""
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    said = capsys.readouterr()
    text = " ".join((said.out + said.err).replace("│", " ").split())
    assert exit_.value.code == 2, text
    assert "Traceback" not in text, text
    for word in words:
        assert word in text, text
    return text
