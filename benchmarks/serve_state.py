"""What a server holds and says of itself, looked at from outside."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter

import psutil


def footprint(server: psutil.Process) -> dict[str, float]:
    workers = server.children(recursive=True)
    return {
        "server's MB": server.memory_info().rss // 1_000_000, "its files": server.num_fds(),
        "its threads": server.num_threads(), "workers": len(workers),
        "a worker's MB": max((worker.memory_info().rss // 1_000_000 for worker in workers), default=0),
        "a worker's files": max((worker.num_fds() for worker in workers), default=0),
        "a worker's threads": max((worker.num_threads() for worker in workers), default=0),
    }  # fmt: skip


ROOM = {"server's MB": 50, "its files": 12, "its threads": 16, "a worker's MB": 60, "a worker's files": 3,
        "a worker's threads": 3}  # fmt: skip


def metrics(port: int) -> dict[str, dict[str, float]]:
    """Samples by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, dict[str, float]] = {}
    for name, labels, value in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", text, re.MULTILINE):
        found.setdefault(name, {})[labels] = float(value)
    return found


def is_settled(port: int) -> bool:
    figures = metrics(port)
    busy = sum(value for labels, value in figures["pajamas_slots"].items() if "busy" in labels)
    workers = sum(value for labels, value in figures["pajamas_workers"].items() if "ready" not in labels)
    moving = sum(value for labels, value in figures["pajamas_memory_reserved_bytes"].items() if "loaded" not in labels)
    return not busy and not workers and not moving and not sum(figures["pajamas_queue_length"].values())


def differences(seen: Counter[str], generated: int, port: int) -> list[str]:
    """What the metrics say otherwise than the clients, who have seen these statuses and so many tokens."""
    figures = metrics(port)
    counted: Counter[str] = Counter()
    for labels, value in figures["pajamas_requests_total"].items():
        if "/v1/completions" in labels and (status := re.search(r'status="(\d+)"', labels)):
            counted[status[1]] += round(value)
    found = []
    # Garbage may be refused too (400); who left may have been answered, or refused, before.
    for status in ("200", "500", "503"):
        more = counted[status] - seen[status]
        if not 0 <= more <= seen["left"] + seen["any"]:
            found.append(
                f"{counted[status]} answers with {status} by the server's count, {seen[status]} by the clients'"
            )
    total = sum(counted[status] for status in ("200", "499", "500", "503", "504"))
    if total != sum(seen.values()):
        found.append(f"{total} requests by the server's count, {sum(seen.values())} by the clients'")
    tokens = sum(figures["pajamas_generation_tokens_total"].values())
    if tokens < generated:
        found.append(f"{tokens:.0f} tokens by the server's count, {generated} by the clients'")
    return found
