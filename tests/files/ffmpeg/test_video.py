"""Videos keep their video and other tracks, and their audio stays in sync."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest

from noisegate_cli import (
    AudioError,
    GateSettings,
    OutputError,
    analyze_file,
    gate_file,
    write_labels,
)
from noisegate_cli.files.inputs.reader import AudioReader, probe
from noisegate_cli.terminal.cli import run
from tests.zoo import sound

AT_003 = GateSettings(threshold=0.03)
RATE = 48000
SUBTITLE = b"Hello, world"
FONT = b"the bytes of a font"


def write_film(
    path,
    codec="flac",
    picture="mpeg4",
    start=0.0,
    seconds=1.0,
    tracks=None,
    extras=(),
    frame_rate=Fraction(25),
):
    """Write a video with noise as the video track; `tracks` are the gains of its audio tracks."""
    rng = np.random.default_rng(0)
    sample_format = {"aac": "fltp", "libopus": "flt"}.get(codec, "s16")
    dtype, scale = (np.int16, 2**15) if sample_format == "s16" else (np.float32, 1)
    with av.open(str(path), "w") as film:
        film.metadata["title"] = "Film"
        video = film.add_stream(picture, rate=frame_rate)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)
        if picture == "mpeg4":
            video.codec_context.max_b_frames = 2
        audio = [
            (gain, film.add_stream(codec, rate=RATE, layout="mono")) for gain in tracks or [1.0]
        ]
        for number, (_, stream) in enumerate(audio):
            stream.codec_context.format = av.AudioFormat(sample_format)
            stream.metadata["title"] = ("Stage", "Comment", "Music")[number]
            stream.metadata["language"] = ("eng", "deu", "fra")[number]
        subtitles = film.add_mux_stream("subrip") if "subtitles" in extras else None
        if "font" in extras:
            film.add_attachment("font.ttf", "font/ttf", FONT)
        if "chapters" in extras:
            ends = [0, 400, 1000]
            film.set_chapters(
                [
                    {
                        "id": n,
                        "start": ends[n - 1],
                        "end": ends[n],
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": f"Part {n}"},
                    }
                    for n in (1, 2)
                ]
            )
        packets = []
        for n in range(round(25 * seconds)):
            image = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = n, 1 / frame_rate
            packets += video.encode(frame)
        packets += video.encode(None)
        for gain, stream in audio:
            y = (gain * sound(RATE, seconds) * scale).astype(dtype).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(y, sample_format.rstrip("p"), "mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = round(start * RATE)
            packets += [*stream.encode(frame), *stream.encode(None)]
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        film.mux(packets)
        if subtitles:
            packet = av.Packet(SUBTITLE)
            packet.stream, packet.time_base = subtitles, Fraction(1, 1000)
            packet.pts = packet.dts = 300
            packet.duration = 500
            film.mux_one(packet)
    return path


def read_packets(path):
    """Return the packets of each stream with their times in seconds, and the facts of a file."""
    with av.open(str(path)) as film:
        kinds = {s.index: s.type for s in film.streams if s.type in ("video", "audio", "subtitle")}
        packets = {index: [] for index in kinds}
        for packet in film.demux(*(film.streams[index] for index in kinds)):
            if packet.size:
                packets[packet.stream.index].append(
                    (float((packet.pts or 0) * packet.time_base), bytes(packet))
                )
        facts = {
            "title": film.metadata.get("title"),
            "chapters": [
                (
                    float(c["start"] * c["time_base"]),
                    float(c["end"] * c["time_base"]),
                    c["metadata"],
                )
                for c in film.chapters()
            ],
            "fonts": [stream.data for stream in film.streams.attachments],
            "names": [
                s.metadata.get("title") or s.metadata.get("name") for s in film.streams.audio
            ],
            "languages": [s.metadata.get("language") for s in film.streams.audio],
            "aspect": film.streams.video[0].sample_aspect_ratio,
            "rate": film.streams.video[0].average_rate,
        }
    return packets, facts


def read_audio(path, track=None):
    """Return the samples of a track, and the time of the first one in seconds."""
    with AudioReader(path, track=track) as reader:
        blocks = [block.copy() for block, _ in reader.blocks()]
        return np.concatenate(blocks)[:, 0], reader.info.start


def assert_same_packets(before, after, index):
    assert [octets for _, octets in after[index]] == [octets for _, octets in before[index]]
    times = [[time for time, _ in packets[index]] for packets in (before, after)]
    assert np.allclose(*times, atol=1e-9)


LOSSLESS = [("mkv", "flac"), ("mkv", "pcm_s16le"), ("mov", "pcm_s16le")]


@pytest.mark.parametrize(("extension", "codec"), LOSSLESS)
@pytest.mark.parametrize("start", [0.0, 0.25])
def test_the_video_is_copied_and_lossless_audio_stays_at_its_sample(
    tmp_path, extension, codec, start
):
    source = write_film(tmp_path / f"film.{extension}", codec, start=start, extras=["chapters"])
    result = gate_file(source, settings=AT_003)
    assert result.output.path == tmp_path / f"film_gated.{extension}"
    assert (result.output.keeps_tracks, result.warnings) == (True, ())
    before, facts = read_packets(source)
    after, kept = read_packets(result.output.path)
    assert_same_packets(before, after, 0)
    assert kept == facts
    x, start_before = read_audio(source)
    y, start_after = read_audio(result.output.path)
    assert start_after == start_before == pytest.approx(start, abs=1e-9)
    assert len(x) == len(y)
    assert np.array_equal(x[:14000], y[:14000])
    assert np.count_nonzero(y == 0) > 5000
    with av.open(str(source)) as one, av.open(str(result.output.path)) as other:
        names = [film.streams.audio[0].codec_context.name for film in (one, other)]
    assert names == [codec, codec]


@pytest.mark.parametrize(
    ("extension", "codec", "picture"),
    [("mp4", "aac", "mpeg4"), ("mkv", "aac", "mpeg4"), ("webm", "libopus", "libvpx")],
)
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_lossy_audio_stays_in_sync_with_the_video(tmp_path, extension, codec, picture, start):
    source = write_film(tmp_path / f"film.{extension}", codec, picture, start)
    out = gate_file(source, settings=AT_003).output.path
    before, after = read_packets(source)[0], read_packets(out)[0]
    assert_same_packets(before, after, 0)
    (x, start_before), (y, start_after) = read_audio(source), read_audio(out)
    spectrum = np.fft.rfft(y, 1 << 17) * np.conj(np.fft.rfft(x, 1 << 17))
    lag = np.argmax(np.fft.irfft(spectrum))
    shift = start_after - start_before + (lag if lag < 1 << 16 else lag - (1 << 17)) / RATE
    assert abs(shift) < 0.001


def test_all_other_tracks_of_a_matroska_file_are_copied(tmp_path):
    extras = ["subtitles", "font", "chapters"]
    source = write_film(tmp_path / "film.mkv", tracks=[1.0, 0.5], extras=extras)
    out = gate_file(source, settings=AT_003, track=2).output.path
    before, facts = read_packets(source)
    after, kept = read_packets(out)
    for index in (0, 1, 3):
        assert_same_packets(before, after, index)
    assert after[3] == [(0.3, SUBTITLE)]
    assert after[2] != before[2]
    assert kept == facts
    assert (kept["fonts"], kept["names"]) == ([FONT], ["Stage", "Comment"])
    assert np.array_equal(read_audio(out, 1)[0], read_audio(source, 1)[0])


def test_a_cover_in_a_matroska_file_is_kept(tmp_path):
    cover = b"\x89PNG\r\n\x1a\n" + bytes(100)
    plain, source = write_film(tmp_path / "plain.mkv"), tmp_path / "film.mkv"
    with av.open(str(plain)) as film, av.open(str(source), "w") as covered:
        streams = [covered.add_stream_from_template(s, opaque=True) for s in film.streams]
        covered.add_attachment("cover.png", "image/png", cover)
        for packet in film.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                covered.mux_one(packet)
    result = gate_file(source, settings=AT_003)
    assert result.warnings == ()
    assert read_packets(result.output.path)[0][2] == read_packets(source)[0][2] == [(0.0, cover)]


def test_the_tracks_of_an_output_are_interleaved(tmp_path):
    source = write_film(tmp_path / "film.mkv", seconds=8.0, extras=["subtitles"])
    out = gate_file(source, settings=AT_003).output.path
    latest = {0: 0.0, 1: 0.0}
    with av.open(str(out)) as film:
        for packet in film.demux(film.streams.video[0], film.streams.audio[0]):
            if packet.size:
                latest[packet.stream.index] = float(packet.pts * packet.time_base)
                assert abs(latest[0] - latest[1]) < 2


def test_an_audio_file_from_a_video_has_only_the_audio_and_reports_the_delay(tmp_path):
    source = write_film(tmp_path / "film.mkv", start=0.5)
    result = gate_file(source, tmp_path / "film.wav", AT_003)
    assert not result.output.keeps_tracks
    (warning,) = result.warnings
    assert "starts 0.500 s after the video" in warning
    assert gate_file(source, settings=AT_003).warnings == ()


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_an_edit_decision_list_has_the_frame_rate_of_the_video(tmp_path, extension):
    rate = Fraction(30000, 1001)
    source = write_film(tmp_path / f"in.{extension}", "aac", seconds=2.0, frame_rate=rate)
    result = gate_file(source, settings=AT_003, labels=tmp_path / "gate.edl")
    analyze_file(source, AT_003, labels=tmp_path / "analyze.edl")
    write_labels(tmp_path / "result.edl", result, source)
    for name in ("gate", "analyze", "result"):
        text = (tmp_path / f"{name}.edl").read_text()
        assert "* FRAME RATE: 30000/1001\n" in text


def test_an_excerpt_of_a_video_has_only_the_audio(tmp_path, capsys):
    source = write_film(tmp_path / "film.mkv")
    assert run(["gate", str(source), "-t", "0.03", "--duration", "0.5"]) == 0
    assert "an excerpt has no video" in capsys.readouterr().err
    assert read_audio(tmp_path / "film_gated.mkv")[0].shape == (RATE // 2,)


def test_what_a_container_cannot_hold_is_reported_or_refused(tmp_path):
    film = write_film(tmp_path / "film.mkv", extras=["font"])
    result = gate_file(film, tmp_path / "film.mp4", AT_003)
    assert result.output.subtype == "ALAC_16"
    assert result.warnings == ("its attachment 1 (font.ttf) is not copied: MP4 cannot hold it",)
    web = write_film(tmp_path / "web.webm", "libopus", "libvpx")
    with pytest.raises(OutputError, match=r"web.mov' cannot hold the tracks .*vp8.*\.mkv"):
        gate_file(web, tmp_path / "web.mov", AT_003)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.mkv", "film.mp4", "web.webm"]


def test_a_truncated_video_is_gated_up_to_its_end(tmp_path):
    source = write_film(tmp_path / "film.mkv", seconds=2.0)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    result = gate_file(source, settings=AT_003)
    assert any("truncated" in warning for warning in result.warnings)
    before, after = read_packets(source)[0], read_packets(result.output.path)[0]
    assert_same_packets(before, after, 0)


@pytest.mark.parametrize("extension", [".mkv", ".mp4", ".ts", ".nut"])
def test_a_second_video_in_the_same_file_is_omitted_with_a_warning(tmp_path, extension):
    source = write_film(tmp_path / f"in{extension}", "aac", seconds=2.0)
    alone = gate_file(source, tmp_path / "alone.mkv", AT_003)
    source.write_bytes(source.read_bytes() * 2)
    result = gate_file(source, tmp_path / "out.mkv", AT_003)
    assert any("second video" in text or "start again" in text for text in result.warnings)
    pictures = []
    for path in (alone.output.path, result.output.path):
        with av.open(str(path)) as film:
            pictures.append([bytes(packet) for packet in film.demux(video=0)])
    assert pictures[0] == pictures[1]


def test_equal_runs_make_equal_files(tmp_path):
    source = write_film(tmp_path / "film.mkv", tracks=[1.0, 0.5], extras=["font", "chapters"])
    outputs = [gate_file(source, tmp_path / f"{n}.mkv", AT_003).output.path for n in (1, 2)]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


@pytest.mark.parametrize("read", [gate_file, analyze_file])
def test_a_track_that_does_not_exist_is_refused_with_a_list_of_the_tracks(tmp_path, read):
    source = write_film(tmp_path / "film.mkv", tracks=[1.0, 0.5])
    with pytest.raises(
        AudioError, match=r"2 audio tracks.*'Stage' \(eng, FLAC, 1 ch\), 2 'Comment'"
    ):
        read(source, track=3)


def test_a_recording_of_one_track_has_no_second_one(write):
    with pytest.raises(AudioError, match="has one audio track, and no track 2"):
        gate_file(write(sound()), settings=AT_003, track=2)


def test_a_silent_track_next_to_one_with_sound_is_reported(tmp_path):
    source = write_film(tmp_path / "film.mkv", tracks=[0.0, 0.0, 1.0])
    (warning,) = gate_file(source, settings=AT_003).warnings
    assert warning == (
        "audio track 1 is silent, but track 3 'Music' (fra, FLAC, 1 ch) is not: track=3 selects it"
    )
    assert gate_file(source, settings=AT_003, track=3, force=True).warnings == ()


def test_the_command_line_reports_the_track_and_the_copies(tmp_path, capsys):
    source = write_film(tmp_path / "film.mkv", tracks=[1.0, 0.5])
    assert run(["gate", str(source), "-t", "0.03", "--track", "2"]) == 0
    err = capsys.readouterr().err
    assert "track      2 of 2: 'Comment' (deu, FLAC, 1 ch)" in err
    assert "video      the video and the other tracks are copied unchanged" in err
    assert run(["gate", str(source), "-t", "0.03", "-f", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["track"] == 1
    assert (data["keeps_tracks"], data["copied"]) == (True, False)
    assert run(["analyze", str(source), "--track", "2"]) == 0
    assert "2 of 2: 'Comment'" in capsys.readouterr().out


def test_a_batch_gates_the_track_of_each_video(tmp_path):
    (tmp_path / "in").mkdir()
    source = write_film(tmp_path / "in" / "film.mkv", tracks=[1.0, 0.5])
    command = ["batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-t", "0.03", "-j", "1"]
    assert run([*command, "--track", "2"]) == 0
    before, after = read_packets(source)[0], read_packets(tmp_path / "out" / "film.mkv")[0]
    assert_same_packets(before, after, 0)
    assert_same_packets(before, after, 1)
    assert after[2] != before[2]
    assert probe(tmp_path / "out" / "film.mkv").tracks == probe(source).tracks
