"""A noise gate for recordings: silences what is not signal, leaves alone what is.

    from noisegate_cli import gate, analyze, GateSettings

`gate` and `analyze` take arrays, `gate_file` and `analyze_file` take paths of any length.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
"""Type checkers take this name as true. Importing typing would delay the handling of signals."""

if TYPE_CHECKING:
    from noisegate_cli.arrays import analyze, gate
    from noisegate_cli.errors import AudioError, NoisegateError, OutputError, SettingsError
    from noisegate_cli.files.output_naming import OutputOptions
    from noisegate_cli.gating.detection.threshold import ThresholdSuggestion, suggest_threshold
    from noisegate_cli.gating.settings import PRESETS, GateSettings
    from noisegate_cli.recordings import AnalysisReport, GateResult, analyze_file, gate_file

_HOMES = {
    "arrays": ("analyze", "gate"),
    "errors": ("AudioError", "NoisegateError", "OutputError", "SettingsError"),
    "files.output_naming": ("OutputOptions",),
    "gating.detection.threshold": ("ThresholdSuggestion", "suggest_threshold"),
    "gating.settings": ("PRESETS", "GateSettings"),
    "recordings": ("AnalysisReport", "GateResult", "analyze_file", "gate_file"),
}

__all__ = [
    "PRESETS",
    "AnalysisReport",
    "AudioError",
    "GateResult",
    "GateSettings",
    "NoisegateError",
    "OutputError",
    "OutputOptions",
    "SettingsError",
    "ThresholdSuggestion",
    "analyze",
    "analyze_file",
    "gate",
    "gate_file",
    "suggest_threshold",
]


def __dir__() -> list[str]:
    """Return the public names, so that completion shows them before they are imported."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: `ngate --help` needs none of them."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
