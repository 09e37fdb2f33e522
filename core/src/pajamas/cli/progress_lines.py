"""Progress where no terminal is: a log."""

from __future__ import annotations

import time

import click

from pajamas.cli.output import duration, rate, size

_EVERY = 10.0


class Lines:
    """A line every ten seconds, and when a stage ends."""

    def stage(self, title: str, total: int | None, unit: str) -> _LineStage:
        return _LineStage(title, total, unit)


class _LineStage:
    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = 0
        self._began = self._said = time.monotonic()

    def advance(self, amount: int, note: str = "") -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._said >= _EVERY:
            self._said = now
            self._say(self._rate(now - self._began) + ([note] if note else []))

    def __enter__(self) -> _LineStage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        elapsed = time.monotonic() - self._began
        self._say(["stopped"] if kind else [f"done in {elapsed:.1f} s"])

    def _rate(self, elapsed: float) -> list[str]:
        speed = self._done / elapsed if elapsed > 0 else 0.0
        parts = [rate(speed, self._unit)] if speed else []
        if self._total and speed and self._done < self._total:
            parts.append(f"{duration((self._total - self._done) / speed)} left")
        return parts

    def _say(self, parts: list[str]) -> None:
        if self._total and self._done < self._total:
            share = (
                f"{self._amount(self._done)} of {self._amount(self._total)} ({100 * self._done / self._total:.0f} %)"
            )
        else:
            share = self._amount(self._done)
        click.echo(f"{self._title}: " + ", ".join([share, *parts]), err=True)

    def _amount(self, count: float) -> str:
        return size(count) if self._unit == "bytes" else f"{count:,.0f} {self._unit}"
