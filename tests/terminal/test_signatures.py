from inspect import Parameter
from typing import Annotated

import typer
from typer.testing import CliRunner

from noisegate_cli.terminal.signatures import replace_parameters


def test_typer_reads_the_replaced_parameters():
    def command(settings: int) -> None:
        """Say what it does."""

    def run(**arguments: str) -> None:
        calls.append(arguments)

    calls = []
    option = typer.Option("--level", "-l", help="How loud.")
    level = Parameter(
        "level", Parameter.KEYWORD_ONLY, default="0", annotation=Annotated[str, option]
    )
    app = typer.Typer()
    app.command()(replace_parameters(command, run, [level]))
    help_text = CliRunner().invoke(app, ["--help"]).output
    assert "--level" in help_text, "Typer no longer reads __signature__: see terminal/signatures.py"
    assert "--settings" not in help_text
    assert "Say what it does." in help_text
    assert CliRunner().invoke(app, ["-l", "3"]).exit_code == 0
    assert calls == [{"level": "3"}]
