import numpy as np
import pytest

from noisegate_cli import gate
from noisegate_cli.gating.detection.tonal_noise import SparseSpectra, find_music

RATE, BANDS = 16000, 496
FRAMES, STEP = 400, 10


def spectra(is_tonal, seed=0):
    """Spectra of noise or of tones at every tenth frame."""
    rng = np.random.default_rng(seed)
    frames = np.arange(0, FRAMES, STEP)
    powers = rng.chisquare(4, (len(frames), BANDS))
    tones = np.where(np.arange(BANDS) % 15 == 0, 300, 1)
    powers[is_tonal[frames]] *= tones
    return SparseSpectra(frames, powers.astype(np.float32))


def changing(seed=1):
    return np.random.default_rng(seed).normal(-50, 4, FRAMES)


MIDDLE = (np.arange(FRAMES) >= 100) & (np.arange(FRAMES) < 250)
ALL = np.ones(FRAMES, np.bool_)


def test_a_tonal_segment_of_supposed_noise_is_music():
    found = find_music(spectra(MIDDLE), ALL, changing(), lag=15)
    assert found[110:240].all()
    assert not found[:80].any()
    assert not found[270:].any()


def test_noise_is_not_music():
    assert not find_music(spectra(~ALL), ALL, changing(), lag=15).any()


def test_tones_of_constant_level_are_hum():
    level = np.where(MIDDLE, -45.0, -60.0)
    assert not find_music(spectra(MIDDLE), ALL, level, lag=15).any()


def test_only_supposed_noise_is_examined():
    found = find_music(spectra(MIDDLE), ~MIDDLE, changing(), lag=15)
    assert not found[100:250].any()


def test_a_single_spectrum_must_be_more_tonal():
    one = spectra(ALL).select(np.arange(FRAMES) < STEP)
    is_noise = np.ones(STEP, np.bool_)
    assert len(one.frames) == 1
    assert find_music(one, is_noise, changing()[:STEP], lag=5).all()
    one = spectra(~ALL).select(np.arange(FRAMES) < STEP)
    assert not find_music(one, is_noise, changing()[:STEP], lag=5).any()


def test_no_spectra_find_no_music():
    nothing = SparseSpectra(np.zeros(0, np.int64), np.zeros((0, BANDS), np.float32))
    assert not find_music(nothing, ALL, changing(), lag=15).any()


def test_selected_spectra_count_the_selected_frames():
    selected = spectra(ALL).select(~MIDDLE)
    assert selected.frames.tolist() == [*range(0, 100, STEP), *range(100, 250, STEP)]
    assert len(selected.powers) == len(selected.frames)


def melody(seconds, rate=RATE):
    """A note every half a second, which decays."""
    t = np.arange(round(seconds * rate)) / rate
    notes = np.array([262, 330, 392, 330, 294, 349])[(t * 2).astype(int) % 6]
    phase = 2 * np.pi * np.cumsum(notes) / rate
    return sum(np.sin(k * phase) / k for k in (1, 2, 3)) * 0.2 * 10 ** (-(t % 0.5) / 0.6)


@pytest.mark.parametrize("gain", [0.1, 1.0])
def test_music_that_fades_in_opens_the_gate_from_its_quiet_beginning(gain):
    t = np.arange(24 * RATE) / RATE
    noise = np.random.default_rng(0).normal(0, 1e-4, len(t))
    music = melody(24) * np.clip((t - 4) / 12, 0, 1) ** 2 * (t < 20)
    y = gain * (music + noise)
    out = gate(y, RATE)
    from_6_s, pause = slice(6 * RATE, 19 * RATE), slice(1 * RATE, 3 * RATE)
    assert np.array_equal(out[from_6_s], y[from_6_s])
    assert not out[pause].any()
