"""Convert results to JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate_cli.json_values import to_json_value
from noisegate_cli.terminal.advice import collect_advice, is_softened, suggest_gate_command
from noisegate_cli.terminal.flags import to_flags
from noisegate_cli.terminal.reasons import format_reason, format_recorded_reason
from noisegate_cli.terminal.summary import level_db

if TYPE_CHECKING:
    from noisegate_cli.api.recordings import AnalysisReport, GateResult
    from noisegate_cli.batch.records import RecordingResult
    from noisegate_cli.gating.frames.histogram import LevelHistogram
    from noisegate_cli.gating.gate import GateReport
    from noisegate_cli.gating.noise_profile import NoiseProfile

SIGNIFICANT_DIGITS = 9
"""Digits of floats in the output, which carry no more information than the samples."""


def to_json(value: Any) -> str:
    """Return `value` as one line of JSON, with null for NaN and infinite numbers."""
    import json

    return json.dumps(to_json_value(value, SIGNIFICANT_DIGITS), allow_nan=False)


def build_analysis_data(report: "AnalysisReport") -> dict[str, Any]:
    """Return an analysis as JSON-compatible data."""
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
        "histogram": _build_histogram_data(levels.histogram),
        "threshold": threshold,
        "threshold_db": level_db(threshold),
        "agreement": suggestion.agreement,
        "confidence": suggestion.confidence,
        "verdict": suggestion.verdict,
        "reason": format_reason(suggestion),
        "estimates_db": dict(suggestion.estimates_db),
        "drift_db": levels.drift_db,
        "closed_share": levels.closed_share,
        "openings_per_minute": levels.openings_per_minute,
        "range_db": levels.range_db,
        "range_softened": is_softened(levels.range_db, report.settings),
        "sweep": levels.trials,
        "given": levels.given_trial,
        "warnings": list(map(to_flags, report.warnings)),
        "advice": collect_advice(report),
        "noises": _build_noises_data(levels.noises),
        "settings": report.settings,
        "command": suggest_gate_command(report) or None,
    } | ({"segments": build_segments_data(report.gate)} if report.gate else {})


def build_gate_data(result: "GateResult") -> dict[str, Any]:
    """Return the result of a gate as JSON-compatible data."""
    return {
        "file": result.source.path,
        "output": result.output.path,
        "residue": result.residue,
        "labels": result.labels,
        "comparison": result.comparison,
        "excerpt_s": result.excerpt,
        "duration_s": result.source.duration,
        "sample_rate": result.source.sample_rate,
        "channels": result.source.channels,
        "subtype": result.output.subtype,
        "threshold": result.threshold,
        "threshold_db": level_db(result.threshold),
        "method": result.suggestion.method if result.suggestion else None,
        "verdict": result.suggestion.verdict if result.suggestion else None,
        "reason": format_reason(result.suggestion) if result.suggestion else None,
        "noise_floor_db": result.suggestion.noise_floor_db if result.suggestion else None,
        "active_db": result.suggestion.active_db if result.suggestion else None,
        "contrast_db": result.suggestion.contrast_db if result.suggestion else None,
        "range_softened": is_softened(result.range_db, result.settings),
        "confidence": result.suggestion.confidence if result.suggestion else None,
        "closed_share": result.statistics.closed_share,
        "openings": result.statistics.openings,
        "chops": result.chops,
        "segments": build_segments_data(result),
        "forced": result.forced if result.forced else None,
        "noises": _build_noises_data(result.noises),
        "settings": to_json_value(result.settings) | {"range_db": result.range_db},
        "delay_ms": result.delay_ms,
        "warnings": list(map(to_flags, result.warnings)),
        "seconds": result.seconds,
    }


def build_segments_data(report: "GateReport") -> list[dict[str, float]]:
    """Return the open stretches in seconds, with their channel if each has a gate of its own."""
    edges = report.segments.edges
    return [
        {"start": start, "end": end} | ({"channel": channel} if len(edges) > 1 else {})
        for channel, spans in enumerate(edges, 1)
        for start, end in spans
    ]


def build_recording_data(file: Path, output: Path, result: "RecordingResult") -> dict[str, Any]:
    """Return the result of one recording of a batch as JSON-compatible data."""
    from noisegate_cli.batch.records import decode_settings

    is_failed = result.status == "failed"
    data: dict[str, Any] = {
        "status": result.status,
        "file": file,
        "output": output / result.output,
        "error": to_flags(result.reason or "") if is_failed else None,
    }
    if result.status in ("skipped", "to do"):
        data["why"] = result.reason
    data |= result.result
    if "verdict" in data:
        data["reason"] = format_recorded_reason(data)
    if "warnings" in data:
        data["warnings"] = list(map(to_flags, data["warnings"]))
    settings = decode_settings(result.settings_json)[0] if result.settings_json else None
    return data | {"settings": settings}


def _build_noises_data(noises: "Sequence[NoiseProfile | None]") -> list[dict[str, Any] | None]:
    return [
        {
            "source": noise.source,
            "level_db": noise.level_db(),
            "bands": [
                {"from_hz": low, "to_hz": high, "db": db}
                for low, high, db in noise.compute_band_levels(3)
            ],
        }
        if noise
        else None
        for noise in noises
    ]


def _build_histogram_data(histogram: "LevelHistogram") -> list[dict[str, Any]]:
    if not histogram.nonsilent_frames:
        return []
    return [{"from_db": a, "to_db": b, "frames": n} for a, b, n in histogram.rebin()]
