"""Metadata of the input, and how it is copied to the output."""

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.containers.riff import MetadataChunks, append_metadata_chunks
from noisegate_cli.files.formats import usual_name
from noisegate_cli.files.outputs.wav_encoder import is_wav_encodable

if TYPE_CHECKING:
    from noisegate_cli.files.chapters import Chapter
    from noisegate_cli.files.tags.reading import Tags


@dataclass(frozen=True, eq=False, repr=False)
class InputMetadata:
    """Metadata that is copied from the input to the output."""

    path: Path
    """Path of the input file."""
    decoder_tags: dict[str, str] = field(default_factory=dict)
    """Tags that the decoder of the input reports."""
    chunks: MetadataChunks | None = None
    decoder_chapters: "tuple[Chapter, ...]" = ()
    """Chapters that the decoder of the input reports, in addition to those in tags."""
    duration: float = 0.0
    """Duration of the input in seconds; 0 if unknown."""
    keep_mtime: bool = False
    """Whether to copy the modification time."""
    keep_mode: bool = False
    """Whether the output gets no permissions that the input does not have, except for the owner."""
    warnings: list[str] = field(default_factory=list)
    """Warnings about metadata that could not be copied."""

    @cached_property
    def tags(self) -> "Tags":
        """Tags of the input, such as title, artist and cover."""
        from noisegate_cli.files.tags.reading import Tags, read_tags

        try:
            tags = read_tags(self.path, self.decoder_tags, self.chunks, self.duration)
        except Exception:  # Damaged tags must not prevent writing the recording.
            self.warnings.append("its tags are damaged and are not copied")
            tags = Tags()
        return tags if tags.chapters else replace(tags, chapters=self.decoder_chapters)

    def has_atoms(self, info: AudioInfo) -> bool:
        """Return whether the tags are MP4 atoms that an output can hold as they are."""
        return info.container.tag_writer == "mp4" and type(self.tags.native).__name__ == "MP4Tags"

    def copy_mtime(self, path: Path) -> None:
        """Copy the modification time to an output, if that is wanted."""
        if self.keep_mtime:
            source_status = self.path.stat()
            os.utime(path, ns=(source_status.st_atime_ns, source_status.st_mtime_ns))

    def warn(self, warning: str) -> None:
        """Add a warning; the residue has the same format and would repeat it."""
        if warning not in self.warnings:
            self.warnings.append(warning)

    def warn_of_lost_chapters(self, chapters: "tuple[Chapter, ...]", info: AudioInfo) -> None:
        """Add a warning if there are chapters, which an output cannot store."""
        if chapters:
            self.warn(
                f"its {len(chapters)} chapters are not copied: "
                f"{usual_name(info.format)} cannot store them"
            )


def copy_metadata(path: Path, info: AudioInfo, metadata: InputMetadata | None) -> None:
    """Copy the metadata of the input to a complete file."""
    if metadata is None:
        return
    if info.is_ambisonic_opus and info.subtype != "OPUS":
        metadata.warn(f"its channels are ambisonic: {usual_name(info.format)} cannot declare that")
    if info.keeps_tracks and not metadata.has_atoms(info):
        pass  # The encoder has written the metadata.
    elif metadata.chunks is not None and info.container.is_wav:
        if not is_wav_encodable(info):
            append_metadata_chunks(path, metadata.chunks)
    elif metadata.chunks is None or metadata.chunks or info.needs_channel_mask:
        from noisegate_cli.files.tags.writing import WRITERS_OF_CHAPTERS, write_tags

        try:
            write_tags(path, info, metadata.tags)
        except Exception as error:  # as in InputMetadata.tags
            if (system_error := _find_system_error(error)) is not None:
                raise system_error from error
            metadata.warnings.append(f"its tags cannot be copied ({error})")
        if info.container.tag_writer not in WRITERS_OF_CHAPTERS:
            metadata.warn_of_lost_chapters(metadata.tags.chapters, info)
    metadata.copy_mtime(path)


def _find_system_error(error: BaseException) -> OSError | None:
    """Return the OSError that has caused an error; mutagen converts it to its own type."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause
