"""Format forced stretches, labels, excerpts and comparisons for the summary."""

from typing import TYPE_CHECKING

from noisegate_cli.text import format_time, quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.gating.forced import Spans


def format_stretches(result: "GateResult") -> list[str]:
    """Return the lines of the summary about stretches."""
    lines = []
    if result.forced.keep:
        lines.append(f"kept       {_format_spans(result.forced.keep)}")
    if result.forced.cut:
        lines.append(f"cut        {_format_spans(result.forced.cut)}")
    if result.excerpt:
        lines.append(f"excerpt    {_format_spans((result.excerpt,))} of the recording")
    if result.comparison:
        lines.append(f"comparison {quote_path(result.comparison)}")
    if result.labels:
        lines.append(f"labels     {quote_path(result.labels)}")
    return lines


def _format_spans(spans: "Spans") -> str:
    return ", ".join(f"{format_time(start)}-{format_time(end)}" for start, end in spans)
