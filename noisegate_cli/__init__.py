"""A noise gate for recordings: it silences the pauses and leaves the signal unchanged.

    from noisegate_cli import gate, analyze, GateSettings

`gate`, `segments` and `analyze` take arrays, `gate_file` and `analyze_file` take paths of
recordings of any length, and `GateStream` takes samples as they arrive.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
"""Type checkers treat this name as true. Importing typing would delay the handling of signals."""

if TYPE_CHECKING:
    # An alias makes a name public for type checkers, which cannot read the list below.
    from noisegate_cli.api.analysis_report import AnalysisReport as AnalysisReport
    from noisegate_cli.api.array_results import ArrayGateResult as ArrayGateResult
    from noisegate_cli.api.array_results import ArrayLevelReport as ArrayLevelReport
    from noisegate_cli.api.arrays import analyze as analyze
    from noisegate_cli.api.arrays import gate as gate
    from noisegate_cli.api.arrays import segments as segments
    from noisegate_cli.api.excerpts import Excerpt as Excerpt
    from noisegate_cli.api.file_analysis import analyze_file as analyze_file
    from noisegate_cli.api.file_analysis import measure_level_histogram as measure_level_histogram
    from noisegate_cli.api.file_gate import gate_file as gate_file
    from noisegate_cli.api.gate_result import GateResult as GateResult
    from noisegate_cli.api.gate_stream import GateStream as GateStream
    from noisegate_cli.api.key_input import KeyTrack as KeyTrack
    from noisegate_cli.api.labels import write_labels as write_labels
    from noisegate_cli.api.other_tracks import OtherTrack as OtherTrack
    from noisegate_cli.errors import AudioError as AudioError
    from noisegate_cli.errors import LabelsError as LabelsError
    from noisegate_cli.errors import NoisegateError as NoisegateError
    from noisegate_cli.errors import OutputError as OutputError
    from noisegate_cli.errors import SettingsError as SettingsError
    from noisegate_cli.files.audio_info import AudioInfo as AudioInfo
    from noisegate_cli.files.audio_tracks import AudioTrack as AudioTrack
    from noisegate_cli.files.formats import Format as Format
    from noisegate_cli.files.outputs.naming import OutputOptions as OutputOptions
    from noisegate_cli.files.raw_format import RawFormat as RawFormat
    from noisegate_cli.gating.alignment import Alignment as Alignment
    from noisegate_cli.gating.bleed.report import BleedLevel as BleedLevel
    from noisegate_cli.gating.bleed.report import BleedReport as BleedReport
    from noisegate_cli.gating.cutoff_report import Cutoff as Cutoff
    from noisegate_cli.gating.cutoff_report import CutoffReport as CutoffReport
    from noisegate_cli.gating.detection.threshold import ThresholdSuggestion as ThresholdSuggestion
    from noisegate_cli.gating.detection.threshold import suggest_threshold as suggest_threshold
    from noisegate_cli.gating.detection.verdict import Verdict as Verdict
    from noisegate_cli.gating.forced import ForcedSegments as ForcedSegments
    from noisegate_cli.gating.frames.histogram import LevelHistogram as LevelHistogram
    from noisegate_cli.gating.gain.mask import GateStatistics as GateStatistics
    from noisegate_cli.gating.gate_report import GateReport as GateReport
    from noisegate_cli.gating.level_report import LevelReport as LevelReport
    from noisegate_cli.gating.noise_profile import NoiseProfile as NoiseProfile
    from noisegate_cli.gating.segments import Segments as Segments
    from noisegate_cli.gating.setting_values import SettingsChanges as SettingsChanges
    from noisegate_cli.gating.settings import PRESETS as PRESETS
    from noisegate_cli.gating.settings import GateSettings as GateSettings
    from noisegate_cli.gating.timing import Timing as Timing
    from noisegate_cli.gating.trials import Trial as Trial

_PUBLIC_NAMES = {
    "api.analysis_report": ("AnalysisReport",),
    "api.array_results": ("ArrayGateResult", "ArrayLevelReport"),
    "api.arrays": ("analyze", "gate", "segments"),
    "api.excerpts": ("Excerpt",),
    "api.file_analysis": ("analyze_file", "measure_level_histogram"),
    "api.file_gate": ("gate_file",),
    "api.gate_result": ("GateResult",),
    "api.gate_stream": ("GateStream",),
    "api.key_input": ("KeyTrack",),
    "api.labels": ("write_labels",),
    "api.other_tracks": ("OtherTrack",),
    "errors": ("AudioError", "LabelsError", "NoisegateError", "OutputError", "SettingsError"),
    "files.audio_tracks": ("AudioTrack",),
    "files.audio_info": ("AudioInfo",),
    "files.formats": ("Format",),
    "files.outputs.naming": ("OutputOptions",),
    "files.raw_format": ("RawFormat",),
    "gating.alignment": ("Alignment",),
    "gating.level_report": ("LevelReport",),
    "gating.bleed.report": ("BleedLevel", "BleedReport"),
    "gating.cutoff_report": ("Cutoff", "CutoffReport"),
    "gating.detection.threshold": ("ThresholdSuggestion", "suggest_threshold"),
    "gating.detection.verdict": ("Verdict",),
    "gating.forced": ("ForcedSegments",),
    "gating.frames.histogram": ("LevelHistogram",),
    "gating.gain.mask": ("GateStatistics",),
    "gating.gate_report": ("GateReport",),
    "gating.noise_profile": ("NoiseProfile",),
    "gating.segments": ("Segments",),
    "gating.setting_values": ("SettingsChanges",),
    "gating.settings": ("GateSettings", "PRESETS"),
    "gating.timing": ("Timing",),
    "gating.trials": ("Trial",),
}
"""The public names by the module that defines them."""

__all__ = [name for names in _PUBLIC_NAMES.values() for name in names]


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
