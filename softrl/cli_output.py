"""Standard output and error as a command writes them: their reader may go, and may know only ASCII."""

import codecs
import contextlib
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

_SPELLED = {"−": "-", "–": "-", "×": "x", "·": "*", "…": "...", "→": "->", "←": "<-", "≤": "<=", "≥": ">=", "≠": "!="}
_SPELLED |= {"†": "*", "∞": "inf", "′": "'", "±": "+-", "√": "sqrt", "∈": "in", "≈": "~", "⁄": "/", "‖": "||"}
_SPELLED |= {"“": '"', "”": '"', "’": "'", "§": "section "}


class Output:
    """A text stream that goes on when its reader has gone: what is written then is dropped.

    gone: a line for standard error when that happens, once; empty says nothing.
    """

    def __init__(self, stream: Any, gone: str = ""):
        self.stream, self.gone = stream, gone

    def write(self, text: str) -> int:
        """As a stream's."""
        with self._kept():
            return self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As a stream's."""
        with self._kept():
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())  # what is still buffered, and what other code writes, goes there
            os.close(nowhere)
            if self.gone:
                print(self.gone, file=sys.stderr)


@contextlib.contextmanager
def patient(gone: str = "") -> Iterator[None]:
    """Within this context standard output and error may be closed by their readers, and spell what they cannot encode.

    Args: `gone`: what to say on standard error when nobody reads standard output any more.
    """
    with contextlib.ExitStack() as stack:
        for stream, redirect, say in (
            (sys.stderr, contextlib.redirect_stderr, ""),
            (sys.stdout, contextlib.redirect_stdout, gone),
        ):
            if stream is None:  # closed before softrl began
                continue
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="softrl.spelled")
            output = Output(stream, say)
            stack.enter_context(redirect(output))
            stack.callback(output.flush)
        yield


def spelled(char: str) -> str:
    """A character in ASCII: a Greek letter's name, a box's line, a fraction in digits; `?` where nothing is like it."""
    if unicodedata.combining(char):
        return ""
    name = unicodedata.name(char, "")
    if name.startswith("GREEK"):
        return name.split()[-1].lower()
    if name.startswith("BOX DRAWINGS"):
        return "-" if name.endswith("HORIZONTAL") else "|" if name.endswith("VERTICAL") else "+"
    plain = "".join(_SPELLED.get(part, part) for part in unicodedata.normalize("NFKD", char))
    return plain.encode("ascii", "ignore").decode() or "?"


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(spelled, error.object[error.start : error.end])), error.end


codecs.register_error("softrl.spelled", _replaced)
