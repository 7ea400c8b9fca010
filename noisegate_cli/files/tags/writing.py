"""Write tags, such as title, artist and cover, with the library that supports the container."""

import base64
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.chapters import Chapter, build_comments
from noisegate_cli.files.containers.chunks import build_chunk
from noisegate_cli.files.containers.riff import append_raw_chunks
from noisegate_cli.files.tags.reading import (
    CHANNEL_MASK_COMMENT,
    PICTURE_COMMENT,
    TAG_NAMES,
    Picture,
    Tags,
)

MP4_FREEFORM_PREFIX = "----:com.apple.iTunes:"

WRITERS_OF_CHAPTERS = ("riff", "mp3", "aiff", "tta", "flac", "ogg", "mp4", "ffmpeg")
"""Writers of tags for containers that hold chapters; `PyavEncoder` writes those of M4A."""

MAX_ID3_CHAPTERS = 255
"""Maximum number of chapters in an ID3 tag, which counts them in a byte."""

MAX_ID3_TICKS = (1 << 32) - 1
"""Last millisecond in an ID3 tag."""


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


def _build_tag_chunks(tags: Tags) -> Iterator[bytes]:
    """Yield a LIST chunk, and an ID3 chunk if there are tags that LIST cannot hold."""
    by_name = {name.vorbis: name.info for name in TAG_NAMES if name.info}
    parts = [
        build_chunk(by_name[name], values[0].encode() + b"\0")
        for name, values in tags.text.items()
        if name in by_name and values
    ]
    if parts:
        yield build_chunk(b"LIST", b"INFO" + b"".join(parts))
    if tags.pictures or tags.chapters or set(tags.text) - set(by_name):
        from mutagen.id3 import ID3

        native = ID3()
        _fill_id3(native, tags)
        file = BytesIO()
        native.save(file)
        yield build_chunk(b"id3 ", file.getvalue())


def _write_riff(path: Path, tags: Tags) -> None:
    append_raw_chunks(path, list(_build_tag_chunks(tags)))


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
        more = {"desc": name} if frame == "TXXX" else {}
        if frame in ("COMM", "USLT"):
            more = {"desc": "", "lang": "XXX"}
        text = values if frame != "USLT" else values[0]
        target.add(getattr(id3, frame)(encoding=3, text=text, **more))
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
    for frame in _build_chapter_frames(tags.chapters):
        target.add(frame)


def _build_chapter_frames(chapters: tuple[Chapter, ...]) -> list[Any]:
    """Return the frames of an ID3 tag for chapters."""
    from mutagen.id3 import CHAP, CTOC, TIT2, CTOCFlags

    frames: list[Any] = []
    for number, chapter in enumerate(chapters[:MAX_ID3_CHAPTERS]):
        frames.append(
            CHAP(
                element_id=f"chp{number}",
                start_time=min(chapter.start, MAX_ID3_TICKS),
                end_time=min(chapter.end, MAX_ID3_TICKS),
                start_offset=0xFFFFFFFF,  # The offset in bytes is not used.
                end_offset=0xFFFFFFFF,
                sub_frames=[TIT2(encoding=3, text=chapter.title)],
            )
        )
    if frames:
        flags = CTOCFlags.TOP_LEVEL | CTOCFlags.ORDERED
        elements = [frame.element_id for frame in frames]
        frames.append(CTOC(element_id="toc", flags=flags, child_element_ids=elements))
    return frames


def _save_id3(file: Any, tags: Tags) -> None:
    if file.tags is None:
        file.add_tags()
    _fill_id3(file.tags, tags)
    # The copy of an ID3v2.3 tag must stay readable for programs that support only ID3v2.3.
    version = getattr(tags.native, "version", (2, 4, 0))
    older = isinstance(version, tuple) and version[:2] == (2, 3)
    if older:
        file.tags.update_to_v23()
    file.save(v2_version=3 if older else 4)


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
    if any(k.__name__ == "VComment" for k in type(native).__mro__):
        kept = [
            (n, v) for n, v in native if n.lower() not in (PICTURE_COMMENT, CHANNEL_MASK_COMMENT)
        ]
        return kept + [
            (CHANNEL_MASK_COMMENT, value) for value in tags.text.get(CHANNEL_MASK_COMMENT, [])
        ]
    comments = [(name, value) for name, values in tags.text.items() for value in values]
    return comments + build_comments(tags.chapters)


def _build_picture_comments(tags: Tags) -> list[tuple[str, str]]:
    native = tags.native
    if any(k.__name__.startswith("Ogg") for k in type(native).__mro__):
        return [(n, v) for n, v in native if n.lower() == PICTURE_COMMENT]
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
        ending = "png" if picture.mime.endswith("png") else "jpg"
        content = f"cover.{ending}".encode() + b"\0" + picture.data
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
