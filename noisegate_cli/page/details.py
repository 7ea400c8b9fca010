"""Spectrograms of the segments whose sound is on the page of a long recording."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.spectrogram import SpectrogramMeter
from noisegate_cli.page.codes import encode_spectrogram
from noisegate_cli.page.survey import SPECTROGRAM_BANDS, Survey
from noisegate_cli.samples import Samples

MIN_COARSE_FRAMES = 4
"""The spectrogram of the whole recording is coarse if a column has more frames than this."""


class DetailCollector:
    """Collects the spectrograms of segments while their sound is encoded."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._frame_length = survey.timing.frame_length
        self.column = self._frame_length // 2
        """Samples in a column."""
        self._is_needed = survey.spectrogram_column > MIN_COARSE_FRAMES * self.column
        self.spectrograms: list[NDArray[np.uint8]] = []
        """Shades of each segment, shaped (columns, bands); empty if none is needed."""

    def watch(self, parts: Iterator[Samples]) -> Iterator[Samples]:
        """Yield the parts of a segment, shaped (samples, channels), and add its spectrogram."""
        if not self._is_needed:
            yield from parts
            return
        rate = self._survey.analysis.info.sample_rate
        meter = SpectrogramMeter(rate, self._frame_length, 1, SPECTROGRAM_BANDS)
        columns, channels = [], self._survey.analysis.info.channels
        for part in parts:
            columns.append(meter.process(part))
            yield part
        columns.append(meter.process(np.zeros((0, channels), np.float32), last=True))
        loudest_db = self._survey.spectrogram_loudest_db
        self.spectrograms.append(encode_spectrogram(np.concatenate(columns), loudest_db))
