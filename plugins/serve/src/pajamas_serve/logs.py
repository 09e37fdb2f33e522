"""The server's log: a line a record for people, or a JSON object a line for machines. No prompts unless asked for."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def show(style: str) -> None:
    """Send the server's records to standard error, as "text" or "json"."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    for name in ("pajamas_serve", "pajamas", "uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
    logging.getLogger("pajamas_serve").setLevel(logging.INFO)


def said(what: str, more: str = "") -> None:
    """What people are told, as a record."""
    logging.getLogger("pajamas_serve").info("%s: %s" if more else "%s.", *filter(None, (what, more)))


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


class TextFormatter(logging.Formatter):
    """A line for people; control characters, which clients may have chosen, are shown and not obeyed."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:7} {message}", "%H:%M:%S", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:
        text = super().formatMessage(record).translate(_CONTROLS)
        if request_id := getattr(record, "request_id", None):
            text += f" ({request_id})"
        for name in ("error", "prompt", "answers"):
            if (value := getattr(record, name, None)) is not None:
                text += f" {name}: {json.dumps(value, default=str)}"
        return text
