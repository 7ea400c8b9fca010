import re
from inspect import Parameter
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from noisegate_cli.terminal.cli import COMMANDS, run
from noisegate_cli.terminal.commands import build_command
from noisegate_cli.terminal.options.groups import replace_parameter


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
    assert "--level" in told, "Typer no longer reads __signature__: see terminal/options/groups.py"
    assert "--settings" not in told
    assert "Say what it does." in told
    assert CliRunner().invoke(app, ["-l", "3", "--name", "a"]).exit_code == 0
    assert calls == [({"level": "3"}, "a")]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_no_word_of_the_help_is_truncated_at_80_columns(name, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert run([name, "--help"]) == 0
    shown = set(capsys.readouterr().out.replace("│", " ").split())
    for parameter in build_command(name).params:
        if not getattr(parameter, "hidden", False):
            words = (parameter.help or "").replace(r"\[", "[").split()
            assert set(words) <= shown, parameter.name


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_names_an_environment_variable_that_works(name, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert run([name, "--help"]) == 0
    variable = re.search(r"(NGATE_\w+_MIN_OPEN)=50 is --min-open 50", capsys.readouterr().out)[1]
    monkeypatch.setenv(variable, "soon")
    assert run([name, "x"]) == 2
    assert "min open 'soon' is not a duration" in capsys.readouterr().err
