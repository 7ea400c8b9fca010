import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings
from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.detection.band_levels import mel_band_edges
from noisegate_cli.gating.detection.gaussian import PRIOR_FRAMES, ShrunkGaussian
from noisegate_cli.gating.detection.learner import SignalModelLearner
from noisegate_cli.gating.detection.likelihood_detector import LikelihoodDetector
from noisegate_cli.gating.detection.signal_model import OPEN_ABOVE, drift_to_jump_ratio
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.gating.frames import subsampling as kept
from noisegate_cli.gating.frames.framing import frames_per_batch
from noisegate_cli.gating.frames.running_mean import RunningMean
from noisegate_cli.gating.frames.subsampling import (
    MAX_SUBSAMPLE_FRAMES,
    SUBSAMPLE_STRIDE_FRAMES,
    max_subsample_batches,
    subsample_frame_indices,
)

RATE = 8000
SETTINGS = GateSettings()
RNG = np.random.default_rng(7)


def voice(seconds, rate=RATE, rms=0.1, seed=0):
    """Bursts of harmonics of a gliding pitch, a third of the time pauses; shaped (samples,)."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    pitch = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / rate
    harmonics = sum(np.sin(k * pitch + rng.uniform(0, 6)) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 2 * t), 0, 1) ** 0.5
    y = harmonics * syllables * talking(t)
    return y * rms / np.sqrt(np.mean(y[y != 0] ** 2))


def talking(t):
    return (t % 3) < 2


def noise(seconds, rate=RATE, rms=0.01, seed=1):
    return np.random.default_rng(seed).normal(0, rms, round(seconds * rate))


def learnt(y, settings=SETTINGS, rate=RATE):
    samples = y.reshape(len(y), -1)
    analyzer = Analyzer(settings, rate, samples.shape[1], len(samples))
    analyzer.process(samples, last=True)
    return analyzer.decide().rule


def scores(y, models, settings=SETTINGS, rate=RATE):
    samples = y.reshape(len(y), -1)
    detector = LikelihoodDetector(models, settings, rate, samples.shape[1])
    return detector.process(samples, last=True)[0]


def test_a_normal_has_the_density_of_its_formula():
    x = RNG.normal(0, 3, (500, 4)) @ RNG.normal(0, 1, (4, 4))
    normal = ShrunkGaussian.fit(x, prior_db=1.0)
    covariance = np.linalg.inv(normal.whitening @ normal.whitening.T)
    deviation = x - normal.mean
    inverse = np.linalg.inv(covariance)
    expected = -0.5 * np.einsum("ij,jk,ik->i", deviation, inverse, deviation)
    expected -= 0.5 * np.linalg.slogdet(covariance)[1]
    assert normal.log_density(x) == pytest.approx(expected)


def test_few_frames_have_the_covariance_of_the_prior():
    normal = ShrunkGaussian.fit(np.zeros((2, 3)), prior_db=4.0)
    covariance = np.linalg.inv(normal.whitening @ normal.whitening.T)
    assert covariance == pytest.approx(16 * (np.eye(3) + 1) * PRIOR_FRAMES / (PRIOR_FRAMES + 2))


@given(
    st.lists(st.floats(-50, 50), max_size=40),
    st.integers(1, 7),
    st.lists(st.integers(0, 40), max_size=5),
)
def test_a_smoother_is_a_running_mean_with_repeated_ends(values, frames, cuts):
    rows = np.array(values, float)
    reach = frames // 2
    padded = np.pad(rows, reach, mode="edge") if len(rows) else rows
    expected = [padded[i : i + 2 * reach + 1].mean() for i in range(len(rows))]
    smoother, parts = RunningMean(frames), np.split(rows, sorted(min(c, len(rows)) for c in cuts))
    got = [smoother.process(part, i == len(parts) - 1) for i, part in enumerate(parts)]
    assert np.concatenate(got) == pytest.approx(np.array(expected), abs=1e-9)


def test_bands_are_in_order_and_as_wide_as_they_are_heard():
    edges = mel_band_edges(40, 10000)
    assert (edges[0], edges[-1]) == pytest.approx((40, 10000))
    mel = np.diff(np.log1p(edges / 700))
    assert mel == pytest.approx(np.full(len(mel), mel[0]))
    assert len(mel_band_edges(250, 4000)) < len(edges)


@pytest.mark.parametrize("snr_db", [30, 20, 10])
def test_the_voice_opens_and_the_pause_closes(snr_db):
    y = voice(30) + noise(30, rms=0.1 * 10 ** (-snr_db / 20))
    s = scores(y, learnt(y))[:, 0]
    t = np.arange(len(s)) * SETTINGS.timing(RATE).hop_length / RATE
    loud = talking(t) & (np.sin(2 * np.pi * 2 * t) > 0.5)
    pause = ~talking(t - 0.1) & ~talking(t + 0.1)
    assert (s[loud] > OPEN_ABOVE).mean() > 0.97
    assert (s[pause] < OPEN_ABOVE).mean() > 0.99


@pytest.mark.parametrize("gain", [0.1, 10.0])
def test_the_level_of_a_recording_does_not_matter(gain):
    y = voice(12) + noise(12)
    assert scores(gain * y, learnt(gain * y)) == pytest.approx(scores(y, learnt(y)), abs=0.01)


def test_digital_silence_teaches_nothing_and_is_closed():
    y = voice(12) + noise(12)
    silence = np.zeros(3 * RATE)
    with_silence = np.concatenate([silence, y])
    s = scores(with_silence, learnt(with_silence))[:, 0] > OPEN_ABOVE
    frames = len(silence) // SETTINGS.timing(RATE).hop_length
    assert not s[: frames - 4].any()
    assert (s[frames + 8 :] == (scores(y, learnt(y))[8:, 0] > OPEN_ABOVE)).mean() > 0.99


def test_a_recording_of_steady_noise_closes():
    models = learnt(noise(10))
    assert models[0].verdict == Verdict.NOISE_ONLY
    assert (scores(noise(10), models) == -np.inf).all()


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
    assert (scores(y, learnt(y)) == np.inf).all()


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
    s = scores(y, learnt(y))[:, 0]
    hop = SETTINGS.timing(RATE).hop_length
    power = np.convolve(speech**2, np.ones(3 * hop) / (3 * hop), "same")[::hop]
    t = np.arange(len(power)) * hop / RATE
    is_second = (t % 16 > 8) & (power > 10 ** ((noise_db + 6) / 10))
    assert (s[: len(t)][is_second] > OPEN_ABOVE).mean() > 0.95
    assert (s[: len(t)][power < 1e-12] <= OPEN_ABOVE).mean() > 0.93


@pytest.mark.parametrize("start_s", [10.0, 15.0])
def test_a_hum_that_is_switched_on_closes_in_the_pauses(start_s):
    t = np.arange(30 * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in (1, 2, 3, 5)) * (t > start_s)
    y = voice(30) + 0.01 * hum + noise(30, rms=0.001)
    models = learnt(y)
    assert models[0].verdict == Verdict.SEPARATED
    s = scores(y, models)[:, 0]
    time = np.arange(len(s)) * SETTINGS.timing(RATE).hop_length / RATE
    is_pause = (time % 3 > 2.2) & (time % 3 < 2.8) & (abs(time - start_s) > 1)
    assert (s[is_pause] <= OPEN_ABOVE).mean() > 0.95


def test_calls_of_bats_are_heard():
    rate = 384000
    y = noise(3, rate=rate, rms=10 ** (-55 / 20))
    u = np.arange(round(0.005 * rate)) / rate
    call = 0.1 * np.sin(2 * np.pi * (60000 * u - 3e6 * u**2)) * np.hanning(len(u))
    times = 1.5 + 0.08 * np.arange(10)
    for start in times:
        y[round(start * rate) :][: len(call)] += call
    s = scores(y, learnt(y, rate=rate), rate=rate)[:, 0]
    hop = SETTINGS.timing(rate).hop_length
    assert (s[np.rint((times + 0.0025) * rate / hop).astype(int)] > OPEN_ABOVE).all()
    assert (s[: int(1.4 * rate / hop)] <= OPEN_ABOVE).all()


def test_a_voice_without_a_pause_stays_open():
    t = np.arange(10 * RATE) / RATE
    y = voice(10) + 0.1 * np.sin(2 * np.pi * np.cumsum(200 + 40 * np.sin(3 * t)) / RATE)
    y *= 1 + 0.5 * np.sin(2 * np.pi * 2 * t)
    assert (scores(y, learnt(y)) > OPEN_ABOVE).mean() > 0.97


def test_quiet_music_between_loud_is_not_taken_for_noise():
    t = np.arange(30 * RATE) / RATE
    notes = np.array([220, 262, 330, 392, 294, 349])[(t * 2).astype(int) % 6]
    y = sum(np.sin(2 * np.pi * k * np.cumsum(notes) / RATE) / k for k in range(1, 8))
    y *= np.where(t % 8 < 4, 0.2, 0.02) * np.exp(-2 * (t * 2 % 1))
    y += noise(30, rms=1e-5)
    models = learnt(y)
    assert models[0].verdict in (Verdict.MUSIC_LIKE, Verdict.INDISTINCT)
    assert (scores(y, models) == np.inf).all()


def test_a_faint_voice_in_noise_is_refused_and_stays_open():
    y = voice(20, rms=0.014) + noise(20, rms=0.014)
    models = learnt(y)
    assert models[0].verdict in (Verdict.LOW_CONTRAST, Verdict.INDISTINCT)
    assert (scores(y, models) == np.inf).all()


def test_noise_is_less_restless_than_a_melody():
    frames = np.arange(2000)
    still = RNG.normal(-40, 4, (2000, 8))
    moving = -40 + 10 * np.sin(frames[:, None] / 60 + np.arange(8))
    every, base = np.ones(2000, bool), np.full((2000, 8), -40.0)
    assert drift_to_jump_ratio(still, base, every, 4, lag=40) == pytest.approx(1, abs=0.2)
    assert drift_to_jump_ratio(moving, base, every, 4, lag=40) > 4


@pytest.mark.parametrize("block", [1, 777, 4096, 10**6])
def test_scores_do_not_depend_on_blocks(block):
    y = (voice(60) + noise(60)).reshape(-1, 2)
    models = learnt(y)
    y = y[: 2000 * block]
    whole, parts = (LikelihoodDetector(models, SETTINGS, RATE, 2) for _ in range(2))
    expected = whole.process(y, last=True)
    starts = range(0, len(y), block)
    got = [parts.process(y[i : i + block], last=i + block >= len(y)) for i in starts]
    for expected_array, arrays in zip(expected, zip(*got, strict=True), strict=True):
        assert np.array_equal(np.concatenate(arrays), expected_array)


@pytest.mark.parametrize("most", [MAX_SUBSAMPLE_FRAMES, 1 << 10])
@pytest.mark.parametrize("frame", [240, 16384])
def test_what_was_heard_in_the_first_pass_is_scored_as_if_it_were_heard_again(
    most, frame, monkeypatch
):
    monkeypatch.setattr(kept, "MAX_SUBSAMPLE_FRAMES", most)
    settings = GateSettings(frame_length=frame)
    y = (voice(200) + noise(200))[:, None]
    analyzer = Analyzer(settings, RATE, 1, len(y))
    analyzer.process(y, last=True)
    decision = analyzer.decide()
    assert isinstance(decision.rule, tuple)
    known, fresh = (
        LikelihoodDetector(decision.rule, settings, RATE, 1, subsample)
        for subsample in (decision.subsample, None)
    )
    listened = []
    densities = known._extractor.densities
    monkeypatch.setattr(
        known._extractor, "densities", lambda n, x: listened.append(n) or densities(n, x)
    )
    expected = fresh.process(y, last=True)[0]
    assert known.process(y, last=True)[0] == pytest.approx(expected, abs=1e-5)
    frames = len(y) // (2 * settings.timing(RATE).hop_length) + 1
    if most == MAX_SUBSAMPLE_FRAMES:
        assert not listened
    elif frame == 240:
        assert 0 < sum(listened) < frames


def test_of_a_recording_that_has_grown_meanwhile_the_last_batch_is_heard_again():
    y = (voice(20) + noise(20))[:, None]
    analyzer = Analyzer(SETTINGS, RATE, 1, 15 * RATE)
    analyzer.process(y[: 15 * RATE], last=True)
    decision = analyzer.decide()
    known, fresh = (
        LikelihoodDetector(decision.rule, SETTINGS, RATE, 1, subsample).process(y, last=True)[0]
        for subsample in (decision.subsample, None)
    )
    assert known == pytest.approx(fresh, abs=1e-5)


def test_between_two_scores_lies_their_mean_in_every_batch():
    y = voice(30) + noise(30)
    s = scores(y, learnt(y))[:, 0]
    assert s[1:-1:2] == pytest.approx((s[:-2:2] + s[2::2])[: len(s[1:-1:2])] / 2)


def test_separate_channels_are_learnt_apart():
    settings = GateSettings(channels="separate")
    y = np.column_stack([voice(12) + noise(12), noise(12, seed=3)])
    assert [model.verdict for model in learnt(y, settings)] == [
        Verdict.SEPARATED,
        Verdict.NOISE_ONLY,
    ]


@pytest.mark.parametrize("gates", [1, 2, 32])
@pytest.mark.parametrize(
    "frames", [1, 1000, 2 * MAX_SUBSAMPLE_FRAMES, 2 * MAX_SUBSAMPLE_FRAMES + 1, 10**6]
)
def test_a_learner_keeps_as_much_as_it_says_and_no_more(frames, gates):
    size = frames_per_batch(SUBSAMPLE_STRIDE_FRAMES * 512)
    most = max_subsample_batches(512, gates) * size
    assert most <= MAX_SUBSAMPLE_FRAMES // gates or gates > 16
    kept = len(subsample_frame_indices(frames, 512, gates))
    assert kept <= SUBSAMPLE_STRIDE_FRAMES * most
    assert kept == frames or kept > SUBSAMPLE_STRIDE_FRAMES * (most // 2 - size)


def test_one_channel_of_many_that_speaks_opens_them_all():
    y = np.column_stack([noise(20, seed=i) for i in range(32)])
    y[:, 5] += voice(20, rms=0.03)
    models = learnt(y)
    assert models[0].verdict == Verdict.SEPARATED
    s = scores(y, models)[:, 0]
    t = np.arange(len(s)) * SETTINGS.timing(RATE).hop_length / RATE
    loud = talking(t) & (np.sin(2 * np.pi * 2 * t) > 0.5)
    assert (s[loud] > OPEN_ABOVE).mean() > 0.97


def test_what_is_rare_is_no_less_signal():
    y = noise(300, rms=0.001)
    call = slice(100 * RATE, 102 * RATE)
    y[call] += 0.1 * np.sin(np.arange(2 * RATE) * 0.6)
    s = scores(y, learnt(y))[:, 0]
    frames = slice(round(100.05 * RATE / 64), round(101.95 * RATE / 64))
    assert (s[frames] > OPEN_ABOVE).all()
    assert (s > OPEN_ABOVE).mean() < 0.02


def test_what_was_not_learnt_from_is_not_taken_for_noise():
    rate, settings = 1000, GateSettings(frame_length=16)
    y = noise(300, rate=rate, rms=0.001)
    kept = subsample_frame_indices(len(y) // 4 + 1, 4, 1)
    skipped = np.setdiff1d(np.arange(len(y) // 4), kept)
    assert len(skipped)
    start = int(skipped[len(skipped) // 2]) * 4
    y[start : start + 100] += 0.5
    models = learnt(y, settings, rate)
    assert models[0].verdict == Verdict.RARE_EVENT


@pytest.mark.parametrize("overlap", [4, 8, 16])
@pytest.mark.parametrize("silence_s", [0.0, 0.19])
def test_hum_in_the_pauses_does_not_move_like_music(silence_s, overlap):
    hum = 0.02 * np.sin(2 * np.pi * 60 * np.arange(6 * RATE) / RATE)
    silence = np.zeros(round(silence_s * RATE))
    y = np.concatenate([silence, voice(6) + hum + noise(6, rms=3e-4), silence])
    settings = GateSettings(frame_length=256, hop_length=256 // overlap)
    assert learnt(y, settings)[0].verdict == Verdict.SEPARATED


@pytest.mark.parametrize("full", [1e19, 1e30, 1e37])
def test_from_powers_beyond_all_numbers_nothing_is_learnt(full):
    models = learnt((full * (voice(6) + noise(6))).astype(np.float32))
    assert models[0].verdict == Verdict.INDISTINCT
    assert (scores(noise(1), models) == np.inf).all()


def test_a_steady_tone_is_no_noise():
    t = np.arange(10 * RATE) / RATE
    models = learnt(0.1 * np.sin(2 * np.pi * 440 * t) + noise(10, rms=1e-4))
    assert models[0].verdict == Verdict.STEADY_TONE


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 96000])
def test_noise_is_no_tone(rate, channels):
    y = np.column_stack([noise(6, rate=rate, seed=i) for i in range(channels)])
    assert learnt(y, rate=rate)[0].verdict == Verdict.NOISE_ONLY


def test_a_key_above_the_usual_bands_is_listened_to():
    rate, settings = 48000, GateSettings(key_hz=(12000, 20000))
    t = np.arange(12 * rate) / rate
    y = noise(12, rate=rate, rms=0.001) + 0.1 * np.sin(2 * np.pi * 15000 * t) * (t % 2 < 1)
    s = scores(y, learnt(y, settings, rate), settings, rate)[:, 0]
    time = np.arange(len(s)) * settings.timing(rate).hop_length / rate
    inside = (time % 2 > 0.05) & (time % 2 < 0.95)
    outside = (time % 2 > 1.1) & (time % 2 < 1.9)
    assert (s[inside] > OPEN_ABOVE).mean() > 0.99
    assert (s[outside] < OPEN_ABOVE).mean() > 0.99


def test_a_learner_that_knows_the_length_keeps_the_same():
    y = noise(200, rate=1000)[:, None]
    settings = GateSettings(frame_length=16)
    blind, told = (SignalModelLearner(settings, 1000, 1, samples) for samples in (0, len(y)))
    for learner in (blind, told):
        learner.process(y, last=True)
    count = len(y) // 4 + 1
    assert np.array_equal(
        blind.subsample.covered_frame_indices(count), told.subsample.covered_frame_indices(count)
    )
    assert np.array_equal(
        blind.subsample.covered_frame_indices(count), subsample_frame_indices(count, 4, 1)
    )
    assert np.array_equal(
        blind.subsample.covered_frame_indices(count)[::SUBSAMPLE_STRIDE_FRAMES],
        blind.subsample.stored_frame_indices(),
    )
