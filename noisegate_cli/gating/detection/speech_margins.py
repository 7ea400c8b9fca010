"""Find the quiet sounds of speech around voices, from which noise must not be learned.

A tail of reverberation sinks into the noise, and a breath or a quiet consonant precedes a word.
Their low scores label them as noise. Then the distribution of noise is wide, and the gate closes on
all such sounds. As the scores do not show them, they are found by their place: a tail decays after
a voice, and the sounds before a voice are quiet.
"""

import numpy as np

from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.detection.signal_model import select_noise
from noisegate_cli.gating.detection.tails import Flags, LevelsDb, TailFinder
from noisegate_cli.gating.frames.quantile import median

FADE_MS, MIN_FADE_DB, MAX_FADE_GAP_MS = 300.0, 1.0, 60.0
"""A tail lasts as long as the level falls by the least decrease within the first time, except for
gaps. It is slower and longer than in `tails.py`, because it is followed into the noise."""

BEFORE_VOICE_MS, MAX_BEFORE_DB = 500.0, -20.0
"""Time before a voice in which sounds are part of speech if they are quieter than this level, which
is relative to loud voices. Louder ones are events."""

MIN_MARGIN_CONTRAST_DB = 16.0
"""Minimum contrast with which the margins do not count as noise: in loud noise, they are few."""

MIN_OTHER_NOISE_MS = 3000.0
"""Minimum duration of the noise outside the margins. With less, the margins are noise too."""


def find_speech_margins(
    is_voice: Flags,
    is_noise: Flags,
    mean_db: LevelsDb,
    level_db: LevelsDb,
    extractor: BandLevelExtractor,
) -> Flags:
    """Return which frames belong to a tail of a voice, or are quiet and precede a voice.

    None of them is quieter than half of the noise, so that its floor remains noise.

    Parameters
    ----------
    is_voice
        Whether each frame is a voice.
    is_noise
        Whether each frame is labeled as noise.
    mean_db
        Mean level of the bands in each frame.
    level_db
        Level of each frame relative to loud voices.
    extractor
        Extractor of the levels.
    """
    finder = TailFinder(extractor.frames(FADE_MS), MIN_FADE_DB, extractor.frames(MAX_FADE_GAP_MS))
    is_tail = finder.find(is_voice, mean_db)
    frames, before = np.arange(len(is_voice)), extractor.frames(BEFORE_VOICE_MS)
    next_voice = np.where(is_voice, frames, len(frames) + before)
    next_voice = np.minimum.accumulate(next_voice[::-1])[::-1]
    is_before = (next_voice - frames <= before) & (level_db < MAX_BEFORE_DB)
    is_above_floor = mean_db > median(mean_db[is_noise])
    return np.asarray((is_tail | is_before) & is_above_floor)


def select_noise_outside(margins: Flags, is_signal: Flags, extractor: BandLevelExtractor) -> Flags:
    """Return which frames are noise, outside the margins of speech if enough of it is there."""
    is_noise = select_noise(is_signal, extractor)
    is_outside = is_noise & ~margins
    is_enough = np.count_nonzero(is_outside) >= extractor.frames(MIN_OTHER_NOISE_MS)
    return is_outside if is_enough else is_noise
