import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings
from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor, mel_band_edges
from noisegate_cli.gating.detection.gaussian import PRIOR_FRAMES, ShrunkGaussian
from noisegate_cli.gating.detection.learner import SignalModelLearner
from noisegate_cli.gating.detection.likelihood_detector import LikelihoodDetector
from noisegate_cli.gating.detection.signal_model import (
    LEARNING_GUARD_MS,
    MAX_GAP_MS,
    MIN_GUARDED_NOISE_MS,
    MIN_RUN_MS,
    OPEN_ABOVE,
    SHORT_GUARD_MS,
    SignalModel,
    select_noise,
)
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.gating.frames import subsampling
from noisegate_cli.gating.frames.framing import frames_per_batch
from noisegate_cli.gating.frames.running_mean import RunningMean
from noisegate_cli.gating.frames.subsampling import (
    MAX_SUBSAMPLE_FRAMES,
    SUBSAMPLE_STRIDE_FRAMES,
    max_subsample_batches,
    subsample_frame_indices,
)
from noisegate_cli.gating.gain.mask import MinRunLength
from tests.conftest import SPEECH

RATE = 8000
SETTINGS = GateSettings()
RNG = np.random.default_rng(7)


def voice(seconds, rate=RATE, rms=0.1, seed=0):
    """Return bursts of harmonics with a gliding pitch, one third of it pauses, (samples,)."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    pitch = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / rate
    harmonics = sum(np.sin(k * pitch + rng.uniform(0, 6)) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 2 * t), 0, 1) ** 0.5
    y = harmonics * syllables * is_speaking(t)
    return y * rms / np.sqrt(np.mean(y[y != 0] ** 2))


def is_speaking(t):
    return (t % 3) < 2


def noise(seconds, rate=RATE, rms=0.01, seed=1):
    return np.random.default_rng(seed).normal(0, rms, round(seconds * rate))


def learn_models(y, settings=SETTINGS, rate=RATE):
    samples = y.reshape(len(y), -1)
    analyzer = Analyzer(settings, rate, samples.shape[1], len(samples))
    analyzer.process(samples, last=True)
    return analyzer.decide().rule


def compute_scores(y, models, settings=SETTINGS, rate=RATE):
    samples = y.reshape(len(y), -1)
    detector = LikelihoodDetector(models, settings, rate, samples.shape[1])
    return detector.process(samples, last=True)[0]


def test_the_log_density_of_a_gaussian_equals_the_formula():
    frames = RNG.normal(0, 3, (500, 4)) @ RNG.normal(0, 1, (4, 4))
    gaussian = ShrunkGaussian.fit(frames, prior_db=1.0)
    covariance = np.linalg.inv(gaussian.whitening @ gaussian.whitening.T)
    deviation = frames - gaussian.mean
    inverse = np.linalg.inv(covariance)
    expected = -0.5 * np.einsum("ij,jk,ik->i", deviation, inverse, deviation)
    expected -= 0.5 * np.linalg.slogdet(covariance)[1]
    assert gaussian.log_density(frames) == pytest.approx(expected, rel=1e-5)


def test_the_prior_dominates_the_covariance_of_few_frames():
    gaussian = ShrunkGaussian.fit(np.zeros((2, 3)), prior_db=4.0)
    covariance = np.linalg.inv(gaussian.whitening @ gaussian.whitening.T)
    assert covariance == pytest.approx(16 * (np.eye(3) + 1) * PRIOR_FRAMES / (PRIOR_FRAMES + 2))


@given(
    st.lists(st.floats(-50, 50), max_size=40),
    st.integers(1, 7),
    st.lists(st.integers(0, 40), max_size=5),
)
def test_the_running_mean_equals_a_mean_over_edge_padded_values(levels, frames, cuts):
    rows = np.array(levels, float)
    half_width = frames // 2
    padded = np.pad(rows, half_width, mode="edge") if len(rows) else rows
    expected = [padded[i : i + 2 * half_width + 1].mean() for i in range(len(rows))]
    smoother, parts = RunningMean(frames), np.split(rows, sorted(min(c, len(rows)) for c in cuts))
    outputs = [smoother.process(part, i == len(parts) - 1) for i, part in enumerate(parts)]
    assert np.concatenate(outputs) == pytest.approx(np.array(expected), abs=1e-9)


def test_bands_have_equal_widths_on_the_mel_scale():
    edges = mel_band_edges(40, 10000)
    assert (edges[0], edges[-1]) == pytest.approx((40, 10000))
    mel_widths = np.diff(np.log1p(edges / 700))
    assert mel_widths == pytest.approx(np.full(len(mel_widths), mel_widths[0]))
    assert len(mel_band_edges(250, 4000)) < len(edges)


@pytest.mark.parametrize("snr_db", [30, 20, 10])
def test_speech_scores_above_and_pauses_below_the_opening_score(snr_db):
    y = voice(30) + noise(30, rms=0.1 * 10 ** (-snr_db / 20))
    scores = compute_scores(y, learn_models(y))[:, 0]
    t = np.arange(len(scores)) * SETTINGS.timing(RATE).hop_length / RATE
    is_loud = is_speaking(t) & (np.sin(2 * np.pi * 2 * t) > 0.5)
    is_pause = ~is_speaking(t - 0.1) & ~is_speaking(t + 0.1)
    assert (scores[is_loud] > OPEN_ABOVE).mean() > 0.97
    assert (scores[is_pause] < OPEN_ABOVE).mean() > 0.99


@pytest.mark.parametrize("gain", [0.1, 10.0])
def test_scores_do_not_depend_on_the_level_of_the_recording(gain):
    y = voice(12) + noise(12)
    assert compute_scores(gain * y, learn_models(gain * y)) == pytest.approx(
        compute_scores(y, learn_models(y)), abs=0.01
    )


def test_digital_silence_does_not_affect_the_model_and_is_closed():
    y = voice(12) + noise(12)
    silence = np.zeros(3 * RATE)
    with_silence = np.concatenate([silence, y])
    is_open = compute_scores(with_silence, learn_models(with_silence))[:, 0] > OPEN_ABOVE
    frames = len(silence) // SETTINGS.timing(RATE).hop_length
    assert not is_open[: frames - 4].any()
    assert (
        is_open[frames + 8 :] == (compute_scores(y, learn_models(y))[8:, 0] > OPEN_ABOVE)
    ).mean() > 0.99


def test_a_recording_of_steady_noise_is_closed():
    models = learn_models(noise(10))
    assert models[0].verdict == Verdict.NOISE_ONLY
    assert (compute_scores(noise(10), models) == -np.inf).all()


@pytest.mark.parametrize("frame_length", [16384, 65536])
def test_speech_in_very_long_frames_is_not_treated_as_noise(frame_length):
    y, rate = sf.read(SPEECH)
    settings = GateSettings(frame_length=frame_length, hop_length=frame_length // 4)
    assert learn_models(np.tile(y, 6), settings, rate)[0].verdict != Verdict.NOISE_ONLY


def gong(seconds):
    """Many inharmonic partials in noise: less tonal than a chord, more than noise."""
    rng = np.random.default_rng(5)
    t = np.arange(seconds * RATE) / RATE
    pitches = rng.uniform((300, 0), (5000, 1), (40, 2))
    partials = sum(np.sin(2 * np.pi * (hz * t + phase)) for hz, phase in pitches)
    return noise(seconds) + 0.006 * partials


def test_a_gong_is_not_treated_as_noise():
    models = learn_models(gong(6))
    assert models[0].verdict == Verdict.TONAL
    assert (compute_scores(gong(6), models) == np.inf).all()


@pytest.mark.parametrize("seconds", [1, 2])
def test_a_recording_shorter_than_three_seconds_is_not_treated_as_noise(seconds):
    models = learn_models(noise(seconds))
    assert models[0].verdict == Verdict.TOO_SHORT
    assert (compute_scores(noise(seconds), models) == np.inf).all()


def choir(seconds, rate=RATE):
    """A chord whose partials beat slowly and at random, as many voices do."""
    rng = np.random.default_rng(2)
    samples = round(seconds * rate)
    hz = np.fft.rfftfreq(samples, 1 / rate)
    spectrum = np.zeros(len(hz), np.complex128)
    for partial in (note * k for note in (220, 277, 330) for k in range(1, 10)):
        width = np.exp(-0.5 * ((hz - partial) / 2.0) ** 2) / partial
        spectrum += width * (rng.normal(size=len(hz)) + 1j * rng.normal(size=len(hz)))
    y = np.fft.irfft(spectrum, samples)
    return 0.05 * y / y.std()


@pytest.mark.parametrize("gain_db", [-20, 0, 20])
def test_a_choir_that_beats_like_noise_stays_open(gain_db):
    y = (choir(20) + noise(20, rms=1e-4)) * 10 ** (gain_db / 20)
    assert (compute_scores(y, learn_models(y)) == np.inf).all()


def uneven_voice(seconds, rms, seed):
    """A voice with loud and quiet syllables."""
    loudness = np.random.default_rng(seed).uniform(0, 1, 4 * seconds + 2) ** 2
    t = np.arange(seconds * RATE) / RATE
    y = voice(seconds, seed=seed) * np.interp(t, np.arange(len(loudness)) / 4, loudness)
    return y * rms / y[y != 0].std()


@pytest.mark.parametrize("gain_db", [-20, 0, 20])
def test_a_second_voice_far_below_the_first_one_opens(gain_db):
    noise_db, second_db = -58, -48
    turns = [(10 ** (-20 / 20), 0), (10 ** (second_db / 20), 50)] * 2
    speech = np.concatenate([uneven_voice(8, rms, seed + i) for i, (rms, seed) in enumerate(turns)])
    y = (speech + noise(32, rms=10 ** (noise_db / 20))) * 10 ** (gain_db / 20)
    score = compute_scores(y, learn_models(y))[:, 0]
    hop = SETTINGS.timing(RATE).hop_length
    power = np.convolve(speech**2, np.ones(3 * hop) / (3 * hop), "same")[::hop]
    t = np.arange(len(power)) * hop / RATE
    is_second = (t % 16 > 8) & (power > 10 ** ((noise_db + 6) / 10))
    assert (score[: len(t)][is_second] > OPEN_ABOVE).mean() > 0.95
    assert (score[: len(t)][power < 1e-12] <= OPEN_ABOVE).mean() > 0.93


@pytest.mark.parametrize("snr_db", [0, 2, 4])
def test_a_gate_in_loud_noise_opens_for_quiet_syllables_too(snr_db):
    speech = uneven_voice(6, rms=0.1, seed=3)
    noise_rms = 0.1 * 10 ** (-snr_db / 20)
    y = speech + noise(6, rms=noise_rms, seed=4)
    score = compute_scores(y, learn_models(y))[:, 0]
    hop = SETTINGS.timing(RATE).hop_length
    power = np.convolve(speech**2, np.ones(3 * hop) / (3 * hop), "same")[::hop]
    is_open = score[: len(power)] > OPEN_ABOVE
    assert is_open[power > noise_rms**2].mean() > 0.98
    assert is_open[power < 1e-12].mean() < 0.02


@pytest.mark.parametrize("seconds", [2, 3, 4])
def test_short_pauses_of_a_short_recording_are_noise(seconds):
    t = np.arange(seconds * RATE) / RATE
    pitch = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    vowels = sum(np.sin(k * pitch + k) / k for k in range(1, 20)) * (t % 1 < 0.7)
    y = 0.1 * vowels + noise(seconds, rms=0.02)
    assert learn_models(y)[0].verdict == Verdict.SEPARATED


@pytest.mark.parametrize("start_s", [10.0, 15.0])
def test_a_hum_that_is_switched_on_closes_in_the_pauses(start_s):
    t = np.arange(30 * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in (1, 2, 3, 5)) * (t > start_s)
    y = voice(30) + 0.01 * hum + noise(30, rms=0.001)
    models = learn_models(y)
    assert models[0].verdict == Verdict.SEPARATED
    score = compute_scores(y, models)[:, 0]
    time = np.arange(len(score)) * SETTINGS.timing(RATE).hop_length / RATE
    is_pause = (time % 3 > 2.2) & (time % 3 < 2.8) & (abs(time - start_s) > 1)
    assert (score[is_pause] <= OPEN_ABOVE).mean() > 0.95


def test_calls_of_bats_open_the_gate():
    rate = 384000
    y = noise(3, rate=rate, rms=10 ** (-55 / 20))
    u = np.arange(round(0.005 * rate)) / rate
    call = 0.1 * np.sin(2 * np.pi * (60000 * u - 3e6 * u**2)) * np.hanning(len(u))
    times = 1.5 + 0.08 * np.arange(10)
    for start in times:
        y[round(start * rate) :][: len(call)] += call
    score = compute_scores(y, learn_models(y, rate=rate), rate=rate)[:, 0]
    hop = SETTINGS.timing(rate).hop_length
    assert (score[np.rint((times + 0.0025) * rate / hop).astype(int)] > OPEN_ABOVE).all()
    assert (score[: int(1.4 * rate / hop)] <= OPEN_ABOVE).all()


def test_a_voice_without_pauses_stays_open():
    t = np.arange(10 * RATE) / RATE
    y = voice(10) + 0.1 * np.sin(2 * np.pi * np.cumsum(200 + 40 * np.sin(3 * t)) / RATE)
    y *= 1 + 0.5 * np.sin(2 * np.pi * 2 * t)
    assert (compute_scores(y, learn_models(y)) > OPEN_ABOVE).mean() > 0.97


def test_quiet_passages_of_music_are_not_treated_as_noise():
    t = np.arange(30 * RATE) / RATE
    notes = np.array([220, 262, 330, 392, 294, 349])[(t * 2).astype(int) % 6]
    y = sum(np.sin(2 * np.pi * k * np.cumsum(notes) / RATE) / k for k in range(1, 8))
    y *= np.where(t % 8 < 4, 0.2, 0.02) * np.exp(-2 * (t * 2 % 1))
    y += noise(30, rms=1e-5)
    models = learn_models(y)
    assert models[0].verdict in (Verdict.MUSIC_LIKE, Verdict.INDISTINCT)
    assert (compute_scores(y, models) == np.inf).all()


def test_a_faint_voice_in_noise_gives_no_model_and_stays_open():
    y = voice(20, rms=0.014) + noise(20, rms=0.014)
    models = learn_models(y)
    assert models[0].verdict in (Verdict.LOW_CONTRAST, Verdict.INDISTINCT)
    assert (compute_scores(y, models) == np.inf).all()


@pytest.mark.parametrize("block", [1, 777, 4096, 10**6])
def test_scores_do_not_depend_on_the_block_size(block):
    y = (voice(60) + noise(60)).reshape(-1, 2)
    models = learn_models(y)
    y = y[: 2000 * block]
    whole_detector, block_detector = (
        LikelihoodDetector(models, SETTINGS, RATE, 2) for _ in range(2)
    )
    expected = whole_detector.process(y, last=True)
    starts = range(0, len(y), block)
    outputs = [block_detector.process(y[i : i + block], last=i + block >= len(y)) for i in starts]
    for expected_array, arrays in zip(expected, zip(*outputs, strict=True), strict=True):
        assert np.array_equal(np.concatenate(arrays), expected_array)


@pytest.mark.parametrize("max_frames", [MAX_SUBSAMPLE_FRAMES, 1 << 10])
@pytest.mark.parametrize("frame", [240, 16384])
def test_stored_band_powers_give_the_same_scores_as_computing_them_again(
    max_frames, frame, monkeypatch
):
    monkeypatch.setattr(subsampling, "MAX_SUBSAMPLE_FRAMES", max_frames)
    settings = GateSettings(frame_length=frame)
    y = (voice(60) + noise(60))[:, None]
    analyzer = Analyzer(settings, RATE, 1, len(y))
    analyzer.process(y, last=True)
    decision = analyzer.decide()
    assert isinstance(decision.rule, tuple)
    reusing, recomputing = (
        LikelihoodDetector(decision.rule, settings, RATE, 1, subsample)
        for subsample in (decision.subsample, None)
    )
    computed_frames = []
    densities = reusing._extractor.densities
    monkeypatch.setattr(
        reusing._extractor, "densities", lambda n, x: computed_frames.append(n) or densities(n, x)
    )
    expected = recomputing.process(y, last=True)[0]
    assert reusing.process(y, last=True)[0] == pytest.approx(expected, abs=1e-5)
    frames = len(y) // (2 * settings.timing(RATE).hop_length) + 1
    if max_frames == MAX_SUBSAMPLE_FRAMES:
        assert not computed_frames
    elif frame == 240:
        assert 0 < sum(computed_frames) < frames


@pytest.mark.parametrize("speech_only", [True, False])
def test_recalled_scores_are_those_that_are_computed_in_blocks(speech_only, monkeypatch):
    settings = GateSettings() if speech_only else GateSettings(listen="all")
    y = (voice(20) + noise(20))[:, None]
    analyzer = Analyzer(settings, RATE, 1, len(y))
    analyzer.process(y, last=True)
    decision = analyzer.decide()
    assert isinstance(decision.rule, tuple)
    whole, cut = (
        LikelihoodDetector(decision.rule, settings, RATE, 1, decision.subsample) for _ in range(2)
    )
    scored = []
    score = SignalModel.score
    monkeypatch.setattr(SignalModel, "score", lambda *args: scored.append(1) or score(*args))
    recalled = whole.process(y, last=True)
    assert not scored
    parts = [cut.process(y[:100000]), cut.process(y[100000:], last=True)]
    assert scored
    for expected, arrays in zip(recalled, zip(*parts, strict=True), strict=True):
        assert np.array_equal(np.concatenate(arrays), expected)


@pytest.mark.parametrize("grown", [1, 300, 5 * RATE])
def test_scores_are_not_recalled_if_the_recording_has_grown(grown):
    y = (voice(20) + noise(20))[:, None]
    analyzer = Analyzer(SETTINGS, RATE, 1, 10 * RATE)
    analyzer.process(y[: 10 * RATE], last=True)
    decision = analyzer.decide()
    y = y[: 10 * RATE + grown]
    reused, recomputed = (
        LikelihoodDetector(decision.rule, SETTINGS, RATE, 1, subsample).process(y, last=True)
        for subsample in (decision.subsample, None)
    )
    assert len(reused[0]) == len(reused[1]) == len(recomputed[0])
    assert reused[0][:-8] == pytest.approx(recomputed[0][:-8], abs=1e-5)


def test_the_last_batch_is_computed_again_if_the_recording_has_grown():
    y = (voice(20) + noise(20))[:, None]
    analyzer = Analyzer(SETTINGS, RATE, 1, 15 * RATE)
    analyzer.process(y[: 15 * RATE], last=True)
    decision = analyzer.decide()
    reused, recomputed = (
        LikelihoodDetector(decision.rule, SETTINGS, RATE, 1, subsample).process(y, last=True)[0]
        for subsample in (decision.subsample, None)
    )
    assert reused == pytest.approx(recomputed, abs=1e-5)


def test_scores_of_skipped_frames_are_interpolated_linearly():
    y = voice(30) + noise(30)
    settings = GateSettings(listen="all")
    scores = compute_scores(y, learn_models(y, settings), settings)[:, 0]
    assert scores[1:-1:2] == pytest.approx(
        (scores[:-2:2] + scores[2::2])[: len(scores[1:-1:2])] / 2
    )


def test_separate_channels_have_separate_models():
    settings = GateSettings(channels="separate")
    y = np.column_stack([voice(12) + noise(12), noise(12, seed=3)])
    assert [model.verdict for model in learn_models(y, settings)] == [
        Verdict.SEPARATED,
        Verdict.NOISE_ONLY,
    ]


@pytest.mark.parametrize("gates", [1, 2, 32])
@pytest.mark.parametrize(
    "frames", [1, 1000, 2 * MAX_SUBSAMPLE_FRAMES, 2 * MAX_SUBSAMPLE_FRAMES + 1, 10**6]
)
def test_the_subsample_has_the_documented_size(frames, gates):
    batch_frames = frames_per_batch(SUBSAMPLE_STRIDE_FRAMES * 512)
    max_frames = max_subsample_batches(512, gates) * batch_frames
    assert max_frames <= MAX_SUBSAMPLE_FRAMES // gates or gates > 16
    stored = len(subsample_frame_indices(frames, 512, gates))
    assert stored <= SUBSAMPLE_STRIDE_FRAMES * max_frames
    assert stored == frames or stored > SUBSAMPLE_STRIDE_FRAMES * (max_frames // 2 - batch_frames)


def test_speech_in_one_of_many_linked_channels_opens_all():
    y = np.column_stack([noise(20, seed=i) for i in range(32)])
    y[:, 5] += voice(20, rms=0.03)
    models = learn_models(y)
    assert models[0].verdict == Verdict.SEPARATED
    scores = compute_scores(y, models)[:, 0]
    t = np.arange(len(scores)) * SETTINGS.timing(RATE).hop_length / RATE
    is_loud = is_speaking(t) & (np.sin(2 * np.pi * 2 * t) > 0.5)
    assert (scores[is_loud] > OPEN_ABOVE).mean() > 0.97


def test_a_rare_sound_is_treated_as_signal():
    y = noise(300, rms=0.001)
    call = slice(100 * RATE, 102 * RATE)
    y[call] += 0.1 * np.sin(np.arange(2 * RATE) * 0.6)
    scores = compute_scores(y, learn_models(y))[:, 0]
    frames = slice(round(100.05 * RATE / 64), round(101.95 * RATE / 64))
    assert (scores[frames] > OPEN_ABOVE).all()
    assert (scores > OPEN_ABOVE).mean() < 0.02


def test_a_sound_outside_the_subsample_is_not_treated_as_noise():
    rate, settings = 1000, GateSettings(frame_length=16)
    y = noise(300, rate=rate, rms=0.001)
    stored = subsample_frame_indices(len(y) // 4 + 1, 4, 1)
    skipped = np.setdiff1d(np.arange(len(y) // 4), stored)
    assert len(skipped)
    start = int(skipped[len(skipped) // 2]) * 4
    y[start : start + 100] += 0.5
    models = learn_models(y, settings, rate)
    assert models[0].verdict == Verdict.RARE_EVENT


@pytest.mark.parametrize("overlap", [4, 8, 16])
@pytest.mark.parametrize("silence_s", [0.0, 0.19])
def test_hum_in_the_pauses_is_not_treated_as_music(silence_s, overlap):
    hum = 0.02 * np.sin(2 * np.pi * 60 * np.arange(6 * RATE) / RATE)
    silence = np.zeros(round(silence_s * RATE))
    y = np.concatenate([silence, voice(6) + hum + noise(6, rms=3e-4), silence])
    settings = GateSettings(frame_length=256, hop_length=256 // overlap)
    assert learn_models(y, settings)[0].verdict == Verdict.SEPARATED


@pytest.mark.parametrize("scale", [1e19, 1e30, 1e37])
def test_powers_that_overflow_give_no_model(scale):
    models = learn_models((scale * (voice(6) + noise(6))).astype(np.float32))
    assert models[0].verdict == Verdict.INDISTINCT
    assert (compute_scores(noise(1), models) == np.inf).all()


def test_a_steady_tone_is_not_treated_as_noise():
    t = np.arange(10 * RATE) / RATE
    models = learn_models(0.1 * np.sin(2 * np.pi * 440 * t) + noise(10, rms=1e-4))
    assert models[0].verdict == Verdict.STEADY_TONE


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 96000])
def test_noise_is_not_treated_as_a_tone(rate, channels):
    y = np.column_stack([noise(6, rate=rate, seed=i) for i in range(channels)])
    assert learn_models(y, rate=rate)[0].verdict == Verdict.NOISE_ONLY


def test_a_key_filter_above_the_default_bands_selects_the_bands():
    rate, settings = 48000, GateSettings(key_hz=(12000, 20000))
    t = np.arange(12 * rate) / rate
    y = noise(12, rate=rate, rms=0.001) + 0.1 * np.sin(2 * np.pi * 15000 * t) * (t % 2 < 1)
    scores = compute_scores(y, learn_models(y, settings, rate), settings, rate)[:, 0]
    time = np.arange(len(scores)) * settings.timing(rate).hop_length / rate
    inside = (time % 2 > 0.05) & (time % 2 < 0.95)
    outside = (time % 2 > 1.1) & (time % 2 < 1.9)
    assert (scores[inside] > OPEN_ABOVE).mean() > 0.99
    assert (scores[outside] < OPEN_ABOVE).mean() > 0.99


def test_the_subsample_is_the_same_whether_or_not_the_length_is_known():
    y = noise(200, rate=1000)[:, None]
    settings = GateSettings(frame_length=16)
    of_unknown_length, of_known_length = (
        SignalModelLearner(settings, 1000, 1, samples) for samples in (0, len(y))
    )
    for learner in (of_unknown_length, of_known_length):
        learner.process(y, last=True)
    count = len(y) // 4 + 1
    assert np.array_equal(
        of_unknown_length.subsample.covered_frame_indices(count),
        of_known_length.subsample.covered_frame_indices(count),
    )
    assert np.array_equal(
        of_unknown_length.subsample.covered_frame_indices(count),
        subsample_frame_indices(count, 4, 1),
    )
    assert np.array_equal(
        of_unknown_length.subsample.covered_frame_indices(count)[::SUBSAMPLE_STRIDE_FRAMES],
        of_unknown_length.subsample.stored_frame_indices(),
    )


@given(st.booleans(), st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_noise_is_far_from_all_runs_of_signal_that_are_long_enough(starts, lengths):
    extractor = BandLevelExtractor(SETTINGS, RATE)
    is_signal = np.repeat(starts ^ (np.arange(len(lengths)) % 2 > 0), lengths)
    gaps = MinRunLength(False, extractor.frames(MAX_GAP_MS) + 1)
    runs = MinRunLength(True, extractor.frames(MIN_RUN_MS))
    filled = runs.process(gaps.process(is_signal[:, None], last=True), last=True)[:, 0]
    frames = np.arange(len(filled))
    distance = np.min(np.abs(frames[:, None] - frames[filled]), axis=1, initial=1000)
    expected = distance > extractor.frames(LEARNING_GUARD_MS)
    if np.count_nonzero(expected) < extractor.frames(MIN_GUARDED_NOISE_MS):
        expected = distance > extractor.frames(SHORT_GUARD_MS)
    np.testing.assert_array_equal(select_noise(is_signal, extractor), expected)
