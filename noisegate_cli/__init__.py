"""A noise gate for recordings: it silences pauses and leaves the signal unchanged.

    from noisegate_cli import gate, analyze, GateSettings

`gate`, `segments` and `analyze` take arrays, `gate_file` and `analyze_file` take paths of any
length, and `GateStream` takes samples as they arrive.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
"""Type checkers take this name as true. Importing typing would delay the handling of signals."""

if TYPE_CHECKING:
    from noisegate_cli.api.arrays import ArrayGateResult, ArrayLevelReport, analyze, gate, segments
    from noisegate_cli.api.excerpts import Excerpt
    from noisegate_cli.api.file_analysis import (
        AnalysisReport,
        analyze_file,
        measure_level_histogram,
    )
    from noisegate_cli.api.file_gate import gate_file
    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.api.gate_stream import GateStream
    from noisegate_cli.api.key_input import KeyTrack
    from noisegate_cli.api.labels import write_labels
    from noisegate_cli.api.other_tracks import OtherTrack
    from noisegate_cli.errors import (
        AudioError,
        LabelsError,
        NoisegateError,
        OutputError,
        SettingsError,
    )
    from noisegate_cli.files.audio_tracks import AudioTrack
    from noisegate_cli.files.formats import AudioInfo, Format
    from noisegate_cli.files.output_naming import OutputOptions
    from noisegate_cli.files.pipes import RawFormat
    from noisegate_cli.gating.alignment import Alignment
    from noisegate_cli.gating.analysis import LevelReport
    from noisegate_cli.gating.bleed.report import BleedLevel, BleedReport
    from noisegate_cli.gating.cutoffs import Cutoff, CutoffReport
    from noisegate_cli.gating.detection.threshold import ThresholdSuggestion, suggest_threshold
    from noisegate_cli.gating.detection.verdict import Verdict
    from noisegate_cli.gating.forced import ForcedStretches
    from noisegate_cli.gating.frames.histogram import LevelHistogram
    from noisegate_cli.gating.gain.mask import GateStatistics
    from noisegate_cli.gating.gate import GateReport
    from noisegate_cli.gating.noise_profile import NoiseProfile
    from noisegate_cli.gating.segments import Segments
    from noisegate_cli.gating.settings import PRESETS, GateSettings, SettingsChanges
    from noisegate_cli.gating.simulation import Trial
    from noisegate_cli.gating.timing import Timing

_PUBLIC_NAMES = {
    "errors": ("AudioError", "LabelsError", "NoisegateError", "OutputError", "SettingsError"),
    "api.arrays": ("ArrayGateResult", "ArrayLevelReport", "analyze", "gate", "segments"),
    "files.audio_tracks": ("AudioTrack",),
    "files.formats": ("AudioInfo", "Format"),
    "files.output_naming": ("OutputOptions",),
    "files.pipes": ("RawFormat",),
    "api.excerpts": ("Excerpt",),
    "api.gate_stream": ("GateStream",),
    "api.key_input": ("KeyTrack",),
    "api.labels": ("write_labels",),
    "api.other_tracks": ("OtherTrack",),
    "gating.alignment": ("Alignment",),
    "gating.analysis": ("LevelReport",),
    "gating.bleed.report": ("BleedLevel", "BleedReport"),
    "gating.cutoffs": ("Cutoff", "CutoffReport"),
    "gating.detection.threshold": ("ThresholdSuggestion", "suggest_threshold"),
    "gating.forced": ("ForcedStretches",),
    "gating.frames.histogram": ("LevelHistogram",),
    "gating.gain.mask": ("GateStatistics",),
    "gating.gate": ("GateReport",),
    "gating.noise_profile": ("NoiseProfile",),
    "gating.segments": ("Segments",),
    "gating.settings": ("PRESETS", "GateSettings", "SettingsChanges"),
    "gating.simulation": ("Trial",),
    "gating.detection.verdict": ("Verdict",),
    "gating.timing": ("Timing",),
    "api.file_analysis": ("AnalysisReport", "analyze_file", "measure_level_histogram"),
    "api.file_gate": ("gate_file",),
    "api.gate_result": ("GateResult",),
}

__all__ = [
    "PRESETS",
    "Alignment",
    "AnalysisReport",
    "ArrayGateResult",
    "ArrayLevelReport",
    "AudioError",
    "AudioInfo",
    "AudioTrack",
    "BleedLevel",
    "BleedReport",
    "Cutoff",
    "CutoffReport",
    "Excerpt",
    "ForcedStretches",
    "Format",
    "GateReport",
    "GateResult",
    "GateSettings",
    "GateStatistics",
    "GateStream",
    "KeyTrack",
    "LabelsError",
    "LevelHistogram",
    "LevelReport",
    "NoiseProfile",
    "NoisegateError",
    "OtherTrack",
    "OutputError",
    "OutputOptions",
    "RawFormat",
    "Segments",
    "SettingsChanges",
    "SettingsError",
    "ThresholdSuggestion",
    "Timing",
    "Trial",
    "Verdict",
    "analyze",
    "analyze_file",
    "gate",
    "gate_file",
    "measure_level_histogram",
    "segments",
    "suggest_threshold",
    "write_labels",
]


def __dir__() -> list[str]:
    """Return the public names, so that completion shows them before they are imported."""
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: `ngate --help` needs none of them."""
    from importlib import import_module

    for module, names in _PUBLIC_NAMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
