"""The public names of the library."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_overloads, get_type_hints

import pytest

import noisegate_cli
from noisegate_cli.gating.report import Report
from tests.conftest import loud_and_quiet

UNDOCUMENTED_FIELDS = {"Format"}
"""Classes whose fields are documented in the source code, for those who add one."""


def project_classes():
    """Return all classes of the package by name, to resolve annotations."""
    classes = {}
    for module in pkgutil.walk_packages(noisegate_cli.__path__, "noisegate_cli."):
        if not module.name.endswith("__main__"):
            for name, value in vars(importlib.import_module(module.name)).items():
                if not name.startswith("_"):
                    classes.setdefault(name, value)
    return classes


def annotated_types(value, names):
    """Yield the types of the parameters, results, fields and properties of a public object."""
    if inspect.isfunction(value):
        yield from get_type_hints(value, localns=names).values()
        return
    if is_dataclass(value):
        hints = get_type_hints(value, localns=names)
        yield from (hints[field.name] for field in fields(value))
    else:
        functions = inspect.getmembers(value, inspect.isfunction)
        for name, function in functions:
            if name == "__init__" or not name.startswith("_"):
                yield from get_type_hints(function, localns=names).values()
    for name, member in inspect.getmembers(value):
        if isinstance(member, property) and not name.startswith("_"):
            yield get_type_hints(member.fget, localns=names)["return"]


def project_types(annotation):
    """Yield the classes of the package within an annotation."""
    if inspect.isclass(annotation) and annotation.__module__.startswith("noisegate_cli"):
        yield annotation
    for part in get_args(annotation):
        yield from project_types(part)


def test_every_type_of_a_parameter_or_a_result_is_exported():
    names = project_classes()
    for name in noisegate_cli.__all__:
        value = getattr(noisegate_cli, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            for annotation in annotated_types(value, names):
                for project_type in project_types(annotation):
                    exported = getattr(noisegate_cli, project_type.__name__, None)
                    assert exported is project_type, f"{project_type} of {name} is not exported"


def test_all_overloads_have_the_parameters_of_the_function():
    functions = [getattr(noisegate_cli, name) for name in noisegate_cli.__all__]
    overloads = [(f, o) for f in functions if inspect.isfunction(f) for o in get_overloads(f)]
    assert overloads
    for function, overload in overloads:
        assert list(inspect.signature(overload).parameters) == list(
            inspect.signature(function).parameters
        )


def test_dir_lists_exactly_the_public_names():
    listed = {name for name in dir(noisegate_cli) if not name.startswith("__")}
    assert listed == set(noisegate_cli.__all__)


def test_every_public_name_can_be_imported_and_is_documented():
    for name in noisegate_cli.__all__:
        value = getattr(noisegate_cli, name)
        assert name == "PRESETS" or value.__doc__


def documented_names(value):
    """Return the parameters and attributes that a docstring describes with their types."""
    names = re.findall(r"^(\w+(?:, \w+)*) : \S", inspect.getdoc(value), re.MULTILINE)
    return {name for group in names for name in group.split(", ")}


def own_fields(value):
    """Return the names of the fields that a dataclass or a named tuple does not inherit."""
    return [name for name in vars(value).get("__annotations__", {}) if not name.startswith("_")]


@pytest.mark.parametrize("name", sorted(set(noisegate_cli.__all__) - UNDOCUMENTED_FIELDS))
def test_the_fields_and_parameters_of_a_public_object_are_documented_with_types(name):
    value = getattr(noisegate_cli, name)
    if is_dataclass(value) or hasattr(value, "_fields"):
        assert set(own_fields(value)) <= documented_names(value)
    elif inspect.isfunction(value) and "see `gate`" not in inspect.getdoc(value).lower():
        parameters = inspect.signature(value).parameters.values()
        named = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD}
        assert named == documented_names(value)


def test_type_checkers_find_each_public_name_in_its_module():
    tree = ast.parse(Path(noisegate_cli.__file__).read_text(encoding="utf-8"))
    typed = {
        (node.module, alias.name, alias.asname)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module != "importlib"
        for alias in node.names
    }
    assert typed == {
        (f"noisegate_cli.{module}", name, name)
        for module, names in noisegate_cli._PUBLIC_NAMES.items()
        for name in names
    }


def test_every_result_can_be_read_as_a_dict():
    results = [
        value
        for name in noisegate_cli.__all__
        if name.endswith(("Report", "Result"))
        and is_dataclass(value := getattr(noisegate_cli, name))
    ]
    assert len(results) == 8
    assert all(issubclass(result, Report) for result in results)
    y = loud_and_quiet()
    result = noisegate_cli.gate(y, 16000, return_result=True)
    assert result.to_dict().keys() == {field.name for field in fields(result)}
    assert result.to_dict()["samples"] is result.samples


def test_importing_the_package_loads_no_heavy_modules():
    script = "import sys, noisegate_cli; dir(noisegate_cli); print(*sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "soundfile", "tqdm", "librosa", "matplotlib"} & set(process.stdout.split())
