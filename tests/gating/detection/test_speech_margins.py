"""Tests of the quiet sounds around voices."""

import numpy as np

from noisegate_cli import GateSettings
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.detection.speech_margins import (
    BEFORE_VOICE_MS,
    FADE_MS,
    MIN_OTHER_NOISE_MS,
    find_speech_margins,
    select_noise_outside,
)

EXTRACTOR = BandLevelExtractor(GateSettings(), sample_rate=16000)
FRAMES = EXTRACTOR.frames(8000)
VOICE = slice(EXTRACTOR.frames(3000), EXTRACTOR.frames(4000))
IS_VOICE = np.zeros(FRAMES, np.bool_)
IS_VOICE[VOICE] = True
BEFORE, FADE = EXTRACTOR.frames(BEFORE_VOICE_MS), EXTRACTOR.frames(FADE_MS)


def create_levels(sound_db, fade_frames):
    """Return levels of a voice that fades from −20 to −50 dB, with a sound before it."""
    level_db = np.full(FRAMES, -50.0)
    level_db[VOICE.start - BEFORE // 2 : VOICE.start - BEFORE // 4] = sound_db
    level_db[VOICE] = 0.0
    level_db[VOICE.stop : VOICE.stop + fade_frames] = np.linspace(-20, -50, fade_frames)
    return level_db


def find_margins(sound_db=-35.0, fade_frames=1):
    level_db = create_levels(sound_db, fade_frames)
    return find_speech_margins(IS_VOICE, ~IS_VOICE, level_db, level_db, EXTRACTOR)


def test_a_breath_before_a_voice_belongs_to_speech_and_a_loud_sound_does_not():
    sound = slice(VOICE.start - BEFORE // 2, VOICE.start - BEFORE // 4)
    assert find_margins(sound_db=-35.0)[sound].all()
    assert not find_margins(sound_db=-5.0)[sound].any()
    assert not find_margins()[: VOICE.start - BEFORE].any()


def test_a_tail_belongs_to_speech_until_it_has_faded():
    fade_frames = EXTRACTOR.frames(1000)
    is_margin = find_margins(fade_frames=fade_frames)
    assert is_margin[VOICE.stop : VOICE.stop + fade_frames - 1].all()
    assert not is_margin[VOICE.stop + fade_frames + FADE :].any()


def test_the_floor_of_the_noise_before_a_voice_is_noise():
    between = slice(VOICE.start - BEFORE // 4, VOICE.start)
    assert not find_margins()[between].any()


def test_the_pause_after_a_voice_that_ends_at_once_is_noise():
    assert not find_margins()[VOICE.stop + FADE + 1 :].any()


def test_noise_is_learned_outside_the_margins_if_it_lasts_long_enough_there():
    is_signal, enough = np.zeros(FRAMES, np.bool_), EXTRACTOR.frames(MIN_OTHER_NOISE_MS)
    frames = np.arange(FRAMES)
    assert (select_noise_outside(frames >= enough, is_signal, EXTRACTOR) == (frames < enough)).all()
    assert select_noise_outside(frames >= enough - 1, is_signal, EXTRACTOR).all()
