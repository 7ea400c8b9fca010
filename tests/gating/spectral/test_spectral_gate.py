"""The spectral gate: against librosa, against the physics, against its promises."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate_cli import GateSettings, analyze, gate
from noisegate_cli.errors import AudioError, SettingsError
from noisegate_cli.gating.analysis import Analyzer
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.frames.framing import frames_per_batch
from noisegate_cli.gating.gate import Gate, compute_latency
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.spectral.wiener import compute_a_priori_snr
from tests.conftest import DATA, FLOATS, PCM, as_type, tone
from tests.reference import decision_directed

RATE = 16000
SOFT = GateSettings.preset("voice", spectral="soft")
MASK = GateSettings.preset("hard", spectral="mask", channels="separate")
KNOWN = replace(SOFT, threshold=0.05).live
PROFILES = (NoiseProfile((1e-8,) * 3, 8000.0, "given"),)
BY_LEVEL = replace(MASK, threshold=0.05).live


def rms_db(y):
    return 20 * np.log10(np.sqrt(np.mean(np.square(y, dtype=np.float64))) + 1e-12)


def hiss(seconds, rms=0.01, seed=0, channels=1):
    return np.random.default_rng(seed).normal(0, rms, (round(seconds * RATE), channels))


def words(seconds=6.0, channels=1):
    """Return harmonics that come and go every second, shaped (samples, channels)."""
    t = np.arange(round(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 20))
    return np.repeat((0.2 * voice * (np.sin(np.pi * t) > 0))[:, None], channels, axis=1)


def streamed(y, block, decision=None, rate=RATE, residue=False, live=False):
    """Return what is kept of `y`, shaped (samples, channels), fed in blocks."""
    if decision is None:
        analyzer = Analyzer(SOFT, rate, y.shape[1], len(y))
        analyzer.process(y, last=True)
        decision = analyzer.decide()
    stream = Gate(decision, rate, y.shape[1], residue=residue, live=live)
    starts = range(0, max(1, len(y)), block)
    parts = [stream.process(y[s : s + block], s + block >= len(y)) for s in starts]
    if not residue:
        return np.concatenate([kept for kept, _ in parts])
    return tuple(np.concatenate(side) for side in zip(*parts, strict=True))


class TestWhatItDoesToSound:
    def test_noise_goes_down_by_the_reduction_in_the_pauses(self):
        y = words() + hiss(6)
        out = gate(y, RATE, spectral=True)
        pause = slice(int(1.3 * RATE), int(1.8 * RATE))
        assert rms_db(y[pause]) - rms_db(out[pause]) == pytest.approx(24, abs=0.2)
        less = gate(y, RATE, settings=GateSettings.preset("voice", spectral="soft", reduction_db=9))
        assert rms_db(y[pause]) - rms_db(less[pause]) == pytest.approx(9, abs=0.2)

    def test_and_under_the_signal_too(self):
        clean, noise = words(), hiss(6)
        out = gate(clean + noise, RATE, spectral=True)
        sounds = slice(int(2.3 * RATE), int(2.8 * RATE))
        # The harmonics fill a third of the bins, and the noise in these stays.
        assert rms_db(noise[sounds]) - rms_db(out[sounds] - clean[sounds]) > 5
        assert rms_db(out[sounds]) == pytest.approx(rms_db(clean[sounds]), abs=0.1)

    def test_both_gates_leave_silence_in_the_pauses(self):
        y = words() + hiss(6)
        both = GateSettings.preset("voice", spectral="soft", range_db=-np.inf)
        out = gate(y, RATE, settings=both)
        assert not out[int(1.3 * RATE) : int(1.8 * RATE)].any()
        alone = gate(y, RATE, spectral=True)
        sounds = slice(int(2.2 * RATE), int(2.8 * RATE))
        assert np.array_equal(out[sounds], alone[sounds])

    def test_hum_goes_down_under_the_signal(self):
        y = words() + tone(6, 0.02, hz=60)[:, None] + hiss(6, 0.001)
        out = gate(y, RATE, spectral=True)

        def hum_db(y):
            spectrum = np.fft.rfft(y[2 * RATE : 3 * RATE, 0] * np.hanning(RATE))
            return 20 * np.log10(np.abs(spectrum[60]))

        assert hum_db(y) - hum_db(out) > 15

    def test_noise_that_grows_is_followed(self):
        clean = words(30)
        growing = hiss(30, 0.003) * np.geomspace(1, 10, 30 * RATE)[:, None]

        def reduction_db(second, **how):
            sounds = slice(int((second + 0.3) * RATE), int((second + 0.8) * RATE))
            out = gate(clean + growing, RATE, spectral=True, **how)
            return rms_db(growing[sounds]) - rms_db(out[sounds] - clean[sounds])

        assert min(reduction_db(second) for second in (2, 14, 26)) > 3.5
        assert reduction_db(26, y_noise=growing[:RATE]) < 1

    def test_where_nothing_is_known_of_the_noise_nothing_is_changed(self):
        y = as_type(tone(3, 0.2)[:, None], "PCM_16")
        assert np.array_equal(gate(y, RATE, spectral=True), y)
        assert not gate(np.zeros((RATE, 1)), RATE, spectral=True).any()

    def test_a_click_is_where_it_was(self):
        y = hiss(6, 0.001) + words()
        at = int(2.5 * RATE)
        y[at] = 0.9
        out = gate(y, RATE, spectral=True)
        assert int(np.argmax(np.abs(out))) == at

    def test_no_onset_is_dulled(self):
        y = words() + hiss(6, 0.003)
        out = gate(y, RATE, spectral=True)
        onset = slice(2 * RATE, 2 * RATE + 400)
        assert rms_db(out[onset]) > rms_db(y[onset]) - 0.3


class TestPromises:
    @pytest.mark.parametrize("subtype", [*PCM, *FLOATS])
    def test_output_does_not_depend_on_blocks(self, subtype):
        y = as_type((words(13) + hiss(13))[:, :1] * [1.0, 0.5], subtype)
        whole = streamed(y, len(y))
        assert whole.dtype == y.dtype
        assert whole.shape == y.shape
        for block in (997, 44100):
            assert np.array_equal(streamed(y, block), whole)

    @settings(max_examples=40)
    @given(
        length=st.one_of(st.sampled_from([0, 1, 255, 256, 257, 511, 513]), st.integers(0, 20000)),
        block=st.integers(1, 9000),
        hop=st.sampled_from([None, 16, 64, 256]),
        reduction=st.sampled_from([0.0, 6.0, np.inf]),
        separate=st.booleans(),
        mask=st.booleans(),
    )
    def test_nor_for_any_length_and_settings(self, length, block, hop, reduction, separate, mask):
        chosen = GateSettings.preset(
            "voice",
            spectral="mask" if mask else "soft",
            frame_length=512,
            hop_length=hop,
            reduction_db=reduction,
            channels="separate" if separate else "linked",
        )
        y = (words(1.25, 2) * [1.0, 0.1] + hiss(1.25, channels=2))[:length]
        profile = NoiseProfile((1e-8, 2e-8, 1e-8), 8000.0, "given")
        decision = GateDecision(0.05, chosen, None, (profile,) * (2 if separate else 1))
        out = streamed(y, block, decision)
        assert out.shape == y.shape
        assert np.isfinite(out).all()
        assert np.array_equal(out, streamed(y, max(1, length), decision))
        if reduction == 0:
            # As in librosa, the last samples of a mask may hang on the very edge of a window.
            np.testing.assert_allclose(out, y, atol=1e-2 if mask and hop == 256 else 1e-5)

    @pytest.mark.parametrize("beyond", [-9, -8, -1, 0, 1, 7, 8])
    @pytest.mark.parametrize("spectral", ["soft", "mask"])
    def test_nor_where_the_last_frames_begin_a_batch(self, beyond, spectral):
        chosen = GateSettings.preset("voice", spectral=spectral, frame_length=16, hop_length=4)
        hop = 8 if spectral == "soft" else 4
        y = hiss(1)[: frames_per_batch(hop) * hop * 2 + beyond]
        profile = NoiseProfile((1e-8, 1e-8), 8000.0, "given")
        decision = GateDecision(0.05, chosen, None, (profile,))
        out = streamed(y, 1000, decision)
        assert out.shape == y.shape
        assert np.array_equal(out, streamed(y, len(y), decision))

    @pytest.mark.parametrize("hop", [None, 64, 256])
    @pytest.mark.parametrize("chosen", [KNOWN, BY_LEVEL], ids=["soft", "mask"])
    def test_nor_whether_it_is_live(self, chosen, hop):
        chosen = replace(chosen, frame_length=512, hop_length=hop)
        y = (words() + hiss(6))[:40007]
        decision = GateDecision.from_settings(chosen, PROFILES)
        expected = streamed(y, len(y), decision)
        assert np.array_equal(streamed(y, 997, decision, live=True), expected)

    @pytest.mark.parametrize("subtype", [*PCM, *FLOATS])
    def test_what_is_kept_and_what_is_removed_are_what_went_in(self, subtype):
        y = as_type(words() + hiss(6), subtype)
        kept, removed = streamed(y, 5000, residue=True)
        assert removed.dtype == y.dtype
        assert np.allclose(kept.astype(float) + removed, y, rtol=1e-6)

    def test_24_bits_stay_24(self):
        y = as_type(words() + hiss(6), "PCM_24")
        analyzer = Analyzer(SOFT, RATE, 1, len(y))
        analyzer.process(y, last=True)
        out, _ = Gate(analyzer.decide(), RATE, step=256).process(y, last=True)
        assert not (out % 256).any()

    def test_the_stereo_image_stands_still(self):
        y = words(6, 1) * [0.8, 0.2] + hiss(6) * [0.8, 0.2]
        out = gate(y, RATE, spectral=True)
        np.testing.assert_allclose(out[:, 1], out[:, 0] / 4, atol=1e-6)

    def test_separate_channels_are_as_if_alone(self):
        y = np.concatenate([words() + hiss(6), hiss(6, 0.03, 5) + words()], axis=1)
        separate = GateSettings.preset("voice", spectral="soft", channels="separate")
        out = gate(y, RATE, settings=separate)
        for channel in range(2):
            alone = gate(y[:, channel], RATE, settings=separate)
            np.testing.assert_allclose(out[:, channel], alone, atol=1e-6)

    def test_the_broadband_gate_opens_where_it_would_without(self):
        y, rate = sf.read(DATA / "speech_hard.flac", dtype="int16", always_2d=True)
        with_it = analyze(y, rate, settings=SOFT)
        without = analyze(y, rate)
        assert with_it.closed_share == without.closed_share
        assert with_it.suggestion.verdict == without.suggestion.verdict

    @pytest.mark.parametrize("amplitude", [1e-30, 1e5])
    def test_no_level_makes_it_stumble(self, amplitude):
        y = ((words() + hiss(6)) * amplitude).astype(np.float64)
        profile = NoiseProfile((1e-9, 1e-9), 8000.0, "given")
        out = streamed(y, 10000, GateDecision(0.0, SOFT, None, (profile,)))
        assert np.isfinite(out).all()

    def test_samples_beyond_all_measure_are_refused(self):
        y = words() * 1e9
        with pytest.raises(AudioError, match="scale them"):
            gate(y, RATE, spectral=True, threshold=0.1)

    def test_full_scale_never_wraps_round(self):
        rng = np.random.default_rng(1)
        y = rng.choice([-32768, 32767], (3 * RATE, 1)).astype(np.int16)
        y[RATE : 2 * RATE] //= 1000
        out = streamed(
            y, len(y), GateDecision(0.1, SOFT, None, (NoiseProfile((1e-9,) * 2, 8e3, "given"),))
        )
        loud = slice(0, RATE // 2)
        assert np.array_equal(np.sign(out[loud]), np.sign(y[loud]))


def test_the_recursion_is_the_one_of_the_paper_in_both_directions():
    rng = np.random.default_rng(3)
    over = rng.exponential(1, (8 + 64 + 8, 5)).astype(np.float32)
    over[20:40] *= 300
    forward = decision_directed(over, 0.95)[8:-8]
    backward = decision_directed(over[::-1], 0.95)[::-1][8:-8]
    gain = np.maximum(forward, backward) / (1 + np.maximum(forward, backward))
    theirs = np.sqrt(np.sqrt(forward * backward) * gain**2 * over[8:-8])
    # Segments start anew: what they forgot is next to nothing.
    ours = compute_a_priori_snr(over, smoothing_factor=0.95, segment=16)
    np.testing.assert_allclose(ours / (1 + ours), theirs / (1 + theirs), atol=0.02)


def test_given_noise_is_not_followed():
    y = words() + hiss(6, 0.05)
    quiet = gate(y, RATE, spectral=True, y_noise=hiss(2, 0.0001))
    sounds = slice(int(2.2 * RATE), int(2.8 * RATE))
    assert np.abs(quiet[sounds] - y[sounds]).max() < 0.01


def test_a_noise_of_two_channels_is_for_two_channels():
    y = np.concatenate([words() + hiss(6, 0.02), 0.05 * words() + hiss(6, 0.001, 3)], axis=1)
    room = np.concatenate([hiss(2, 0.02, 5), hiss(2, 0.001, 6)], axis=1)
    separate = GateSettings.preset("voice", spectral="soft", channels="separate")
    out = gate(y, RATE, settings=separate, y_noise=room)
    for channel in range(2):
        alone = gate(y[:, channel], RATE, settings=separate, y_noise=room[:, channel])
        np.testing.assert_allclose(out[:, channel], alone, atol=1e-6)
    with pytest.raises(AudioError, match="the noise has 2 channels"):
        gate(y[:, :1], RATE, settings=separate, y_noise=room)


def test_what_makes_no_sense_is_said():
    y = words()
    with pytest.raises(SettingsError, match="give spectral=True too"):
        gate(y, RATE, y_noise=hiss(1))
    with pytest.raises(AudioError, match="NaN or infinite"):
        gate(y, RATE, spectral=True, y_noise=np.full((RATE, 1), np.nan))
    for noise in ((0.0, 1.0, 2.0), (2.0, 1.0), (0.0, np.inf), (), ["room.wav"]):
        with pytest.raises(SettingsError, match="noise"):
            GateSettings(spectral="soft", noise=noise)
    with pytest.raises(SettingsError, match="goes by no noise"):
        GateSettings(spectral="mask", threshold=0.1, noise="room.wav")


def test_a_gate_of_which_no_noise_is_known_takes_nothing_away():
    y = np.concatenate([words() + hiss(6), hiss(6, 0.02, 3)], axis=1)
    separate = GateSettings.preset("voice", spectral="soft", channels="separate")
    decision = GateDecision(0.05, separate, None, (None, NoiseProfile((1e-8,) * 2, 8e3, "given")))
    out = streamed(y, len(y), decision)
    np.testing.assert_allclose(out[:, 0], y[:, 0], atol=1e-5)
    assert rms_db(out[:, 1]) < rms_db(y[:, 1]) - 20


@pytest.mark.parametrize("frame", [None, 512, 4096, 32768])
@pytest.mark.parametrize("chosen", [KNOWN, BY_LEVEL], ids=["soft", "mask"])
def test_live_samples_come_out_as_soon_as_is_said(chosen, frame):
    chosen = replace(chosen, frame_length=frame)
    most = compute_latency(chosen, RATE)
    stream = Gate(GateDecision.from_settings(chosen, PROFILES), RATE, live=True)
    y, told = hiss(1.5 * most / RATE + 1), 0
    for end in range(160, len(y), 160):
        told += len(stream.process(y[end - 160 : end])[0])
        assert told >= end - most
    assert told > 0
