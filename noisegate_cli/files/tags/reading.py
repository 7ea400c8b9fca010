"""Copy tags, such as title, artist and cover, between recordings in any container.

Between files with the same tag format, all tags are copied unchanged. Between different tag
formats, tags with a name in both are translated, other text is copied under its own name, and
pictures are copied.
"""

import base64
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from noisegate_cli.files.chapters import Chapter, is_chapter_comment, parse_comments, parse_id3
from noisegate_cli.files.containers.chunks import walk_chunks
from noisegate_cli.files.containers.riff import MetadataChunks
from noisegate_cli.files.tags.id3_limits import count_id3_frames
from noisegate_cli.files.tags.limits import MAX_TAGS

ALIASES = {
    "year": "date",
    "date": "date",
    "track": "tracknumber",
    "disc": "discnumber",
    "album_artist": "albumartist",
}
"""Vorbis comment name for each alternative name, such as FFmpeg's."""

FFMPEG_FILE_KEYS = (
    "compatible_brands creation_time duration encoder handler_name language license_url "
    "major_brand minor_version vendor_id"
).split()
"""Keys in FFmpeg's metadata that describe the file and not the recording."""

MAX_BUFFERED_FILE_BYTES = 1 << 26
"""Size limit for files that are read into memory to find their tags."""

PICTURE_COMMENT = "metadata_block_picture"

CHANNEL_MASK_COMMENT = "waveformatextensible_channel_mask"


class TagName(NamedTuple):
    """Name of a tag in each tag format; empty if the format has no name for it."""

    vorbis: str
    id3: str = ""
    mp4: str = ""
    ape: str = ""
    asf: str = ""
    info: bytes = b""


TAG_NAMES = (
    TagName("title", "TIT2", "©nam", "Title", "Title", b"INAM"),
    TagName("artist", "TPE1", "©ART", "Artist", "Author", b"IART"),
    TagName("album", "TALB", "©alb", "Album", "WM/AlbumTitle", b"IPRD"),
    TagName("albumartist", "TPE2", "aART", "Album Artist", "WM/AlbumArtist"),
    TagName("date", "TDRC", "©day", "Year", "WM/Year", b"ICRD"),
    TagName("tracknumber", "TRCK", "trkn", "Track", "WM/TrackNumber", b"ITRK"),
    TagName("discnumber", "TPOS", "disk", "Disc", "WM/PartOfSet"),
    TagName("genre", "TCON", "©gen", "Genre", "WM/Genre", b"IGNR"),
    TagName("comment", "COMM", "©cmt", "Comment", "Description", b"ICMT"),
    TagName("composer", "TCOM", "©wrt", "Composer", "WM/Composer"),
    TagName("copyright", "TCOP", "cprt", "Copyright", "Copyright", b"ICOP"),
    TagName("lyrics", "USLT", "©lyr", "Lyrics", "WM/Lyrics"),
    TagName("grouping", "TIT1", "©grp", "Grouping", "WM/ContentGroupDescription"),
    TagName("isrc", "TSRC", "", "ISRC", "WM/ISRC"),
    TagName("language", "TLAN", "", "Language", "WM/Language", b"ILNG"),
    TagName("software", "TSSE", "©too", "", "", b"ISFT"),
)


class Picture(NamedTuple):
    """A cover or another picture."""

    data: bytes
    mime: str
    kind: int = 3
    """Picture type as in ID3; 3 is the front cover."""
    description: str = ""


@dataclass(frozen=True)
class Tags:
    """Tags of a recording."""

    text: dict[str, list[str]] = field(default_factory=dict)
    """Values by Vorbis comment name, in lower case."""
    pictures: tuple[Picture, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    native: Any = None
    """mutagen's tag object, copied unchanged if the output has the same tag format."""

    def __bool__(self) -> bool:
        return bool(self.text or self.pictures or self.chapters or self.native)

    def first_values(self, ffmpeg: bool = False) -> dict[str, str]:
        """Return the first value of each tag, by FFmpeg's names if `ffmpeg` is true."""
        names = {ours: theirs for theirs, ours in ALIASES.items()} if ffmpeg else {}
        return {names.get(name, name): values[0] for name, values in self.text.items() if values}


def read_tags(
    path: Path, decoder_tags: dict[str, str], chunks: MetadataChunks | None, duration: float = 0.0
) -> Tags:
    """Return the tags of a recording, with its chapters as far as they are in tags.

    Parameters
    ----------
    path
        File to read the tags from.
    decoder_tags
        Tags that the decoder reports.
    chunks
        Metadata chunks of a WAV file; None for other files.
    duration
        Duration of the recording in seconds, which ends the last chapter.
    """
    tags = _read_tags(path, decoder_tags, chunks)
    chapters = tags.chapters or parse_comments(tags.text, duration)
    text = {name: texts for name, texts in tags.text.items() if not is_chapter_comment(name)}
    return replace(tags, text=text, chapters=chapters)


def _read_tags(path: Path, decoder_tags: dict[str, str], chunks: MetadataChunks | None) -> Tags:
    text = {
        ALIASES.get(name.lower(), name.lower()): [value]
        for name, value in decoder_tags.items()
        if name.lower() not in FFMPEG_FILE_KEYS and value
    }
    if chunks is not None:
        return _parse_wav_tags(chunks)
    if _is_other_riff(path):  # mutagen takes it for a WAV file.
        return Tags(text)
    import mutagen

    try:
        found = mutagen.File(path)
    except mutagen.MutagenError:
        # The extension does not match the content; without a name, mutagen detects the format.
        found = (
            mutagen.File(BytesIO(path.read_bytes()))
            if path.stat().st_size < MAX_BUFFERED_FILE_BYTES
            else None
        )
    if found is None or found.tags is None:
        pictures = tuple(map(_parse_flac_picture, getattr(found, "pictures", ())))
        return Tags(text, pictures)
    texts, covers = _parse_native_tags(found.tags)
    covers += [_parse_flac_picture(picture) for picture in getattr(found, "pictures", ())]
    return Tags(text | texts, tuple(covers), _parse_chapter_frames(found.tags), found.tags)


def _is_other_riff(path: Path) -> bool:
    """Return whether a file is RIFF but not WAV, such as AVI."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[:4] == b"RIFF" and head[8:] != b"WAVE"


def read_channel_mask(path: Path) -> int:
    """Return the channel mask in the comments of a FLAC file; 0 if there is none."""
    from mutagen.flac import FLAC

    with suppress(Exception):  # damaged tags, as in `InputMetadata.tags`
        return int(FLAC(path).tags[CHANNEL_MASK_COMMENT][0], 16)
    return 0


def _parse_native_tags(native: Any) -> tuple[dict[str, list[str]], list[Picture]]:
    """Return texts by Vorbis comment name, and pictures, from mutagen's tag object."""
    kind = type(native).__mro__
    names = {k.__name__ for k in kind}
    if "ID3" in names or "ID3Tags" in names:
        return _parse_id3(native)
    if "MP4Tags" in names:
        return _parse_mp4(native)
    if "APEv2" in names:
        return _parse_ape(native)
    if "ASFTags" in names:
        return _parse_asf(native)
    return _parse_vorbis_comments(native)


def _parse_id3(native: Any) -> tuple[dict[str, list[str]], list[Picture]]:
    by_frame = {name.id3: name.vorbis for name in TAG_NAMES if name.id3}
    text: dict[str, list[str]] = {}
    pictures = []
    for frame in native.values():
        if frame.FrameID == "APIC":
            pictures.append(Picture(frame.data, frame.mime, int(frame.type), frame.desc))
            continue
        name = by_frame.get(frame.FrameID, "")
        if frame.FrameID == "TXXX" and frame.desc:
            name = frame.desc.lower()
        elif frame.FrameID == "COMM" and frame.desc:
            name = ""  # comments that programs write for their own use
        if name:
            values = frame.text if isinstance(frame.text, list) else [frame.text]
            text.setdefault(name, []).extend(str(value) for value in values)
    return text, pictures


def _parse_chapter_frames(native: Any) -> tuple[Chapter, ...]:
    """Return the chapters in mutagen's tag object if it is an ID3 tag."""
    from mutagen.id3 import ID3Tags

    return parse_id3(native.values()) if isinstance(native, ID3Tags) else ()


def _parse_mp4(native: Any) -> tuple[dict[str, list[str]], list[Picture]]:
    by_atom = {name.mp4: name.vorbis for name in TAG_NAMES if name.mp4}
    text: dict[str, list[str]] = {}
    pictures = []
    for atom, values in native.items():
        if atom == "covr":
            kinds = {13: "image/jpeg", 14: "image/png"}
            pictures += [Picture(bytes(p), kinds.get(p.imageformat, "image/jpeg")) for p in values]
        elif atom in ("trkn", "disk"):
            number, of = values[0]
            text[by_atom[atom]] = [f"{number}/{of}" if of else str(number)]
        elif atom.startswith("----:"):
            text[atom.rsplit(":", 1)[1].lower()] = [
                bytes(v).decode("utf-8", "replace") for v in values
            ]
        elif atom in by_atom:
            text[by_atom[atom]] = [str(value) for value in values]
    return text, pictures


def _parse_vorbis_comments(native: Any) -> tuple[dict[str, list[str]], list[Picture]]:
    from mutagen.flac import Picture as Block

    text: dict[str, list[str]] = {}
    pictures = []
    for name, value in native:
        if name.lower() == PICTURE_COMMENT:
            with suppress(Exception):  # an invalid picture is skipped
                pictures.append(_parse_flac_picture(Block(base64.b64decode(value))))
        else:
            text.setdefault(ALIASES.get(name.lower(), name.lower()), []).append(value)
    if "description" in text:  # some programs use this name for a comment
        text.setdefault("comment", text.pop("description"))
    return text, pictures


def _parse_ape(native: Any) -> tuple[dict[str, list[str]], list[Picture]]:
    by_name = {name.ape.lower(): name.vorbis for name in TAG_NAMES if name.ape}
    text: dict[str, list[str]] = {}
    pictures = []
    for name, value in native.items():
        if name.lower().startswith("cover art"):
            data = bytes(value.value).partition(b"\0")[2]
            mime = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
            pictures.append(Picture(data, mime))
        elif value.kind == 0:
            text[by_name.get(name.lower(), name.lower())] = list(value)
    return text, pictures


def _parse_asf(native: Any) -> tuple[dict[str, list[str]], list[Picture]]:
    by_name = {name.asf: name.vorbis for name in TAG_NAMES if name.asf}
    text: dict[str, list[str]] = {}
    for name, value in native:
        if name in by_name and str(value):
            text.setdefault(by_name[name], []).append(str(value))
    return text, []


def _parse_wav_tags(chunks: MetadataChunks) -> Tags:
    """Return the tags in the LIST and ID3 chunks of a WAV file."""
    by_id = {name.info: name.vorbis for name in TAG_NAMES if name.info}
    by_id[b"IPRT"] = "tracknumber"
    text: dict[str, list[str]] = {}
    pictures: tuple[Picture, ...] = ()
    native: Any = None
    for chunk in (*chunks.before, *chunks.after):
        if chunk.id == b"LIST":
            content = chunks.read(chunk)
            for name, value in _parse_info_list(content, chunks.big):
                if name in by_id and name != b"ISFT":
                    text.setdefault(by_id[name], []).append(value)
        elif chunk.id.lower() == b"id3 ":
            from mutagen.id3 import ID3

            content = chunks.read(chunk)
            if count_id3_frames(content) > MAX_TAGS:
                raise ValueError("there are too many ID3 frames")
            native = ID3(BytesIO(content))
            texts, found = _parse_id3(native)
            text |= texts
            pictures += tuple(found)
    return Tags(text, pictures, _parse_chapter_frames(native), native)


def _parse_info_list(content: bytes, big: bool) -> Iterator[tuple[bytes, str]]:
    """Yield the IDs and the texts in a LIST chunk of type INFO."""
    if content[:4] != b"INFO":
        return
    for chunk in walk_chunks(lambda at, size: content[at : at + size], 4, len(content), big):
        value = content[chunk.offset : chunk.offset + chunk.size].split(b"\0")[0]
        if value:
            try:
                yield chunk.id, value.decode()
            except UnicodeDecodeError:
                yield chunk.id, value.decode("cp1252", "replace")


def _parse_flac_picture(block: Any) -> Picture:
    return Picture(block.data, block.mime, int(block.type), block.desc)
