"""Copy tags, such as title, artist and cover, between recordings in any container.

Between files with the same tag format, all tags are copied unchanged. Between different tag
formats, tags with a name in both are translated, other text is copied under its own name, and
pictures are copied.
"""

import base64
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from noisegate_cli.files.chunks import build_chunk, walk_chunks
from noisegate_cli.files.formats import AudioInfo
from noisegate_cli.files.riff import MetadataChunks, append_raw_chunks


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

MP4_FREEFORM_PREFIX = "----:com.apple.iTunes:"


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
    native: Any = None
    """mutagen's tag object, copied unchanged if the output has the same tag format."""

    def __bool__(self) -> bool:
        return bool(self.text or self.pictures or self.native)

    def first_values(self, ffmpeg: bool = False) -> dict[str, str]:
        """Return the first value of each tag, by FFmpeg's names if `ffmpeg` is true."""
        names = (
            {vorbis_name: ffmpeg_name for ffmpeg_name, vorbis_name in ALIASES.items()}
            if ffmpeg
            else {}
        )
        return {names.get(name, name): values[0] for name, values in self.text.items() if values}


def read_tags(path: Path, decoder_tags: dict[str, str], chunks: MetadataChunks | None) -> Tags:
    """Return the tags of a recording.

    Parameters
    ----------
    path
        File to read the tags from.
    decoder_tags
        Tags that the decoder reports.
    chunks
        Metadata chunks of a WAV file; None for other files.
    """
    text = {
        ALIASES.get(name.lower(), name.lower()): [value]
        for name, value in decoder_tags.items()
        if name.lower() not in FFMPEG_FILE_KEYS and value
    }
    if chunks is not None:
        return _parse_wav_tags(chunks)
    import mutagen

    try:
        tagged_file = mutagen.File(path)
    except mutagen.MutagenError:
        # The extension doesn't match the content; without a name, mutagen detects the format.
        tagged_file = (
            mutagen.File(BytesIO(path.read_bytes()))
            if path.stat().st_size < MAX_BUFFERED_FILE_BYTES
            else None
        )
    if tagged_file is None or tagged_file.tags is None:
        pictures = tuple(map(_parse_flac_picture, getattr(tagged_file, "pictures", ())))
        return Tags(text, pictures)
    texts, covers = _parse_native_tags(tagged_file.tags)
    covers += [_parse_flac_picture(picture) for picture in getattr(tagged_file, "pictures", ())]
    return Tags(text | texts, tuple(covers), tagged_file.tags)


def read_channel_mask(path: Path) -> int:
    """Return the channel mask in the comments of a FLAC file; 0 if there is none."""
    from mutagen.flac import FLAC

    with suppress(Exception):  # damaged tags, as in `InputMetadata.tags`
        return int(FLAC(path).tags[CHANNEL_MASK_COMMENT][0], 16)
    return 0


def write_tags(path: Path, info: AudioInfo, tags: Tags) -> None:
    """Write tags to the file at `path`, whose format is given by `info`."""
    if info.format == "FLAC" and info.needs_channel_mask:
        # FLAC has no field for the channel mask and stores it as a comment (RFC 9639, 8.6.2).
        mask = {CHANNEL_MASK_COMMENT: [f"0x{info.channel_mask:04X}"]}
        tags = replace(tags, text=tags.text | mask)
    if not tags:
        return
    if write := TAG_WRITERS.get(info.container.tag_writer):
        write(path, tags)


def _parse_native_tags(native: Any) -> tuple[dict[str, list[str]], list[Picture]]:
    """Return texts by Vorbis comment name, and pictures, from mutagen's tag object."""
    base_classes = type(native).__mro__
    names = {base.__name__ for base in base_classes}
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
            name = ""  # comments for internal use of a program
        if name:
            values = frame.text if isinstance(frame.text, list) else [frame.text]
            text.setdefault(name, []).extend(str(value) for value in values)
    return text, pictures


def _parse_mp4(native: Any) -> tuple[dict[str, list[str]], list[Picture]]:
    by_atom = {name.mp4: name.vorbis for name in TAG_NAMES if name.mp4}
    text: dict[str, list[str]] = {}
    pictures = []
    for atom, values in native.items():
        if atom == "covr":
            mime_types = {13: "image/jpeg", 14: "image/png"}
            pictures += [
                Picture(bytes(p), mime_types.get(p.imageformat, "image/jpeg")) for p in values
            ]
        elif atom in ("trkn", "disk"):
            number, total = values[0]
            text[by_atom[atom]] = [f"{number}/{total}" if total else str(number)]
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
    native = None
    for chunk in (*chunks.before, *chunks.after):
        if chunk.id == b"LIST":
            content = chunks.read(chunk)
            for name, value in _parse_info_list(content, chunks.big):
                if name in by_id and name != b"ISFT":
                    text.setdefault(by_id[name], []).append(value)
        elif chunk.id.lower() == b"id3 ":
            from mutagen.id3 import ID3

            native = ID3(BytesIO(chunks.read(chunk)))
            texts, id3_pictures = _parse_id3(native)
            text |= texts
            pictures += tuple(id3_pictures)
    return Tags(text, pictures, native)


def _parse_info_list(content: bytes, big: bool) -> Iterator[tuple[bytes, str]]:
    """Yield the IDs and the texts in a LIST chunk of type INFO."""
    if content[:4] != b"INFO":
        return
    for chunk in walk_chunks(
        lambda offset, size: content[offset : offset + size], 4, len(content), big
    ):
        value = content[chunk.offset : chunk.offset + chunk.size].split(b"\0")[0]
        if value:
            try:
                yield chunk.id, value.decode()
            except UnicodeDecodeError:
                yield chunk.id, value.decode("cp1252", "replace")


def _build_tag_chunks(tags: Tags) -> Iterator[bytes]:
    """Yield a LIST chunk, and an ID3 chunk if there are tags that LIST can't hold."""
    by_name = {name.vorbis: name.info for name in TAG_NAMES if name.info}
    parts = [
        build_chunk(by_name[name], values[0].encode() + b"\0")
        for name, values in tags.text.items()
        if name in by_name and values
    ]
    if parts:
        yield build_chunk(b"LIST", b"INFO" + b"".join(parts))
    if tags.pictures or set(tags.text) - set(by_name):
        from mutagen.id3 import ID3

        native = ID3()
        _fill_id3(native, tags)
        file = BytesIO()
        native.save(file)
        yield build_chunk(b"id3 ", file.getvalue())


def _write_riff(path: Path, tags: Tags) -> None:
    append_raw_chunks(path, list(_build_tag_chunks(tags)))


def _parse_flac_picture(block: Any) -> Picture:
    return Picture(block.data, block.mime, int(block.type), block.desc)


def _build_flac_picture(picture: Picture) -> Any:
    from mutagen.flac import Picture as Block

    block = Block()
    block.data, block.mime = picture.data, picture.mime
    block.type, block.desc = picture.kind, picture.description
    if picture.data.startswith(b"\x89PNG\r\n\x1a\n") and len(picture.data) > 24:
        block.width, block.height = struct.unpack(">II", picture.data[16:24])
    return block


def _fill_id3(target: Any, tags: Tags) -> None:
    """Add tags to `target` as ID3 frames; frames of an ID3 source are copied unchanged."""
    from mutagen import id3

    if isinstance(tags.native, id3.ID3Tags):
        for frame in tags.native.values():
            target.add(frame)
        return
    by_name = {name.vorbis: name.id3 for name in TAG_NAMES if name.id3}
    for name, values in tags.text.items():
        frame = by_name.get(name, "TXXX")
        fields = {"desc": name} if frame == "TXXX" else {}
        if frame in ("COMM", "USLT"):
            fields = {"desc": "", "lang": "XXX"}
        text = values if frame != "USLT" else values[0]
        target.add(getattr(id3, frame)(encoding=3, text=text, **fields))
    for picture in tags.pictures:
        target.add(
            id3.APIC(
                encoding=3,
                mime=picture.mime,
                type=picture.kind,
                desc=picture.description,
                data=picture.data,
            )
        )


def _save_id3(file: Any, tags: Tags) -> None:
    if file.tags is None:
        file.add_tags()
    _fill_id3(file.tags, tags)
    # The copy of an ID3v2.3 tag must stay readable for programs that support only ID3v2.3.
    version = getattr(tags.native, "version", (2, 4, 0))
    is_id3v23 = isinstance(version, tuple) and version[:2] == (2, 3)
    if is_id3v23:
        file.tags.update_to_v23()
    file.save(v2_version=3 if is_id3v23 else 4)


def _write_mp3(path: Path, tags: Tags) -> None:
    from mutagen.mp3 import MP3

    _save_id3(MP3(path), tags)


def _write_aiff(path: Path, tags: Tags) -> None:
    from mutagen.aiff import AIFF

    _save_id3(AIFF(path), tags)


def _write_tta(path: Path, tags: Tags) -> None:
    from mutagen.apev2 import delete
    from mutagen.trueaudio import TrueAudio

    delete(path)  # players ignore ID3 tags if the encoder's APE tag is there
    _save_id3(TrueAudio(path), tags)


def _build_vorbis_comments(tags: Tags) -> list[tuple[str, str]]:
    """Return tags as Vorbis comments, without pictures; Vorbis comments stay unchanged."""
    native = tags.native
    if any(base.__name__ == "VComment" for base in type(native).__mro__):
        comments = [
            (name, value)
            for name, value in native
            if name.lower() not in (PICTURE_COMMENT, CHANNEL_MASK_COMMENT)
        ]
        return comments + [
            (CHANNEL_MASK_COMMENT, value) for value in tags.text.get(CHANNEL_MASK_COMMENT, [])
        ]
    return [(name, value) for name, values in tags.text.items() for value in values]


def _build_picture_comments(tags: Tags) -> list[tuple[str, str]]:
    native = tags.native
    if any(base.__name__.startswith("Ogg") for base in type(native).__mro__):
        return [(name, value) for name, value in native if name.lower() == PICTURE_COMMENT]
    blocks = [
        base64.b64encode(_build_flac_picture(picture).write()).decode() for picture in tags.pictures
    ]
    return [(PICTURE_COMMENT, block) for block in blocks]


def _write_flac(path: Path, tags: Tags) -> None:
    from mutagen.flac import FLAC

    file = FLAC(path)
    if file.tags is None:
        file.add_tags()
    file.tags[:] = _build_vorbis_comments(tags)
    file.clear_pictures()
    for picture in tags.pictures:
        file.add_picture(_build_flac_picture(picture))
    file.save()


def _write_ogg(path: Path, tags: Tags) -> None:
    import mutagen

    file = mutagen.File(path)
    file.tags[:] = _build_vorbis_comments(tags) + _build_picture_comments(tags)
    file.save()


def _write_mp4(path: Path, tags: Tags) -> None:
    from mutagen.mp4 import MP4, MP4Cover, MP4Tags

    file = MP4(path)
    if file.tags is None:
        file.add_tags()
    if isinstance(tags.native, MP4Tags):
        file.tags.update(tags.native)
        file.save()
        return
    by_name = {name.vorbis: name.mp4 for name in TAG_NAMES if name.mp4}
    for name, values in tags.text.items():
        atom = by_name.get(name, "")
        if atom in ("trkn", "disk"):
            parts = [int(n) for n in values[0].split("/") if n.isdecimal()]
            if parts:
                file.tags[atom] = [(parts[0], parts[1] if len(parts) > 1 else 0)]
        elif atom:
            file.tags[atom] = values
        else:
            file.tags[MP4_FREEFORM_PREFIX + name] = [value.encode() for value in values]
    if tags.pictures:
        file.tags["covr"] = [
            MP4Cover(p.data, 14 if p.mime.endswith("png") else 13) for p in tags.pictures
        ]
    file.save()


def _write_ape(path: Path, tags: Tags) -> None:
    from mutagen.apev2 import BINARY, APEv2, APEValue
    from mutagen.wavpack import WavPack

    file = WavPack(path)
    if file.tags is None:
        file.add_tags()
    if isinstance(tags.native, APEv2):
        for name, value in tags.native.items():
            file.tags[name] = value
        file.save()
        return
    by_name = {name.vorbis: name.ape for name in TAG_NAMES if name.ape}
    for name, values in tags.text.items():
        with suppress(KeyError):  # APE forbids some names
            file.tags[by_name.get(name) or name] = values
    for picture in tags.pictures[:1]:
        extension = "png" if picture.mime.endswith("png") else "jpg"
        content = f"cover.{extension}".encode() + b"\0" + picture.data
        file.tags["Cover Art (Front)"] = APEValue(content, BINARY)
    file.save()


TAG_WRITERS: dict[str, Callable[[Path, Tags], None]] = {
    "riff": _write_riff,
    "mp3": _write_mp3,
    "aiff": _write_aiff,
    "tta": _write_tta,
    "flac": _write_flac,
    "ogg": _write_ogg,
    "mp4": _write_mp4,
    "ape": _write_ape,
}
"""Function that writes tags, for each `Format.tag_writer` that is not an encoder."""
