"""Advice for the user: notes about an analysis, and the suggested command."""

from typing import TYPE_CHECKING, Any

from noisegate_cli.gating.parsing import MUTE
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.terminal.options import GATE_OPTIONS
from noisegate_cli.text import format_time, quote_for_shell

if TYPE_CHECKING:
    from noisegate_cli.api.recordings import AnalysisReport


MIN_AGREEMENT = 0.9
"""Minimum agreement with the automatic gate for a fixed threshold to be a good replacement."""

MAX_DRIFT_DB = 6.0
"""If the noise level varies more than this, no fixed threshold suits the whole recording."""

MIN_CLOSED_SHARE = 0.01
"""If the gate is closed for a smaller share of the time, it has hardly any effect."""


def format_noise_value(noise: Any) -> str:
    """Return the noise setting as typed on the command line: a time span or a file name."""
    return "-".join(map(format_time, noise)) if isinstance(noise, tuple) else str(noise)


def collect_advice(report: "AnalysisReport") -> list[str]:
    """Return notes that the user should read before gating, one sentence each."""
    levels, suggestion = report.levels, report.levels.suggestion
    notes = []
    if suggestion.agreement is not None and suggestion.agreement < MIN_AGREEMENT:
        notes.append(
            f"No level does what the automatic gate does, the best one agrees with it on "
            f"{100 * suggestion.agreement:.0f} %: leave out -t"
            + ("." if report.settings.key_hz else ", or try --key 250-4000.")
        )
    if levels.drift_db > MAX_DRIFT_DB:
        notes.append(
            f"The noise moves by {levels.drift_db:.0f} dB within the recording: without -t the "
            "gate follows it, one level can't."
        )
    if levels.peak_db >= 0:
        notes.append("Peaks reach full scale: the recording may be clipped.")
    if levels.trials and levels.closed_share < MIN_CLOSED_SHARE:
        notes.append("There is next to no pause to silence.")
    return notes


def suggest_gate_command(report: "AnalysisReport") -> str:
    """Return the `ngate gate` command that an analysis suggests, or an empty string."""
    suggestion = report.levels.suggestion
    if suggestion.threshold is None:
        return ""
    spectral = report.settings.spectral
    preset = "hard" if spectral == "mask" else "voice"
    base = GateSettings.preset(preset, spectral=spectral)
    changes = report.settings.changes_from(base)
    if report.settings.closed_range_db == base.closed_range_db:
        changes.pop("range_db", None)
    options = ["--preset=hard"] if preset == "hard" else []
    options += ["--spectral"] if spectral != "off" else []
    options += [format_option(name, value) for name, value in changes.items()]
    path, threshold = str(report.info.path), ["-t", f"{suggestion.threshold:.3g}"]
    if suggestion.agreement is not None and suggestion.agreement < MIN_AGREEMENT:
        threshold = []
    end = [*threshold, "--", path] if path.startswith("-") else [path, *threshold]
    return quote_for_shell(["ngate", "gate", *options, *end])


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
