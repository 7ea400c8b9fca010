"""Results have a short repr of one line."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from noisegate_cli import GateReport, GateSettings, GateStream, analyze_file, gate_file
from noisegate_cli.api.analysis_report import AnalysisReport
from noisegate_cli.api.gate_result import GateResult
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.cutoff_report import CutoffReport
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.rule import AdaptiveThreshold
from noisegate_cli.gating.detection.signal_model import SignalModel
from noisegate_cli.gating.detection.threshold import ThresholdSuggestion
from noisegate_cli.gating.frames.histogram import LevelHistogram
from noisegate_cli.gating.gain.mask import GateStatistics
from noisegate_cli.gating.level_report import LevelReport
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.trials import Trial
from tests.conftest import SPEECH, loud_and_quiet

MAX_REPR_CHARS = 200


def iterate_results(value):
    """Yield a result and the results nested in it."""
    if isinstance(value, tuple):
        if hasattr(value, "_fields"):
            yield value
        for item in value:
            yield from iterate_results(item)
    # The parameters of a call and the description of a file are shown in full.
    elif is_dataclass(value) and not isinstance(value, GateSettings | AudioInfo):
        yield value
        for field in fields(value):
            yield from iterate_results(getattr(value, field.name))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return an example of each type of result."""
    output = tmp_path_factory.mktemp("reprs") / "out.wav"
    spectral = GateSettings(spectral="soft")
    decisions = []
    for settings in (GateSettings(), GateSettings(threshold=0.01, adaptive=True)):
        analyzer = Analyzer(settings, 16000)
        analyzer.process(np.tile(loud_and_quiet(), 4)[:, None], last=True)
        decisions.append(analyzer.decide())
    stream = GateStream(GateSettings(threshold=0.01), 16000)
    stream.process(loud_and_quiet())
    results = (
        *(gate_file(SPEECH, output, spectral), analyze_file(SPEECH, spectral), stream.report),
        *decisions,
    )
    return {type(result): result for result in iterate_results(results)} | {GateStream: stream}


@pytest.mark.parametrize(
    "result_type",
    [
        AdaptiveThreshold,
        AnalysisReport,
        CutoffReport,
        GateDecision,
        GateReport,
        GateResult,
        GateStatistics,
        GateStream,
        LevelHistogram,
        LevelReport,
        NoiseProfile,
        SignalModel,
        ThresholdSuggestion,
        Trial,
    ],
)
def test_a_result_has_a_short_repr(results, result_type):
    text = repr(results[result_type])
    assert text.startswith(f"{result_type.__name__}(")
    assert len(text) <= MAX_REPR_CHARS
    assert "\n" not in text
