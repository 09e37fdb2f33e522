"""What is measured, in which unit, and which way is better."""

from __future__ import annotations

from attrs import frozen


@frozen
class Metric:
    name: str
    """In JSON."""
    label: str
    """For people."""
    unit: str
    """"s", "tokens/s" or "bytes"."""
    more_is_better: bool = False


LOAD = Metric("load", "Load", "s")
PEAK_MEMORY = Metric("peak-memory", "Peak memory", "bytes")
FIRST_TOKEN = Metric("first-token", "Time to first token", "s")
PROMPT_SPEED = Metric("prompt-speed", "Prompt", "tokens/s", more_is_better=True)
GENERATION_SPEED = Metric("generation-speed", "Generation", "tokens/s", more_is_better=True)
LATENCY = Metric("latency", "Inter-token latency, median", "s")
LATENCY_99 = Metric("latency-99", "Inter-token latency, 99 %", "s")
TOTAL = Metric("total", "Total", "s")

METRICS = {
    metric.name: metric
    for metric in (LOAD, PEAK_MEMORY, FIRST_TOKEN, PROMPT_SPEED, GENERATION_SPEED, LATENCY, LATENCY_99, TOTAL)
}


def shown(metric: Metric, value: float) -> str:
    """The value with its unit, in the digits that matter."""
    if metric.unit == "bytes":
        return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.1f} MB"
    if metric.unit == "tokens/s":
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    if value >= 1:
        return f"{value:.2f} s"
    return f"{1e3 * value:.3g} ms" if value >= 1e-3 else f"{1e6 * value:.0f} µs"


def with_noise(text: str, noise: float | None) -> str:
    """`text` and how far it can be trusted: "412 ±3%"."""
    if noise is None:
        return text
    return f"{text} ±{100 * noise:.0f}%" if noise < 0.995 else f"{text} ±>99%"
