"""`softrl zoo`."""

from softrl import zoo
from softrl.errors import ConfigError


def table(argv: list[str]) -> int:
    """`softrl zoo`: one line a policy."""
    if argv:
        raise ConfigError(f"softrl zoo takes no arguments, got {' '.join(argv)}; `softrl eval zoo/NAME` evaluates one")
    rows = [("name", "return", "algorithm", "steps", "training")]
    for card in map(zoo.card, zoo.names()):
        earned = f"{card.return_mean:,.1f} ± {card.return_std:,.1f}"
        rows.append((zoo.PREFIX + card.name, earned, card.algorithm, f"{card.steps:,}", f"{card.seconds:,.0f} s"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *others in rows:
        cells = [name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        print("  ".join(cells))
    return 0
