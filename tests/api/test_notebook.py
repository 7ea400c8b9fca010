import ast
import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import AudioError, GateSettings, analyze, analyze_file, gate, gate_file, segments
from noisegate_cli.api.notebook import EXCERPT_S, choose_excerpt
from noisegate_cli.api.overviews import record_file
from noisegate_cli.text import format_time
from tests.conftest import loud_and_quiet, tone

RATE = 16000
LONG = np.concatenate([tone(30, 0.2), np.tile(loud_and_quiet(), 4), tone(30, 0.2)])


def players(html):
    urls = re.findall(r'<audio controls preload="none" src="data:audio/flac;base64,([^"]+)"', html)
    return [sf.read(io.BytesIO(base64.b64decode(url)), always_2d=True) for url in urls]


def test_a_result_shows_a_plot_and_plays_the_same_segment_before_after_and_removed():
    result = gate(LONG, RATE, threshold="-30dB", return_result=True)
    html = result._repr_html_()
    (before, rate), (after, _), (removed, _) = players(html)
    assert rate == RATE
    assert len(before) == len(after) == len(removed) == EXCERPT_S * RATE
    start, end = choose_excerpt(result.segments)
    np.testing.assert_allclose(before[:, 0], LONG[start:end], atol=2**-15)
    np.testing.assert_allclose(after[:, 0], result.samples[start:end], atol=2**-15)
    np.testing.assert_allclose(before, after + removed, atol=3 * 2**-16)
    assert html.count("data:image/png;base64,iVBOR") == 1
    assert f"before, {format_time(start / RATE)} to {format_time(end / RATE)}" in html


def test_a_notebook_shows_a_plot():
    figure = gate(LONG[: 2 * RATE], RATE, threshold="-30dB", return_result=True).plot()
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_excerpt_is_where_the_gate_opens_and_closes():
    start, end = choose_excerpt(segments(LONG, RATE, threshold="-30dB"))
    assert end - start == EXCERPT_S * RATE
    assert 29 * RATE < start < end < 43 * RATE


@pytest.mark.parametrize("seconds", [0.0, 0.5, 20.0])
@pytest.mark.parametrize("rms", [0.0, 0.2])
def test_a_recording_that_is_always_open_or_closed_has_an_excerpt(seconds, rms):
    y = tone(seconds, rms)
    start, end = choose_excerpt(segments(y, RATE, threshold="-30dB"))
    assert 0 <= start <= end <= len(y)
    assert end - start == min(len(y), EXCERPT_S * RATE)


def test_all_results_are_displayed_and_the_size_is_bounded(write, tmp_path):
    path = write(np.tile(loud_and_quiet(), 8))
    for result in (
        analyze_file(path, threshold="-30dB"),
        gate_file(path, tmp_path / "out.wav", threshold="-30dB"),
        analyze(np.tile(loud_and_quiet(), 2), RATE, threshold="-30dB"),
    ):
        html = result._repr_html_()
        assert len(players(html)) == 3
        assert len(html) < 3_000_000


def test_a_result_whose_recording_is_gone_is_shown_as_text(write, tmp_path):
    path = write(loud_and_quiet())
    result = gate_file(path, tmp_path / "out.wav", threshold="-30dB")
    path.unlink()
    assert result._repr_html_().startswith("<code>GateResult(")


def test_many_channels_are_mixed_and_very_high_rates_are_not_played():
    quad = np.tile(LONG[: 2 * RATE, None], 4)
    html = gate(quad, RATE, threshold="-30dB", return_result=True)._repr_html_()
    assert [y.shape[1] for y, _ in players(html)] == [1, 1, 1]
    html = gate(tone(0.1, 0.2, 384000), 384000, threshold=0.1, return_result=True)._repr_html_()
    assert players(html) == []


def test_standard_input_cannot_be_drawn_later():
    with pytest.raises(AudioError, match="standard input cannot be read again"):
        record_file(Path("-"), GateSettings())


def run_cell(source, names):
    """Run a cell in a namespace, and return the value of its last line if it is an expression."""
    *statements, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        statements.append(last)
    exec(compile(ast.Module(statements, []), "cell", "exec"), names)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return None


def test_the_cells_of_the_notebook_in_the_manual_run(monkeypatch):
    notebook = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
    monkeypatch.chdir(notebook.parent)
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in cells)
    names = {}
    shown = [run_cell(source, names) for source in code]
    assert len(players(shown[1]._repr_html_())) == 3
    assert shown[3]._repr_png_().startswith(b"\x89PNG")
    assert names["clean"].shape == names["y"].shape
