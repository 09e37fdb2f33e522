"""Text out of tokens' bytes, piece by piece: whole characters only, and nothing of a stop string."""

from __future__ import annotations

import codecs


class StreamText:
    """Feed it bytes, get the text that is certain. Afterwards `stopped` says whether a stop string came."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.stopped = False

    def feed(self, data: bytes) -> str:
        """The text that no later byte can change or stop."""
        return self._take(self._decoder.decode(data))

    def finish(self) -> str:
        """The rest: an unfinished character becomes U+FFFD, an unfinished stop string is text."""
        text = self._take(self._decoder.decode(b"", final=True))
        if not self.stopped:
            text, self._held = text + self._held, ""
        return text

    def _take(self, text: str) -> str:
        if not self._stop or self.stopped:
            return "" if self.stopped else text
        held = self._held + text
        places = [place for place in (held.find(stop) for stop in self._stop) if place >= 0]
        if places:
            self.stopped, self._held = True, ""
            return held[: min(places)]
        keep = max(_overlap(held, stop) for stop in self._stop)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`, but not all of it."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)
