"""Draw the pictures of the README: `make pictures`.

The first picture is the output of `ngate` for the recording of `make demo`. The second picture is
the waveform of this recording before and after the gate.
"""

import io
import re
from pathlib import Path

import numpy as np
import soundfile as sf
from rich.console import Console
from rich.text import Text

from noisegate_cli import analyze_file, gate_file
from noisegate_cli.samples import Samples
from noisegate_cli.terminal.advice import suggest_gate_command
from noisegate_cli.terminal.summary import format_gate_summary
from noisegate_cli.terminal.tables import build_analysis_table

HERE = Path(__file__).parent
DEMO = Path("tests/data/jfk_1961.wav")
WIDTH, LANE, LABEL = 900, 120, 24


def terminal(clean: Path) -> str:
    """Return the terminal as SVG."""
    console = Console(record=True, width=96, file=io.StringIO(), force_terminal=True)
    prompt = "[bold]$[/] ngate "
    console.print(f"{prompt}analyze {DEMO}")
    report = analyze_file(DEMO)
    console.print(build_analysis_table(report))
    console.print(f"  type         {suggest_gate_command(report)}")
    console.print(f"\n{prompt}gate {DEMO} -o clean.wav")
    for line in format_gate_summary(gate_file(DEMO, clean, force=True)):
        console.print(Text(line.replace(str(clean), "clean.wav")))
    svg = console.export_svg(title="ngate")
    # The picture must not load a font from the network.
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg)
    return svg.replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")


def lane(y: Samples, top: int, colour: str, name: str) -> str:
    """Return one waveform as SVG: the highest and the lowest sample of each pixel column.

    The square roots of the amplitudes are drawn, so that the noise between the words is visible.
    """
    columns = np.array_split(np.sign(y) * np.sqrt(np.abs(y)), WIDTH)
    middle = top + LABEL + LANE / 2
    upper = [f"{x},{middle - c.max() * LANE / 2:.1f}" for x, c in enumerate(columns)]
    lower = [f"{x},{middle - c.min() * LANE / 2:.1f}" for x, c in enumerate(columns)][::-1]
    return (
        f'<text x="0" y="{top + LABEL - 6}" fill="#666" font-family="sans-serif" '
        f'font-size="13">{name}</text>'
        f'<line x1="0" y1="{middle}" x2="{WIDTH}" y2="{middle}" stroke="{colour}"/>'
        f'<polygon points="{" ".join(upper + lower)}" fill="{colour}"/>'
    )


def waveforms(clean: Path) -> str:
    """Return the recording before and after, as SVG."""
    (before, _), (after, _) = sf.read(DEMO), sf.read(clean)
    height = 2 * (LABEL + LANE)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}"><rect width="100%" height="100%" fill="#fff"/>'
        f"{lane(before, 0, '#b45309', 'before')}"
        f"{lane(after, LABEL + LANE, '#047857', 'after: bit for bit the same, or silent')}</svg>\n"
    )


def main() -> None:
    """Draw both."""
    clean = Path("build/demo/clean.wav")
    (HERE / "terminal.svg").write_text(terminal(clean), encoding="utf-8")
    (HERE / "waveform.svg").write_text(waveforms(clean), encoding="utf-8")


if __name__ == "__main__":
    main()
