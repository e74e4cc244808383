"""One self-contained HTML page on a sweep or a run, which opens without a network."""

from softrl.reporting.report.best_video import with_video
from softrl.reporting.report.page import read, write

__all__ = ["read", "with_video", "write"]
