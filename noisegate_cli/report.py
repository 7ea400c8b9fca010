"""Results as tables for people and as JSON for programs."""

import dataclasses
import math
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate_cli.gating.settings import MUTE, PRESETS, GateSettings
from noisegate_cli.units import format_db, format_duration, format_level, shown

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from noisegate_cli.batch import BatchReport
    from noisegate_cli.gating.levels import LevelHistogram
    from noisegate_cli.process import AnalysisReport, GateResult

HISTOGRAM_ROWS = 16
HISTOGRAM_WIDTH = 40

LISTED_ERRORS = 20
"""Failed recordings of a batch that are listed one by one."""


def to_json(value: Any) -> str:
    """Return `value` as one line of JSON: what isn't a finite number is null."""
    import json

    return json.dumps(_plain(value), ensure_ascii=True, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def analysis_data(report: "AnalysisReport") -> dict[str, Any]:
    """Return an analysis as plain data."""
    info, levels, suggestion = report.info, report.levels, report.levels.suggestion
    threshold = suggestion.threshold
    return {
        "file": info.path,
        "duration_s": info.duration,
        "sample_rate": info.sample_rate,
        "channels": info.channels,
        "samples": levels.samples,
        "format": info.format,
        "subtype": info.subtype,
        "peak_db": levels.peak_db,
        "rms_db": levels.rms_db,
        "frames": levels.frames,
        "percentiles_db": levels.percentiles_db,
        "noise_floor_db": suggestion.noise_floor_db,
        "active_db": suggestion.active_db,
        "contrast_db": suggestion.contrast_db,
        "digital_silence_share": levels.silent_share,
        "histogram": _histogram_data(levels.histogram),
        "threshold": threshold,
        "threshold_db": _db(threshold),
        "reason": suggestion.reason,
        "closed_share": levels.statistics.closed_share if threshold else None,
        "openings": levels.statistics.openings if threshold else None,
        "command": gate_command(report) or None,
    }


def gate_data(result: "GateResult") -> dict[str, Any]:
    """Return what a gate did as plain data."""
    return {
        "file": result.source.path,
        "output": result.output.path,
        "residue": result.residue,
        "duration_s": result.source.duration,
        "sample_rate": result.source.sample_rate,
        "channels": result.source.channels,
        "subtype": result.output.subtype,
        "threshold": result.threshold,
        "threshold_db": _db(result.threshold),
        "automatic": result.suggestion is not None,
        "reason": result.suggestion.reason if result.suggestion else None,
        "closed_share": result.statistics.closed_share,
        "openings": result.statistics.openings,
        "settings": dataclasses.asdict(result.settings),
        "seconds": result.seconds,
    }


def batch_data(report: "BatchReport") -> dict[str, Any]:
    """Return what a batch did as plain data."""
    return {
        "output": report.output,
        "done": len(report.of("done")),
        "skipped": len(report.of("skipped")),
        "failed": len(report.of("failed")),
        "audio_s": report.audio_seconds,
        "seconds": report.seconds,
        "files": [
            {"status": r.status}
            | (
                gate_data(r.result)
                if r.result
                else {"file": r.job.source, "output": r.job.output, "error": r.error}
            )
            for r in report.results
        ],
    }


def gate_summary(result: "GateResult") -> list[str]:
    """Return the few lines that `ngate gate` says when it is done."""
    reason = result.suggestion.reason if result.suggestion else ""
    if result.threshold is None:
        why = f"none, the gate stayed open. {reason}"
    else:
        origin = f"automatic. {reason}" if reason else "as given"
        why = f"{format_level(result.threshold)}, {origin}"
    speed = result.source.duration / max(result.seconds, 1e-9)
    lines = [
        f"threshold  {why}",
        f"closed     {100 * result.statistics.closed_share:.1f} % of "
        f"{format_duration(result.source.duration)}, {_times(result.statistics.openings)} "
        f"({speed:.0f} × real time)",
        f"output     {shown(result.output.path)} ({_sample_type(result.output)})",
    ]
    if result.residue:
        lines.append(f"residue    {shown(result.residue)}")
    if result.output.subtype != result.source.subtype:
        lines.append(f"note       the input is {result.source.subtype}: not every bit can be kept")
    return lines


def gate_command(report: "AnalysisReport") -> str:
    """Return the `ngate gate` line that an analysis suggests; empty if it suggests none."""
    import shlex

    threshold = report.levels.suggestion.threshold
    if threshold is None:
        return ""
    changes = report.settings.changes_from(GateSettings())
    options = [_typed(name, value) for name, value in changes.items()]
    path, level = str(report.info.path), ["-t", f"{threshold:.3g}"]
    last = [*level, "--", path] if path.startswith("-") else [path, *level]
    return shlex.join(["ngate", "gate", *options, *last])


def analysis_table(report: "AnalysisReport", ascii_only: bool = False) -> "Group":
    """Return an analysis to be printed by rich."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    info, levels, suggestion = report.info, report.levels, report.levels.suggestion
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    dash = "-" if ascii_only else "–"
    channels = "mono" if info.channels == 1 else f"{info.channels} channels"
    facts.add_row(
        "recording",
        f"{format_duration(info.duration)}, {info.sample_rate} Hz, {channels}, "
        f"{_sample_type(info)}",
    )
    facts.add_row("peak, RMS", f"{format_db(levels.peak_db)}FS, {format_db(levels.rms_db)}FS")
    if math.isfinite(suggestion.noise_floor_db):
        facts.add_row("noise floor", f"{format_db(suggestion.noise_floor_db)}FS")
        facts.add_row(
            "active level",
            f"{format_db(suggestion.active_db)}FS, {suggestion.contrast_db:.1f} dB above the floor",
        )
        facts.add_row(
            "frame RMS",
            "  ".join(f"{p} %: {db:.1f}" for p, db in levels.percentiles_db.items()) + "  dBFS",
        )
    if levels.silent_share:
        facts.add_row(
            "digital silence", f"{100 * levels.silent_share:.1f} % of the frames, not counted"
        )
    parts: list[Any] = [
        Text(shown(info.path), style="bold"),
        Padding(facts, (0, 0, 0, 2), expand=False),
    ]
    if levels.histogram.sounding:
        drawn = _histogram_text(levels.histogram, suggestion.threshold, ascii_only)
        parts.append(Padding(drawn, (1, 2), expand=False))
    if suggestion.threshold is None:
        parts.append(Text(f"  no threshold {dash} {suggestion.reason}", style="yellow"))
    else:
        advice = Table.grid(padding=(0, 2))
        advice.add_column(style="dim")
        advice.add_column()
        advice.add_row("threshold", Text(format_level(suggestion.threshold), style="bold green"))
        advice.add_row("why", suggestion.reason)
        advice.add_row(
            "would close",
            f"{100 * levels.statistics.closed_share:.1f} % of the time, "
            f"{_times(levels.statistics.openings)}",
        )
        parts.append(Padding(advice, (0, 0, 0, 2), expand=False))
    return Group(*parts)


def batch_table(report: "BatchReport") -> "Table":
    """Return the summary of a batch to be printed by rich."""
    from rich.table import Table
    from rich.text import Text

    from noisegate_cli.gating.mask import GateStatistics

    done, skipped, failed = (report.of(s) for s in ("done", "skipped", "failed"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    speed = report.audio_seconds / max(report.seconds, 1e-9)
    table.add_row(
        "gated",
        f"{len(done)} of {report.total} recordings, {format_duration(report.audio_seconds)} "
        f"in {format_duration(report.seconds)} ({speed:.0f} × real time)",
    )
    if done:
        gated = sum((r.result.statistics for r in done if r.result), GateStatistics())
        table.add_row("closed", f"{100 * gated.closed_share:.1f} % of the time")
    if skipped:
        table.add_row("skipped", f"{len(skipped)} outputs exist already (--force does them again)")
    if failed:
        table.add_row("failed", Text(str(len(failed)), style="bold red"))
    table.add_row("output", Text(shown(report.output)))
    return table


def batch_errors(report: "BatchReport") -> list[str]:
    """Return why recordings failed, one a line, not too many."""
    errors = [str(r.error) for r in report.of("failed")]
    if len(errors) > LISTED_ERRORS:
        more = len(errors) - LISTED_ERRORS
        errors[LISTED_ERRORS:] = [f"{more} more recordings failed: --json lists them all"]
    return errors


def presets_text() -> str:
    """Return the presets and their values, one a line, for `--help`."""
    lines = []
    for name, p in PRESETS.items():
        closed = "mute" if p.range_db == MUTE else f"{p.range_db:g}dB"
        lines.append(
            f"{name}: hysteresis {p.hysteresis_db:g} dB, lookahead {p.lookahead_ms:g} ms, "
            f"attack {p.attack_ms:g} ms, hold {p.hold_ms:g} ms, release {p.release_ms:g} ms, "
            f"range {closed}"
        )
    lines[-1] += " (the plain mask of frames above the threshold)"
    return "\n".join(lines)


def _typed(name: str, value: Any) -> str:
    """Return a setting as one types it."""
    option = name.removesuffix("_db").removesuffix("_ms").replace("_", "-")
    if name == "range_db":
        return "--range=mute" if value == MUTE else f"--range={value:g}dB"
    return f"--{option}={value:g}" if isinstance(value, float) else f"--{option}={value}"


def _db(linear: float | None) -> float:
    """Return a level in dBFS; minus infinity where there is none."""
    return 20 * math.log10(linear) if linear else -math.inf


def _sample_type(info: Any) -> str:
    return f"{info.format} {info.subtype}"


def _times(openings: int) -> str:
    return "1 opening" if openings == 1 else f"{openings} openings"


def _rows(histogram: "LevelHistogram") -> list[tuple[float, float, int]]:
    """Return (from dB, to dB, frames), loudest first, in round steps that fill the rows."""
    import numpy as np

    from noisegate_cli.gating.levels import BIN_DB, FLOOR_DB

    low = max(histogram.percentile(0.5), histogram.percentile(100) - 90)
    high = histogram.percentile(100)
    step = next(s for s in (1, 2, 3, 6, 10) if (high - low) / s < HISTOGRAM_ROWS)
    edges = np.arange(math.floor(low / step) * step, high + step, step)
    bins = np.clip(np.rint((edges - FLOOR_DB) / BIN_DB).astype(int), 0, len(histogram.counts))
    bins[0] = 0  # what little lies below the lowest row is counted in it
    counts = [int(histogram.counts[a:b].sum()) for a, b in pairwise(bins)]
    return [(float(a), float(a + step), n) for a, n in zip(edges, counts, strict=False)][::-1]


def _histogram_data(histogram: "LevelHistogram") -> list[dict[str, Any]]:
    if not histogram.sounding:
        return []
    return [{"from_db": a, "to_db": b, "frames": n} for a, b, n in _rows(histogram)]


def _histogram_text(histogram: "LevelHistogram", threshold: float | None, ascii_only: bool) -> Any:
    from rich.text import Text

    rows = _rows(histogram)
    most = max(n for _, _, n in rows) or 1
    threshold_db = _db(threshold)
    block, arrow = ("#", "<--") if ascii_only else ("█", "◄──")
    text = Text()
    for start, end, frames in rows:
        bar = block * math.ceil(HISTOGRAM_WIDTH * frames / most)
        above = start >= threshold_db
        text.append(f"{start:4.0f} to {end:3.0f} dB ", style="dim")
        text.append(f"{bar:<{HISTOGRAM_WIDTH}}", style="green" if above else "bright_black")
        if start <= threshold_db < end:
            text.append(f" {arrow} threshold {threshold_db:.1f} dBFS", style="bold")
        text.append("\n")
    text.rstrip()
    return text
