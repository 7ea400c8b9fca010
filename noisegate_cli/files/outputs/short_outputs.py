"""Check outputs that are shorter than a frame of their codec.

Encoders write nothing for a recording without samples, and FFmpeg does not remove the padding of
some recordings whose first packet is also the last one.
"""

from pathlib import Path

from noisegate_cli.errors import AudioError, OutputError
from noisegate_cli.files.audio_info import STDIO_PATH, AudioInfo
from noisegate_cli.files.formats import find_subtype
from noisegate_cli.files.inputs.reader import AudioReader
from noisegate_cli.text import quote_path

MAX_SHORT_SAMPLES = 4096
"""Number of samples per channel up to which an output is read again: the longest frame."""


def check_short_output(path: Path, info: AudioInfo, samples: int) -> None:
    """Raise OutputError if a file in a compressed format has the wrong number of samples.

    Parameters
    ----------
    path
        File to read.
    info
        Properties of the output; its path is for the message.
    samples
        Number of samples per channel that were written.
    """
    fills_last_block = find_subtype(info.subtype).is_block_coded
    if samples > MAX_SHORT_SAMPLES or fills_last_block or _has_samples(path, info, samples):
        return
    length = {0: "no samples", 1: "only 1 sample"}.get(samples, f"only {samples} samples")
    name = "standard output" if info.path == STDIO_PATH else quote_path(info.path)
    raise OutputError(
        f"{name} cannot store a recording that has {length}: use output= with a name "
        "that ends in .wav"
    )


def _has_samples(path: Path, info: AudioInfo, samples: int) -> bool:
    """Return whether a file has a number of samples per channel at the sample rate of `info`."""
    try:
        with AudioReader(path, track=info.track if info.keeps_tracks else None) as reader:
            count = sum(len(block) for block, _ in reader.blocks())
            # Opus in Matroska is decoded at 48 kHz.
            return count * info.sample_rate == samples * reader.info.sample_rate
    except AudioError:
        return False
