"""Decode the end of a recording through PyAV at another sample rate than FFmpeg's decoder has."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import av
import numpy as np

from noisegate_cli.files.ffmpeg.decoder import PyavDecoder
from noisegate_cli.files.holes import Hole
from noisegate_cli.samples import Samples


class ResampledDecoder:
    """A decoder of float samples whose output is resampled.

    FFmpeg decodes Opus at 48 kHz; libsndfile decodes it at the rate of the original recording.

    Parameters
    ----------
    decoder
        Decoder of the recording; this object closes it.
    sample_rate
        Sample rate of the output in Hz.
    """

    def __init__(self, decoder: PyavDecoder, sample_rate: int) -> None:
        self._decoder = decoder
        self._layout = f"{decoder.info.channels} channels"
        self._resampler = av.AudioResampler("flt", self._layout, sample_rate)
        self.info = replace(decoder.info, sample_rate=sample_rate)

    @property
    def holes(self) -> list[Hole]:
        """Holes that are filled with silence; see `Decoder.holes`."""
        ratio = self.info.sample_rate / self._decoder.info.sample_rate
        return [
            Hole(round(hole.start * ratio), round(hole.length * ratio))
            for hole in self._decoder.holes
        ]

    def __enter__(self) -> "ResampledDecoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()

    def blocks_from(self, start: int, length: int) -> Iterator[tuple[Samples, bool]]:
        """Read to the end, starting at sample `start`; see `PyavDecoder.blocks_from`."""
        for block, last in self._decoder.blocks(length):
            frames = self._resampler.resample(self._build_frame(block)) if len(block) else []
            frames += self._resampler.resample(None) if last else []
            samples = [frame.to_ndarray().reshape(-1, self.info.channels) for frame in frames]
            resampled = np.concatenate([*samples, np.zeros((0, self.info.channels), np.float32)])
            skipped = min(start, len(resampled))
            start -= skipped
            if skipped < len(resampled) or last:
                yield resampled[skipped:], last

    def _build_frame(self, block: Samples) -> Any:
        packed = np.ascontiguousarray(block, np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", self._layout)
        frame.sample_rate = self._decoder.info.sample_rate
        return frame
