from inspect import Parameter
from typing import Annotated

import typer
from typer.testing import CliRunner

from noisegate_cli.terminal.option_groups import replace_parameter


def test_typer_reads_the_options_that_replace_a_parameter():
    def command(settings: dict[str, str], name: str = "") -> None:
        """Say what it does."""
        calls.append((settings, name))

    calls = []
    option = typer.Option("--level", "-l", help="How loud.")
    level = Parameter(
        "level", Parameter.KEYWORD_ONLY, default="0", annotation=Annotated[str, option]
    )
    app = typer.Typer()
    app.command()(replace_parameter(command, "settings", [level], dict))
    told = CliRunner().invoke(app, ["--help"]).output
    assert "--level" in told, "Typer no longer reads __signature__: see terminal/option_groups.py"
    assert "--settings" not in told
    assert "Say what it does." in told
    assert CliRunner().invoke(app, ["-l", "3", "--name", "a"]).exit_code == 0
    assert calls == [({"level": "3"}, "a")]
