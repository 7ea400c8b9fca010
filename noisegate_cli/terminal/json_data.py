"""Convert results to JSON."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate_cli.terminal.advice import collect_advice, suggest_gate_command
from noisegate_cli.terminal.flags import to_flags
from noisegate_cli.terminal.reasons import format_reason, format_recorded_reason
from noisegate_cli.terminal.summary import level_db

if TYPE_CHECKING:
    from noisegate_cli.batch.manifest import ManifestEntry
    from noisegate_cli.gating.frames.histogram import LevelHistogram
    from noisegate_cli.gating.noise_profile import NoiseProfile
    from noisegate_cli.recordings import AnalysisReport, GateResult


def to_json(value: Any) -> str:
    """Return `value` as one line of JSON, with null for NaN and infinite numbers."""
    import json

    return json.dumps(_to_plain_data(value), ensure_ascii=True, allow_nan=False)


def _to_plain_data(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {str(k): _to_plain_data(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain_data(v) for v in value]
    return value


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
        "sweep": [dataclasses.asdict(trial) for trial in levels.trials],
        "warnings": list(map(to_flags, report.warnings)),
        "advice": collect_advice(report),
        "noises": _build_noises_data(levels.noises),
        "settings": dataclasses.asdict(report.settings),
        "command": suggest_gate_command(report) or None,
    }


def build_gate_data(result: "GateResult") -> dict[str, Any]:
    """Return the result of a gate as JSON-compatible data."""
    return {
        "file": result.source.path,
        "output": result.output.path,
        "residue": result.residue,
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
        "confidence": result.suggestion.confidence if result.suggestion else None,
        "closed_share": result.statistics.closed_share,
        "openings": result.statistics.openings,
        "chops": dataclasses.asdict(result.chops),
        "noises": _build_noises_data(result.noises),
        "settings": dataclasses.asdict(result.settings) | {"range_db": result.range_db},
        "delay_ms": result.delay_ms,
        "warnings": list(map(to_flags, result.warnings)),
        "seconds": result.seconds,
    }


def build_recording_data(file: Path, output: Path, entry: "ManifestEntry") -> dict[str, Any]:
    """Return the result of one recording of a batch as JSON-compatible data."""
    settled: dict[str, Any] = {
        "status": entry["status"],
        "file": file,
        "output": output / entry["output"],
    }
    settled |= {"error": entry.get("error")}
    if entry["status"] in ("skipped", "to do"):
        settled |= {"why": entry["why"]}
    elif "why" in entry:
        settled |= {"error": entry["why"]}
    settled |= entry["result"]
    if "verdict" in settled:
        settled["reason"] = format_recorded_reason(settled)
    if settled["error"] is not None:
        settled["error"] = to_flags(settled["error"])
    if "warnings" in settled:
        settled["warnings"] = list(map(to_flags, settled["warnings"]))
    return settled | {"settings": entry.get("settings")}


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
