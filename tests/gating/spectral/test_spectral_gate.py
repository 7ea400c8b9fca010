"""The spectral gate: noise reduction, streaming, channels and invalid settings."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings, analyze, gate
from noisegate_cli.errors import AudioError, SettingsError
from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.frames.framing import frames_per_batch
from noisegate_cli.gating.gate import Gate, compute_latency
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.spectral import wiener
from noisegate_cli.gating.spectral.wiener import (
    compute_a_priori_snr,
    estimate_presence,
    reduce_where_absent,
    wiener_gain,
)
from tests.conftest import DATA, FLOATS, PCM, as_type, examples, tone
from tests.reference import decision_directed

RATE = 16000
SOFT = GateSettings.preset("voice", spectral="soft")
MASK = GateSettings.preset("hard", spectral="mask", channels="separate")
SOFT_WITH_LEVEL = replace(SOFT, threshold=0.05).live
PROFILES = (NoiseProfile((1e-8,) * 3, 8000.0, "given"),)
MASK_BY_LEVEL = replace(MASK, threshold=0.05).live


def rms_db(y):
    return 20 * np.log10(np.sqrt(np.mean(np.square(y, dtype=np.float64))) + 1e-12)


def hiss(seconds, rms=0.01, seed=0, channels=1):
    return np.random.default_rng(seed).normal(0, rms, (round(seconds * RATE), channels))


def intermittent_harmonics(seconds=6.0, channels=1):
    """Return harmonics that are on and off for a second each, shaped (samples, channels)."""
    t = np.arange(round(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 20))
    return np.repeat((0.2 * voice * (np.sin(np.pi * t) > 0))[:, None], channels, axis=1)


def gate_in_blocks(y, block, decision=None, rate=RATE, residue=False, live=False):
    """Return the output for `y`, shaped (samples, channels), fed in blocks.

    With `residue`, return (output, residue).
    """
    if decision is None:
        analyzer = Analyzer(SOFT, rate, y.shape[1], len(y))
        analyzer.process(y, last=True)
        decision = analyzer.decide()
    gate = Gate(decision, rate, y.shape[1], residue=residue, live=live)
    starts = range(0, max(1, len(y)), block)
    parts = [gate.process(y[start : start + block], start + block >= len(y)) for start in starts]
    if not residue:
        return np.concatenate([output for output, _ in parts])
    return tuple(np.concatenate(side) for side in zip(*parts, strict=True))


def test_noise_in_the_pauses_is_reduced_by_reduction_db():
    y = intermittent_harmonics() + hiss(6)
    out = gate(y, RATE, spectral=True)
    pause = slice(int(1.3 * RATE), int(1.8 * RATE))
    assert rms_db(y[pause]) - rms_db(out[pause]) == pytest.approx(24, abs=0.2)
    reduced_by_9_db = gate(
        y, RATE, settings=GateSettings.preset("voice", spectral="soft", reduction_db=9)
    )
    assert rms_db(y[pause]) - rms_db(reduced_by_9_db[pause]) == pytest.approx(9, abs=0.2)


def test_a_closed_segment_is_the_recording_times_the_gain():
    y = intermittent_harmonics() + hiss(6)
    out = gate(y, RATE, settings=GateSettings.preset("voice", spectral="soft", reduction_db=20))
    pause = slice(int(1.3 * RATE), int(1.8 * RATE))
    assert np.abs(out[pause] - 0.1 * y[pause]).max() < 1e-8


def test_noise_below_the_signal_is_reduced():
    clean, noise = intermittent_harmonics(), hiss(6)
    out = gate(clean + noise, RATE, spectral=True)
    signal = slice(int(2.3 * RATE), int(2.8 * RATE))
    # The harmonics cover a third of the bins. The noise in these bins is not reduced.
    assert rms_db(noise[signal]) - rms_db(out[signal] - clean[signal]) > 5
    assert rms_db(out[signal]) == pytest.approx(rms_db(clean[signal]), abs=0.1)


def test_both_gates_together_silence_the_pauses():
    y = intermittent_harmonics() + hiss(6)
    both_gates = GateSettings.preset("voice", spectral="soft", range_db=-np.inf)
    out = gate(y, RATE, settings=both_gates)
    assert not out[int(1.3 * RATE) : int(1.8 * RATE)].any()
    spectral_only = gate(y, RATE, spectral=True)
    signal = slice(int(2.2 * RATE), int(2.8 * RATE))
    assert np.array_equal(out[signal], spectral_only[signal])


@pytest.mark.parametrize(
    ("reduction_db", "under_signal_db"), [(8, 8), (12, 12), (24, 16), (32, 24), (40, 32)]
)
def test_hum_below_the_signal_is_reduced_less_than_in_the_pauses(reduction_db, under_signal_db):
    y = intermittent_harmonics() + tone(6, 0.02, hz=60)[:, None] + hiss(6, 0.0002)
    out = gate(y, RATE, spectral=True, reduction_db=reduction_db)

    def hum_db(y):
        spectrum = np.fft.rfft(y[2 * RATE : 3 * RATE, 0] * np.hanning(RATE))
        return 20 * np.log10(np.abs(spectrum[60]))

    # Where the harmonics pass, so does some of the hum.
    assert 0.7 * under_signal_db < hum_db(y) - hum_db(out) < under_signal_db + 0.5


def test_a_harmonic_below_the_noise_keeps_its_level_if_others_are_above_it(monkeypatch):
    t = np.arange(6 * RATE) / RATE
    strengths = dict.fromkeys((1, 2, 3, 5, 6, 7), 0.1) | {4: 0.002}
    voice = sum(a * np.sin(2 * np.pi * 250 * k * t) for k, a in strengths.items())
    y = (voice * (np.sin(np.pi * t) > 0))[:, None] + hiss(6, 0.01)

    def weak_harmonic():
        out = gate(y, RATE, spectral=True)[2 * RATE : 3 * RATE, 0]
        return np.abs(np.fft.rfft(out * np.hanning(RATE))[1000])

    regenerated = weak_harmonic()
    monkeypatch.setattr(wiener, "HARMONIC_WEIGHT", 0.0)
    assert regenerated > 1.5 * weak_harmonic()


def test_rising_noise_is_tracked():
    clean = intermittent_harmonics(30)
    growing = hiss(30, 0.003) * np.geomspace(1, 10, 30 * RATE)[:, None]

    def reduction_db(second, **noise):
        signal = slice(int((second + 0.3) * RATE), int((second + 0.8) * RATE))
        out = gate(clean + growing, RATE, spectral=True, **noise)
        return rms_db(growing[signal]) - rms_db(out[signal] - clean[signal])

    assert min(reduction_db(second) for second in (2, 14, 26)) > 3.5
    assert reduction_db(26, y_noise=growing[:RATE]) < 1


def test_a_recording_without_a_noise_estimate_is_unchanged():
    y = as_type(tone(3, 0.2)[:, None], "PCM_16")
    assert np.array_equal(gate(y, RATE, spectral=True), y)
    assert not gate(np.zeros((RATE, 1)), RATE, spectral=True).any()


def test_a_click_keeps_its_position():
    y = hiss(6, 0.001) + intermittent_harmonics()
    position = int(2.5 * RATE)
    y[position] = 0.9
    out = gate(y, RATE, spectral=True)
    assert int(np.argmax(np.abs(out))) == position


def test_onsets_are_not_attenuated():
    y = intermittent_harmonics() + hiss(6, 0.003)
    out = gate(y, RATE, spectral=True)
    onset = slice(2 * RATE, 2 * RATE + 400)
    assert rms_db(out[onset]) > rms_db(y[onset]) - 0.3


@pytest.mark.parametrize("subtype", [*PCM, *FLOATS])
def test_output_does_not_depend_on_the_block_size(subtype):
    y = as_type((intermittent_harmonics(13) + hiss(13))[:, :1] * [1.0, 0.5], subtype)
    expected = gate_in_blocks(y, len(y))
    assert expected.dtype == y.dtype
    assert expected.shape == y.shape
    for block in (997, 44100):
        assert np.array_equal(gate_in_blocks(y, block), expected)


@examples(15)
@given(
    length=st.one_of(st.sampled_from([0, 1, 255, 256, 257, 511, 513]), st.integers(0, 20000)),
    block=st.integers(1, 9000),
    hop=st.sampled_from([None, 16, 64, 256]),
    reduction=st.sampled_from([0.0, 6.0, np.inf]),
    is_separate=st.booleans(),
    is_mask=st.booleans(),
)
def test_output_does_not_depend_on_the_block_size_for_any_length_and_settings(
    length, block, hop, reduction, is_separate, is_mask
):
    gate_settings = GateSettings.preset(
        "voice",
        spectral="mask" if is_mask else "soft",
        frame_length=512,
        hop_length=hop,
        reduction_db=reduction,
        channels="separate" if is_separate else "linked",
    )
    y = (intermittent_harmonics(1.25, 2) * [1.0, 0.1] + hiss(1.25, channels=2))[:length]
    profile = NoiseProfile((1e-8, 2e-8, 1e-8), 8000.0, "given")
    decision = GateDecision(0.05, gate_settings, None, (profile,) * (2 if is_separate else 1))
    out = gate_in_blocks(y, block, decision)
    assert out.shape == y.shape
    assert np.isfinite(out).all()
    assert np.array_equal(out, gate_in_blocks(y, max(1, length), decision))
    if reduction == 0:
        # As in librosa, the last samples of a mask may lie at the edge of a window.
        np.testing.assert_allclose(out, y, atol=1e-2 if is_mask and hop == 256 else 1e-5)


@pytest.mark.parametrize("offset", [-9, -8, -1, 0, 1, 7, 8])
@pytest.mark.parametrize("spectral", ["soft", "mask"])
def test_output_does_not_depend_on_the_block_size_near_the_end_of_a_batch(offset, spectral):
    gate_settings = GateSettings.preset("voice", spectral=spectral, frame_length=16, hop_length=4)
    hop = 8 if spectral == "soft" else 4
    y = hiss(1)[: frames_per_batch(hop) * hop * 2 + offset]
    profile = NoiseProfile((1e-8, 1e-8), 8000.0, "given")
    decision = GateDecision(0.05, gate_settings, None, (profile,))
    out = gate_in_blocks(y, 1000, decision)
    assert out.shape == y.shape
    assert np.array_equal(out, gate_in_blocks(y, len(y), decision))


@pytest.mark.parametrize("hop", [None, 64, 256])
@pytest.mark.parametrize("gate_settings", [SOFT_WITH_LEVEL, MASK_BY_LEVEL], ids=["soft", "mask"])
def test_live_output_equals_the_output_of_a_file(gate_settings, hop):
    gate_settings = replace(gate_settings, frame_length=512, hop_length=hop)
    y = (intermittent_harmonics() + hiss(6))[:40007]
    decision = GateDecision.from_settings(gate_settings, PROFILES)
    expected = gate_in_blocks(y, len(y), decision)
    assert np.array_equal(gate_in_blocks(y, 997, decision, live=True), expected)


@pytest.mark.parametrize("subtype", [*PCM, *FLOATS])
def test_output_and_residue_sum_to_the_input(subtype):
    y = as_type(intermittent_harmonics() + hiss(6), subtype)
    output, removed = gate_in_blocks(y, 5000, residue=True)
    assert removed.dtype == y.dtype
    assert np.allclose(output.astype(float) + removed, y, rtol=1e-6)


def test_24_bit_samples_stay_24_bit():
    y = as_type(intermittent_harmonics() + hiss(6), "PCM_24")
    analyzer = Analyzer(SOFT, RATE, 1, len(y))
    analyzer.process(y, last=True)
    out, _ = Gate(analyzer.decide(), RATE, quantization_step=256).process(y, last=True)
    assert not (out % 256).any()


def test_the_stereo_image_is_preserved():
    y = intermittent_harmonics(6, 1) * [0.8, 0.2] + hiss(6) * [0.8, 0.2]
    out = gate(y, RATE, spectral=True)
    np.testing.assert_allclose(out[:, 1], out[:, 0] / 4, atol=1e-6)


def test_separate_channels_equal_mono_recordings():
    y = np.concatenate(
        [intermittent_harmonics() + hiss(6), hiss(6, 0.03, 5) + intermittent_harmonics()],
        axis=1,
    )
    separate = GateSettings.preset("voice", spectral="soft", channels="separate")
    out = gate(y, RATE, settings=separate)
    for channel in range(2):
        mono = gate(y[:, channel], RATE, settings=separate)
        np.testing.assert_allclose(out[:, channel], mono, atol=1e-6)


def test_the_broadband_decision_does_not_depend_on_the_spectral_gate():
    y, rate = sf.read(DATA / "speech_hard.flac", dtype="int16", always_2d=True)
    with_spectral = analyze(y, rate, settings=SOFT)
    without_spectral = analyze(y, rate)
    assert with_spectral.closed_share == without_spectral.closed_share
    assert with_spectral.suggestion.verdict == without_spectral.suggestion.verdict


@pytest.mark.parametrize("amplitude", [1e-30, 1e5])
def test_extreme_levels_give_finite_output(amplitude):
    y = ((intermittent_harmonics() + hiss(6)) * amplitude).astype(np.float64)
    profile = NoiseProfile((1e-9, 1e-9), 8000.0, "given")
    out = gate_in_blocks(y, 10000, GateDecision(0.0, SOFT, None, (profile,)))
    assert np.isfinite(out).all()


def test_samples_far_above_full_scale_are_refused():
    y = intermittent_harmonics() * 1e9
    decision = GateDecision.from_settings(SOFT_WITH_LEVEL, PROFILES)
    with pytest.raises(AudioError, match="scale them"):
        gate_in_blocks(y, 10000, decision)


def test_full_scale_samples_never_wrap_around():
    rng = np.random.default_rng(1)
    y = rng.choice([-32768, 32767], (3 * RATE, 1)).astype(np.int16)
    y[RATE : 2 * RATE] //= 1000
    out = gate_in_blocks(
        y, len(y), GateDecision(0.1, SOFT, None, (NoiseProfile((1e-9,) * 2, 8e3, "given"),))
    )
    loud_part = slice(0, RATE // 2)
    assert np.array_equal(np.sign(out[loud_part]), np.sign(y[loud_part]))


def test_the_a_priori_snr_equals_the_published_recursion_in_both_directions():
    rng = np.random.default_rng(3)
    a_posteriori_snr = rng.exponential(1, (8 + 64 + 8, 5)).astype(np.float32)
    a_posteriori_snr[20:40] *= 300
    forward = decision_directed(a_posteriori_snr, 0.95)[8:-8]
    backward = decision_directed(a_posteriori_snr[::-1], 0.95)[::-1][8:-8]
    gain = np.maximum(forward, backward) / (1 + np.maximum(forward, backward))
    expected = np.sqrt(np.sqrt(forward * backward) * gain**2 * a_posteriori_snr[8:-8])
    # Each segment starts a new recursion, whose run-in makes the difference negligible.
    a_priori_snr = compute_a_priori_snr(a_posteriori_snr, smoothing_factor=0.95, segment=16)
    np.testing.assert_allclose(
        a_priori_snr / (1 + a_priori_snr), expected / (1 + expected), atol=0.02
    )


def test_signal_is_absent_among_the_peaks_of_noise_and_present_among_harmonics():
    rng = np.random.default_rng(0)
    snr = np.full((4, 120), 0.01, np.float32)
    snr[0, 60] = 0.3
    snr[1, 40:80:4] = 30
    presence = estimate_presence(snr)
    assert presence.shape == snr.shape
    assert presence[0, 60] < 0.5
    assert presence[1, 48:72].min() > 0.98
    assert presence[1, :24].max() < 0.2
    snr = rng.exponential(1, (4, 120)).astype(np.float32)
    gains = wiener_gain(snr)
    expected = np.where(gains > 0.0631, gains**presence * 0.0631 ** (1 - presence), gains)
    reduce_where_absent(gains, presence)
    np.testing.assert_allclose(gains, expected, rtol=1e-3)


def log_kurtosis_ratio(gains, powers):
    """Return how much more the powers of noise vary after the gains, 0 for a constant gain."""
    reduced = powers * gains.astype(np.float64) ** 2
    before, after = (np.mean(p**2) / np.mean(p) ** 2 for p in (powers.astype(np.float64), reduced))
    return np.log(after / before)


def test_noise_around_a_signal_is_reduced_evenly():
    rng = np.random.default_rng(1)
    powers = rng.exponential(1, (8 + 1024 + 8, 128)).astype(np.float32)
    powers[:, :40] *= 100
    ratio = compute_a_priori_snr(powers, smoothing_factor=0.91, segment=16)
    wiener = wiener_gain(ratio)
    gains = wiener.copy()
    reduce_where_absent(gains, estimate_presence(ratio))
    np.testing.assert_allclose(gains[:, :30], wiener[:, :30], atol=0.01)
    noise, floor = np.s_[:, 60:], np.float32(10 ** (-24 / 20))
    wiener, gains = np.maximum(wiener[noise], floor), np.maximum(gains[noise], floor)
    powers = powers[8:-8][noise]
    assert np.sum(powers * gains**2) < 0.5 * np.sum(powers * wiener**2)
    assert log_kurtosis_ratio(gains, powers) < 0.7 * log_kurtosis_ratio(wiener, powers)


def test_applause_without_pauses_is_unchanged():
    rng = np.random.default_rng(0)
    t = np.arange(RATE // 50) / RATE
    y = np.zeros((11 * RATE, 1))
    for start in rng.integers(0, 10 * RATE, 10 * 120):
        y[start : start + len(t), 0] += rng.normal(0, 0.05, len(t)) * np.exp(-t / 0.004)
    y = y[: 10 * RATE]
    assert np.array_equal(gate(y, RATE, spectral=True), y)


def test_given_noise_is_not_tracked():
    y = intermittent_harmonics() + hiss(6, 0.05)
    output = gate(y, RATE, spectral=True, y_noise=hiss(2, 0.0001))
    signal = slice(int(2.2 * RATE), int(2.8 * RATE))
    assert np.abs(output[signal] - y[signal]).max() < 0.01


def test_stereo_noise_applies_channel_by_channel():
    y = np.concatenate(
        [
            intermittent_harmonics() + hiss(6, 0.02),
            0.05 * intermittent_harmonics() + hiss(6, 0.001, 3),
        ],
        axis=1,
    )
    noise = np.concatenate([hiss(2, 0.02, 5), hiss(2, 0.001, 6)], axis=1)
    separate = GateSettings.preset("voice", spectral="soft", channels="separate")
    out = gate(y, RATE, settings=separate, y_noise=noise)
    for channel in range(2):
        mono = gate(y[:, channel], RATE, settings=separate, y_noise=noise[:, channel])
        np.testing.assert_allclose(out[:, channel], mono, atol=1e-6)
    with pytest.raises(AudioError, match="the noise has 2 channels"):
        gate(y[:, :1], RATE, settings=separate, y_noise=noise)


def test_contradictory_noise_settings_are_refused():
    y = intermittent_harmonics()
    with pytest.raises(SettingsError, match="requires spectral=True"):
        gate(y, RATE, y_noise=hiss(1))
    with pytest.raises(AudioError, match="NaN or infinite"):
        gate(y, RATE, spectral=True, y_noise=np.full((RATE, 1), np.nan))
    for noise in ((0.0, 1.0, 2.0), (2.0, 1.0), (0.0, np.inf), (), ["room.wav"]):
        with pytest.raises(SettingsError, match="noise"):
            GateSettings(spectral="soft", noise=noise)
    with pytest.raises(SettingsError, match="does not use noise"):
        GateSettings(spectral="mask", threshold=0.1, noise="room.wav")


def test_a_channel_without_a_noise_profile_passes_unchanged():
    y = np.concatenate([intermittent_harmonics() + hiss(6), hiss(6, 0.02, 3)], axis=1)
    separate = GateSettings.preset("voice", spectral="soft", channels="separate")
    decision = GateDecision(0.05, separate, None, (None, NoiseProfile((1e-8,) * 2, 8e3, "given")))
    out = gate_in_blocks(y, len(y), decision)
    np.testing.assert_allclose(out[:, 0], y[:, 0], atol=1e-5)
    assert rms_db(out[:, 1]) < rms_db(y[:, 1]) - 20


@pytest.mark.parametrize("frame", [None, 512, 8192])
@pytest.mark.parametrize("gate_settings", [SOFT_WITH_LEVEL, MASK_BY_LEVEL], ids=["soft", "mask"])
def test_live_output_lags_by_no_more_than_the_computed_latency(gate_settings, frame):
    gate_settings = replace(gate_settings, frame_length=frame)
    latency = compute_latency(gate_settings, RATE)
    stream = Gate(GateDecision.from_settings(gate_settings, PROFILES), RATE, live=True)
    y, output_samples = hiss(1.5 * latency / RATE + 1), 0
    for end in range(160, len(y), 160):
        output_samples += len(stream.process(y[end - 160 : end])[0])
        assert output_samples >= end - latency
    assert output_samples > 0
