import numpy as np
import pytest

from noisegate_cli import gate
from noisegate_cli.gating.detection.tonal_noise import SparseSpectra, find_music
from noisegate_cli.gating.frames.tonality import NarrowBandExtractor

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


def extract_spectra(y):
    powers = NarrowBandExtractor(RATE).compute(np.asarray(y)[:, None])[:, 0]
    return SparseSpectra(np.arange(len(powers)), powers)


def create_noise(seconds=20, seed=3):
    return np.random.default_rng(seed).normal(0, 0.05, seconds * RATE)


def create_melody(seconds=20, note_s=0.7, voices=8, seed=3):
    """Return chords of random pitch in noise; together, they have a smooth spectrum."""
    rng, y = np.random.default_rng(seed), create_noise(seconds)
    t = np.arange(round(note_s * RATE)) / RATE
    fade = np.minimum(1, np.minimum(t, t[::-1]) / 0.02)
    for start in range(0, len(y) - len(t), len(t)):
        for hz in rng.uniform(200, 2000, voices):
            tone = sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 5))
            y[start : start + len(t)] += 0.05 * fade * tone
    return y


def create_hum(seconds=20):
    t = np.arange(seconds * RATE) / RATE
    tones = sum(np.sin(200 * np.pi * k * t) / k for k in range(1, 30))
    return create_noise(seconds) + 0.05 * tones


def test_a_melody_is_found_although_its_mean_spectrum_is_smooth():
    spectra = extract_spectra(create_melody())
    is_any = np.ones(len(spectra.frames), np.bool_)
    assert not spectra.is_tonal(is_any)
    assert spectra.has_melody(is_any)


@pytest.mark.parametrize("create", [create_noise, create_hum])
def test_noise_and_constant_tones_have_no_melody(create):
    for seconds in (2, 5, 20):
        spectra = extract_spectra(create(seconds))
        assert not spectra.has_melody(np.ones(len(spectra.frames), np.bool_))


@pytest.mark.parametrize("selected", [0, 1, 2])
def test_too_few_spectra_have_no_melody(selected):
    spectra = extract_spectra(create_melody())
    assert not spectra.has_melody(np.arange(len(spectra.frames)) < selected)


@pytest.mark.parametrize("preset", ["voice", "music", "field"])
def test_music_whose_quiet_parts_are_6_db_lower_is_left_unchanged(preset):
    y = create_melody()
    y *= np.repeat([1, 0.5, 1, 0.5, 1], len(y) // 5)
    np.testing.assert_array_equal(gate(y, RATE, preset=preset), y)
