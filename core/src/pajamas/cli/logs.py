"""Log records for a person: warnings of pajamas and its plugins, with `--verbose` what they are doing too."""

from __future__ import annotations

import logging
import sys
import warnings

_LONGEST = 400


def show(*, verbose: bool, trace_hooks: bool = False) -> None:
    """Send log records to standard error. Other libraries are heard only when they fail, or with `verbose`."""
    handler = _Handler()
    handler.setFormatter(_Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("pajamas.trace").setLevel(logging.INFO if trace_hooks else logging.WARNING)
    if not verbose:
        handler.addFilter(lambda record: record.name.startswith("pajamas") or record.levelno >= logging.ERROR)
        if not sys.warnoptions:
            warnings.simplefilter("ignore")


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]  # not generic at run time in 3.11
    """Writes to whatever standard error is now: progress bars put their own in its place while they draw."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.name == "pajamas.trace":
            # A record of a hook's arguments can be pages long; where it was cut is plain to see.
            return "\n".join(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..." for line in text.splitlines())
        if record.levelno < logging.WARNING:
            return f"{record.name.partition('.')[0]}: {text}"
        return f"{'Warning' if record.levelno < logging.ERROR else 'Error'}: {text}"
