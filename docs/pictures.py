"""Draw the pictures of the README: `make pictures`.

The first picture is the output of `ngate` for the recording of `make demo`, the second one is what
`ngate gate --plot` draws of it.
"""

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

from noisegate_cli import GateSettings, gate_file
from noisegate_cli.api.file_analysis import analyze_recording
from noisegate_cli.terminal.display.advice import suggest_gate_command
from noisegate_cli.terminal.display.summary import format_gate_summary
from noisegate_cli.terminal.display.tables import build_analysis_table

HERE = Path(__file__).parent
DEMO = Path("tests/data/jfk_1961.wav")


def terminal(clean: Path) -> str:
    """Return the terminal as SVG."""
    console = Console(record=True, width=96, file=io.StringIO(), force_terminal=True)
    prompt = "[bold]$[/] ngate "
    console.print(f"{prompt}analyze {DEMO}")
    report, timeline = analyze_recording(DEMO, GateSettings(), with_timeline=True)
    console.print(build_analysis_table(report, timeline=timeline, width=console.width))
    console.print(f"  command      {suggest_gate_command(report)}")
    console.print(f"\n{prompt}gate {DEMO} -o clean.wav")
    for line in format_gate_summary(gate_file(DEMO, clean, force=True)):
        console.print(Text(line.replace(str(clean), "clean.wav")))
    svg = console.export_svg(title="ngate")
    # The picture must not load a font from the network.
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg)
    return svg.replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")


def main() -> None:
    """Draw both."""
    clean = Path("build/demo/clean.wav")
    clean.parent.mkdir(parents=True, exist_ok=True)
    (HERE / "terminal.svg").write_text(terminal(clean), encoding="utf-8")
    gate_file(DEMO, clean, plot=HERE / "picture.png", force=True)


if __name__ == "__main__":
    main()
