"""The server's log: a line a record for people, or a JSON object a line for machines. No prompts unless asked for."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def show(style: str) -> None:
    """Send the server's records to standard error, as "text" or "json"."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else _TextFormatter())
    for name in ("pajamas_serve", "pajamas"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
    logging.getLogger("pajamas_serve").setLevel(logging.INFO)


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message, and what the record brought along."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:7} {message}", "%H:%M:%S", style="{")

    def format(self, record: logging.LogRecord) -> str:
        request_id = getattr(record, "request_id", None)
        return super().format(record) + (f" ({request_id})" if request_id else "")
