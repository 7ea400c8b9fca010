"""Convert results to JSON; `docs/ngate.schema.json` describes the data."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate_cli import __version__
from noisegate_cli.api.failures import describe_failure, find_error_code
from noisegate_cli.api.result_data import (
    encode_bleed,
    encode_cutoffs,
    encode_gain,
    encode_segments,
    encode_settings_values,
    is_range_softened,
    level_db,
    summarize_result,
)
from noisegate_cli.json_values import to_json_value
from noisegate_cli.terminal.console import print_data, print_error
from noisegate_cli.terminal.display.advice import collect_advice, suggest_gate_command
from noisegate_cli.terminal.display.reasons import format_reason, format_recorded_reason
from noisegate_cli.terminal.flags import to_flags
from noisegate_cli.terminal.interrupts import raise_if_interrupted

if TYPE_CHECKING:
    from noisegate_cli.api.analysis_report import AnalysisReport
    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.api.key_input import KeyTrack
    from noisegate_cli.batch.records import RecordingResult
    from noisegate_cli.gating.forced import ForcedSegments
    from noisegate_cli.gating.frames.histogram import LevelHistogram
    from noisegate_cli.gating.noise_profile import NoiseProfile
    from noisegate_cli.terminal.display.advice import GivenOptions

SCHEMA_VERSION = 1
"""Version of the schema: it increases when a field changes its meaning or disappears."""

SIGNIFICANT_DIGITS = 9
"""Digits of floats in the output, which carry no more information than the samples."""


def to_json(value: Any) -> str:
    """Return `value` as one line of JSON, with null for NaN and infinite numbers."""
    import json

    return json.dumps(to_json_value(value, SIGNIFICANT_DIGITS), allow_nan=False)


def build_analysis_data(
    report: "AnalysisReport", given: "GivenOptions | None" = None
) -> dict[str, Any]:
    """Return an analysis as JSON-compatible data; `given` are the options of the command."""
    info, levels, suggestion = report.info, report.levels, report.levels.suggestion
    threshold = suggestion.threshold
    return _build_head("analyze", "done", info.path) | {
        "duration_s": info.duration,
        "sample_rate": info.sample_rate,
        "channels": info.channels,
        "samples": levels.samples,
        "format": info.format,
        "subtype": info.subtype,
        "track": info.track,
        "peak_db": levels.peak_db,
        "rms_db": levels.rms_db,
        "frames": levels.frames,
        "percentiles_db": levels.percentiles_db,
        "noise_floor_db": suggestion.noise_floor_db,
        "active_db": suggestion.active_db,
        "contrast_db": suggestion.contrast_db,
        "distance_db": suggestion.distance_db,
        "digital_silence_share": levels.silent_share,
        "histogram": _build_histogram_data(levels.histogram),
        "threshold": threshold,
        "threshold_db": None if threshold is None else level_db(threshold),
        "method": suggestion.method,
        "agreement": suggestion.agreement,
        "confidence": suggestion.confidence,
        "verdict": suggestion.verdict,
        "reason": format_reason(suggestion),
        "estimates_db": dict(suggestion.estimates_db),
        "drift_db": levels.drift_db,
        "dc_offset_db": levels.dc_offset_db,
        "closed_share": levels.closed_share,
        "openings_per_minute": levels.openings_per_minute,
        "range_db": encode_gain(levels.range_db),
        "range_softened": is_range_softened(levels.range_db, report.settings),
        "sweep": levels.trials,
        "given": levels.given_trial,
        "segments": encode_segments(report.gate, info.offset_s) if report.gate else None,
        "cutoffs": encode_cutoffs(report.gate.cutoffs, info.offset_s) if report.gate else None,
        "noises": _build_noises_data(levels.noises),
        "bleed": encode_bleed(report),
        "settings": encode_settings_values(report.settings),
        "warnings": list(map(to_flags, report.warnings)),
        "advice": collect_advice(report),
        "suggested_command": suggest_gate_command(report, given) or None,
    }


def build_gate_data(result: "GateResult") -> dict[str, Any]:
    """Return the result of a gate as JSON-compatible data."""
    return (
        _build_head("gate", "done", result.source.path)
        | {
            "output": result.output.path,
            "residue": result.residue,
            "labels": result.labels,
            "comparison": result.comparison,
            "excerpt_s": result.excerpt,
        }
        | _complete_summary(summarize_result(result))
        | {
            "segments": encode_segments(result, result.offset_s),
            "key": _build_key_data(result.key),
            "forced": _encode_forced(result),
            "noises": _build_noises_data(result.noises),
            "delay_ms": result.delay_ms,
            "settings": encode_settings_values(result.settings),
        }
    )


def build_recording_data(file: Path, output: Path, result: "RecordingResult") -> dict[str, Any]:
    """Return the result of one recording of a batch as JSON-compatible data."""
    from noisegate_cli.batch.encoded_settings import decode_settings

    error = to_flags(result.reason or "") if result.status == "failed" else None
    return (
        _build_head("batch", result.status, file, error, result.error_code)
        | {
            "output": output / result.output,
            "status_reason": None if error else result.reason,
            "settings": decode_settings(result.settings_json)[0] if result.settings_json else None,
        }
        | (_complete_summary(result.result) if result.result else {})
    )


def build_failure_data(command: str, file: str | Path | None, error: object) -> dict[str, Any]:
    """Return the failure of a command as JSON-compatible data."""
    code = find_error_code(error) if isinstance(error, Exception) else None
    message = str(error)
    if isinstance(error, Exception) and file is not None:
        message = describe_failure(file, error)
    return _build_head(command, "failed", file, to_flags(message), code)


def report_recording_failure(
    command: str, file: str | Path, error: Exception, as_json: bool
) -> None:
    """Print the failure of one of several recordings.

    Raises
    ------
    KeyboardInterrupt
        If a signal was received, so that the error is not the recording's.
    """
    raise_if_interrupted()
    if as_json:
        print_data(to_json(build_failure_data(command, file, error)))
    print_error(describe_failure(file, error))


def print_failure_data(command: str, file: str | Path | None, error: object) -> None:
    """Print the failure of a command as JSON.

    If stdout cannot be written, the error is still reported on stderr.
    """
    with suppress(OSError):
        print_data(to_json(build_failure_data(command, file, error)))


def _build_head(
    command: str,
    status: str,
    file: str | Path | None,
    error: str | None = None,
    error_code: str | None = None,
) -> dict[str, Any]:
    """Return the fields that all objects have."""
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "command": command,
        "status": status,
        "file": file,
        "error": error,
        "error_code": error_code,
    }


def _complete_summary(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a result with sentences for a reader."""
    return summary | {
        "reason": format_recorded_reason(summary),
        "warnings": list(map(to_flags, summary["warnings"])),
    }


def _encode_forced(result: "GateResult") -> "ForcedSegments | None":
    """Return the forced segments, whose times count from the start of the file again."""
    if not result.forced:
        return None
    return result.forced.advance(-result.source.offset_s, with_segments=True)


def _build_key_data(key: "KeyTrack | None") -> dict[str, Any] | None:
    """Return a key as JSON-compatible data."""
    if key is None:
        return None
    alignment = key.alignment
    return {
        "file": key.path,
        "start_s": alignment.start_s if alignment else None,
        "drift_ppm": alignment.drift_ppm if alignment else None,
    }


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
