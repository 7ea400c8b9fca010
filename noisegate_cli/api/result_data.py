"""Figures of a result as JSON-compatible data, the same for one recording and for a batch."""

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from noisegate_cli.gating.parsing import MUTE
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.json_values import to_json_value

if TYPE_CHECKING:
    from noisegate_cli.api.analysis_report import AnalysisReport
    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.gating.cutoff_report import CutoffReport
    from noisegate_cli.gating.gate_report import GateReport

MUTE_TEXT = "mute"
"""A gain of −∞ dB. JSON has no infinite numbers, and null means that a value is not given."""

CUTOFF_DIGITS = 3
"""Decimal places of the times and levels of cut-offs."""


def encode_gain(gain_db: float | None) -> float | str | None:
    """Return a gain or an attenuation in dB for JSON: "mute" if it is infinite.

    Examples
    --------
    >>> encode_gain(-24.0), encode_gain(-math.inf), encode_gain(None)
    (-24.0, 'mute', None)
    """
    return MUTE_TEXT if gain_db in (MUTE, -MUTE) else gain_db


def encode_settings_values(settings: GateSettings) -> dict[str, Any]:
    """Return settings as JSON-compatible data, with the default of the range filled in.

    The range is None if the gate chooses it from the recording.

    Examples
    --------
    >>> encode_settings_values(GateSettings(threshold=0.03))["range_db"]
    'mute'
    """
    settings = settings if settings.softens_range else settings.resolved
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    values["ratio"] = settings.ratio if settings.expands else None
    return {name: to_json_value(_encode_setting(value)) for name, value in values.items()}


def _encode_setting(value: Any) -> Any:
    return encode_gain(value) if isinstance(value, float) else value


def is_range_softened(range_db: float, settings: GateSettings) -> bool:
    """Return whether the automatic gate attenuates less than its default because of the noise."""
    return settings.softens_range and range_db != settings.closed_range_db


def level_db(linear: float) -> float:
    """Return a linear level in dBFS; minus infinity for 0."""
    return 20 * math.log10(linear) if linear > 0 else -math.inf


def encode_cutoffs(cutoffs: "CutoffReport", offset_s: float) -> dict[str, Any]:
    """Return the cut-offs of a gate as data; `offset_s` is the time of the first sample."""
    return {
        "count": cutoffs.count,
        "decays": cutoffs.decays,
        "attacks": cutoffs.attacks,
        "worst": [
            {
                "time": round(cutoff.time + offset_s, CUTOFF_DIGITS),
                "kind": cutoff.kind,
                "above_db": round(cutoff.above_db, CUTOFF_DIGITS),
                "lasts": round(cutoff.lasts, CUTOFF_DIGITS),
            }
            for cutoff in cutoffs.worst
        ],
    }


def encode_segments(report: "GateReport", offset_s: float) -> list[dict[str, float]]:
    """Return the open segments in seconds, with their channel if each channel has its own gate.

    `offset_s` is the time of the first sample.
    """
    edges = report.segments.edges
    return [
        {"start": start + offset_s, "end": end + offset_s}
        | ({"channel": channel} if len(edges) > 1 else {})
        for channel, spans in enumerate(edges, 1)
        for start, end in spans
    ]


def encode_bleed(result: "GateResult | AnalysisReport") -> dict[str, Any] | None:
    """Return the bleed of other tracks or channels as data; None without any."""
    bleed = result.bleed
    if bleed is None and not result.others:
        return None
    return {
        "closed_share": bleed.closed_share if bleed else 0.0,
        "tracks": [
            {
                "file": track.path,
                "used": track.alignment is not None,
                "start_s": track.alignment.start_s if track.alignment else None,
                "drift_ppm": track.alignment.drift_ppm if track.alignment else None,
                "level_db": track.level_db,
            }
            for track in result.others
        ],
        "channels": [
            {"channel": level.gate + 1, "from_channel": level.reference + 1, "db": level.level_db}
            for level in (bleed.levels if bleed and not result.others else ())
        ],
    }


def summarize_result(result: "GateResult") -> dict[str, Any]:
    """Return the figures of a result, for the manifest of a batch and for JSON output.

    Levels of −∞ are None.
    """
    suggestion, statistics = result.suggestion, result.statistics
    minutes = result.source.duration / 60
    summary = {
        "duration_s": result.source.duration,
        "sample_rate": result.source.sample_rate,
        "channels": result.source.channels,
        "subtype": result.output.subtype,
        "track": result.source.track,
        "keeps_tracks": result.output.keeps_tracks,
        "copied": result.is_copied,
        "threshold": result.threshold,
        "threshold_db": None if result.threshold is None else level_db(result.threshold),
        "range_db": encode_gain(result.range_db),
        "range_softened": is_range_softened(result.range_db, result.settings),
        "method": suggestion.method if suggestion else None,
        "verdict": suggestion.verdict.value if suggestion else None,
        "distance_db": suggestion.distance_db if suggestion else None,
        "noise_floor_db": suggestion.noise_floor_db if suggestion else None,
        "active_db": suggestion.active_db if suggestion else None,
        "contrast_db": suggestion.contrast_db if suggestion else None,
        "confidence": suggestion.confidence if suggestion else None,
        "peak_db": result.peak_db,
        "closed_share": statistics.closed_share,
        "openings": statistics.openings,
        "openings_per_minute": statistics.openings / minutes if minutes else 0.0,
        "cutoffs": encode_cutoffs(result.cutoffs, result.offset_s),
        "bleed_closed_share": result.bleed.closed_share if result.bleed else None,
        "bleed": encode_bleed(result),
        "warnings": result.warnings,
        "seconds": round(result.seconds, 6),
    }
    return dict(to_json_value(summary))
