"""Advice for the user: notes about an analysis, and the suggested command."""

import math
from typing import TYPE_CHECKING, Any

from noisegate_cli.api.result_data import is_range_softened
from noisegate_cli.gating.parsing import MUTE
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.timing import MAX_TIME_MS
from noisegate_cli.terminal.options import GATE_OPTIONS
from noisegate_cli.text import format_time, quote_for_shell

if TYPE_CHECKING:
    from noisegate_cli.api.file_analysis import AnalysisReport
    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.gating.cutoffs import CutoffReport


MIN_AGREEMENT = 0.99
"""Minimum agreement with the automatic gate for a fixed threshold to be a good replacement."""

MAX_DRIFT_DB = 6.0
"""If the noise level varies more than this, no fixed threshold suits the whole recording."""

MIN_CLOSED_SHARE = 0.01
"""If the gate is closed for a smaller share of the time, it has hardly any effect."""

SUGGESTED_TIME_STEP_MS = 50.0
"""Times that are suggested against cut-offs are multiples of this."""

MIN_THRESHOLD_STEP_DB = 6.0
"""Least reduction of a threshold that is suggested against cut-offs."""


def format_noise_value(noise: Any) -> str:
    """Return the noise setting as typed on the command line: a time span or a file name."""
    return "-".join(map(format_time, noise)) if isinstance(noise, tuple) else str(noise)


def collect_advice(report: "AnalysisReport") -> list[str]:
    """Return notes that the user should read before gating, one sentence each."""
    levels, suggestion = report.levels, report.levels.suggestion
    notes = []
    if suggestion.agreement is not None and suggestion.agreement < MIN_AGREEMENT:
        notes.append(
            "No fixed threshold matches the automatic gate. The best one agrees with it for "
            f"{100 * suggestion.agreement:.0f} % of the time: omit -t"
            + ("." if report.settings.key_hz else ", or try --key 250-4000.")
        )
    if is_range_softened(levels.range_db, report.settings):
        notes.append(
            f"Signal and noise are only {suggestion.contrast_db:.0f} dB apart: the automatic gate "
            f"attenuates the pauses by {-levels.range_db:g} dB. --range mute silences them."
        )
    if levels.drift_db > MAX_DRIFT_DB:
        notes.append(
            f"The noise level varies by {levels.drift_db:.0f} dB. Without -t the gate "
            "follows it; a "
            "fixed threshold cannot."
        )
    if levels.peak_db >= 0:
        notes.append("Peaks reach full scale: the recording may be clipped.")
    if suggestion.threshold is not None and levels.closed_share < MIN_CLOSED_SHARE:
        notes.append("There are hardly any pauses to silence.")
    return notes


def suggest_gate_command(report: "AnalysisReport") -> str:
    """Return the `ngate gate` command that an analysis suggests, or an empty string.

    It has a threshold only where that does the same as the automatic gate, or where the automatic
    gate stays open and a threshold was given.
    """
    threshold = _choose_threshold(report)
    if threshold is None and report.levels.suggestion.threshold is None:
        return ""
    spectral = report.settings.spectral
    preset = "hard" if spectral == "mask" else "voice"
    base = GateSettings.preset(preset, spectral=spectral)
    changes = report.settings.changes_from(base)
    changes.pop("threshold", None)
    if threshold is None:
        changes.pop("adaptive", None)
    if report.settings.closed_range_db == base.closed_range_db:
        changes.pop("range_db", None)
    options = ["--preset=hard"] if preset == "hard" else []
    options += ["--spectral"] if spectral != "off" else []
    options += [format_option(name, value) for name, value in changes.items()]
    path, level = str(report.info.path), [] if threshold is None else ["-t", f"{threshold:.3g}"]
    end = [*level, "--", path] if path.startswith("-") else [path, *level]
    return quote_for_shell(["ngate", "gate", *options, *end])


def _choose_threshold(report: "AnalysisReport") -> float | None:
    """Return the threshold of the suggested command; None for the automatic gate."""
    suggestion, given = report.levels.suggestion, report.settings.threshold
    if suggestion.threshold is None:
        return None if isinstance(given, str) else given
    if suggestion.agreement is None or report.settings.expands:
        return suggestion.threshold
    is_fixed = suggestion.agreement >= MIN_AGREEMENT and report.levels.drift_db <= MAX_DRIFT_DB
    return suggestion.threshold if is_fixed else None


def suggest_cutoff_remedies(result: "GateResult") -> list[str]:
    """Return options, each of which avoids cut-offs or makes them milder, from the settings."""
    from noisegate_cli.gating.cutoffs import MIN_AUDITED_RANGE_DB, MIN_CUTOFF_DB

    settings, cutoffs = result.settings, result.cutoffs
    options = []
    if result.threshold:
        excess_db = max((cutoff.above_db for cutoff in cutoffs.worst), default=0.0) - MIN_CUTOFF_DB
        step_db = math.ceil(max(MIN_THRESHOLD_STEP_DB, excess_db) + settings.hysteresis_db) + 1
        options.append(f"-t {result.threshold * 10 ** (-step_db / 20):.3g}")
    if cutoffs.decays and settings.hold_ms < MAX_TIME_MS:
        options.append(f"--hold {_lengthen(settings.hold_ms, cutoffs, 'decay'):g}")
    if cutoffs.attacks and settings.lookahead_ms < MAX_TIME_MS:
        options.append(f"--lookahead {_lengthen(settings.lookahead_ms, cutoffs, 'attack'):g}")
    reduces_bins_only = settings.pause_reduction_db and not result.range_db
    option = "--reduction" if reduces_bins_only else "--range"
    gentle_db = -MIN_AUDITED_RANGE_DB if reduces_bins_only else MIN_AUDITED_RANGE_DB
    return [*options, f"{option} {gentle_db:g}dB"]


def _lengthen(ms: float, cutoffs: "CutoffReport", kind: str) -> float:
    """Return a hold or a lookahead in ms that covers the sounds that were cut."""
    lasts_ms = max(
        (1000 * cutoff.lasts for cutoff in cutoffs.worst if cutoff.kind == kind), default=0.0
    )
    steps = math.ceil((ms + lasts_ms) / SUGGESTED_TIME_STEP_MS) + 1
    return min(MAX_TIME_MS, steps * SUGGESTED_TIME_STEP_MS)


def format_option(name: str, value: Any) -> str:
    """Return a setting as a command-line option."""
    option = GATE_OPTIONS[name].flags[0]
    if value is True:
        return option
    if name == "noise":
        value = format_noise_value(value)
    elif isinstance(value, tuple):
        value = "-".join(f"{hz:g}" for hz in value)
    elif value in (MUTE, -MUTE):
        value = "mute"
    elif name in ("range_db", "target_floor_db"):
        value = f"{value:g}dB"
    return f"{option}={value:g}" if isinstance(value, float) else f"{option}={value}"
