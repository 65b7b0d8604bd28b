"""What loads when.  Bounded by lists of modules: a clock would measure the machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"numpy", "scapy", "bitstring", "hypothesis", "pyarrow", "pandas", "polars", "rich", "spacepackets"}


def loaded_by(statement: str) -> set[str]:
    """Names of the modules that the statement adds to a fresh interpreter."""
    script = (
        "import sys, json, io\nbefore = set(sys.modules)\nout, sys.stdout = sys.stdout, io.StringIO()\n"
        f"try:\n    {statement}\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "sys.stdout = out\nprint(json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout))


def test_the_package_itself_brings_only_a_handful_of_modules() -> None:
    loaded = loaded_by("import ccsds")
    assert {name for name in loaded if name.startswith("ccsds")} == {"ccsds"}
    assert {name.partition(".")[0] for name in loaded} <= set(sys.stdlib_module_names) | {"ccsds"}
    assert not loaded & {"typing_extensions", "dataclasses", "inspect", "asyncio", "importlib.metadata"}


def test_errors_and_layouts_bring_no_more_than_the_standard_library() -> None:
    loaded = loaded_by("import ccsds; ccsds.DecodeError, ccsds.Layout, ccsds.Field")
    assert {name for name in loaded if name.startswith("ccsds")} == {"ccsds", "ccsds.errors", "ccsds.layout"}
    assert {name.partition(".")[0] for name in loaded} <= set(sys.stdlib_module_names) | {"ccsds"}


@pytest.mark.parametrize("name", ["netmap_io", "ccsds.packets.space_packet"])
def test_importing_a_codec_brings_nothing_heavy(name: str) -> None:
    assert not {module.partition(".")[0] for module in loaded_by(f"import {name}")} & HEAVY


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["completion", "--help"]])
def test_help_needs_neither_numpy_nor_rich(arguments: list[str]) -> None:
    loaded = loaded_by(f"from ccsds.cli.main import cli; cli.main({arguments!r}, prog_name='ccsds')")
    assert not {module.partition(".")[0] for module in loaded} & HEAVY
    assert not {name for name in loaded if name.startswith(("ccsds.link", "ccsds.frames", "ccsds._native"))}


def test_the_menu_loads_no_command() -> None:
    loaded = loaded_by("from ccsds.cli.main import cli; cli.main(['--help'], prog_name='ccsds')")
    assert {name for name in loaded if name.startswith("ccsds.cli.")} == {
        "ccsds.cli.main",
        "ccsds.cli.style",
        "ccsds.cli.problems",
    }
