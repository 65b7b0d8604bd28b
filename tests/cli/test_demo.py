"""`ccsds demo`: made, recorded, replayed, and held against books that can disagree."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import ccsds.testing.impaired_stream as impaired_stream
from ccsds.cli.demo import HEADING, profile_as_toml
from ccsds.cli.main import cli
from ccsds.link.managed_parameters import mission_from_toml
from ccsds.link.missions import load_mission, mission_names
from ccsds.testing.impaired_stream import DemoDownlink, Truth, demo_downlink


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(cli, list(arguments), prog_name="ccsds", env={"COLUMNS": "200"})
    assert result.exit_code == code, result.stderr
    return result


def demonstrate(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(run("demo", "--json", "--folder", str(folder), *arguments, code=code).stdout)
    return tree


@pytest.mark.parametrize("seed", [1, 2, 77, 20261124])
def test_all_that_can_be_recovered_is_recovered(tmp_path: Path, seed: int) -> None:
    tree = demonstrate(tmp_path, "--seed", str(seed), "--frames", "150")
    assert tree["agrees"] is True
    assert all(check["agrees"] for check in tree["comparison"])
    whats = {check["what"] for check in tree["comparison"]}
    assert {"frames delivered", "symbols corrected", "SHA-256 of the packets", "lost frames", "APID 16"} <= whats
    truth = demo_downlink(seed, 150).stream.truth
    assert tree["account"]["totals"]["corrected_symbols"] == truth.corrected_symbols > 0


def test_the_line_it_prints_replays_to_the_same_numbers(tmp_path: Path) -> None:
    tree = demonstrate(tmp_path / "a folder", "--frames", "150")
    program, *arguments = shlex.split(tree["replay"])
    assert program == "ccsds"
    assert json.loads(run(*arguments, "--json").stdout) == tree["account"]


def test_the_same_seed_makes_the_same_recording(tmp_path: Path) -> None:
    for name in ("a", "b"):
        demonstrate(tmp_path / name, "--frames", "80", "--seed", "5")
    assert (tmp_path / "a" / "demo.pcapng").read_bytes() == (tmp_path / "b" / "demo.pcapng").read_bytes()
    demonstrate(tmp_path / "a", "--frames", "80", "--seed", "6")
    assert (tmp_path / "a" / "demo.pcapng").read_bytes() != (tmp_path / "b" / "demo.pcapng").read_bytes()


def with_truth(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    """Books that are wrong in these entries."""

    def wrong(seed: int, frames: int) -> DemoDownlink:
        downlink = demo_downlink(seed, frames)
        truth: Truth = dataclasses.replace(downlink.stream.truth, **changed)
        return dataclasses.replace(downlink, stream=dataclasses.replace(downlink.stream, truth=truth))

    monkeypatch.setattr(impaired_stream, "demo_downlink", wrong)


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("corrected_symbols", "symbols corrected"),
        ("foreign_frames", "foreign frames set aside"),
        ("frames", "SHA-256 of the frames"),
        ("fates", "corrections, frame by frame"),
        ("virtual_channels", "SHA-256 of the packets"),
    ],
)
def test_books_that_disagree_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, line: str) -> None:
    truth = demo_downlink(1, 80).stream.truth
    broken: Any = getattr(truth, entry)
    if entry == "frames":
        broken = (bytes(len(broken[0])), *broken[1:])
    elif entry == "fates":
        broken = tuple(fate._replace(bit_offset=fate.bit_offset + 1) for fate in broken)
    elif entry == "virtual_channels":
        broken[0].sha256 = "0" * 64
    else:
        broken += 1
    with_truth(monkeypatch, **{entry: broken})
    result = run("demo", "--folder", str(tmp_path), "--frames", "80", code=1)
    assert "the receiver and the transmitter's books disagree on 1 of" in result.stderr
    assert line in result.stderr
    assert "--seed 1 --frames 80" in result.stderr
    assert "WRONG" in result.stdout
    assert "Recovered" not in result.stdout
    assert demonstrate(tmp_path, "--frames", "80", code=1)["agrees"] is False


def test_people_are_shown_what_happened(tmp_path: Path) -> None:
    shown = run("demo", "--folder", str(tmp_path), "--frames", "150").stdout
    for words in ("Replay it yourself", "What happened over time", "Three of the packets", "bit slip", "inverted"):
        assert words in shown
    packets = sum(each.packets for each in demo_downlink(1, 150).stream.truth.virtual_channels.values())
    assert f"Recovered {packets:,} of {packets:,} packets that can be recovered, bit for bit." in shown
    assert "\x1b" not in shown


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "demo.toml"
    mine.write_text("name = 'mine'\n")
    result = run("demo", "--folder", str(tmp_path), code=2)
    assert "not of this command" in result.stderr
    assert mine.read_text() == "name = 'mine'\n"
    assert not (tmp_path / "demo.pcapng").exists()
    assert "demo.toml is a file; a folder is needed" in run("demo", "--folder", str(mine), code=2).stderr


def test_nothing_is_kept_where_nothing_shall_be_kept(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    tree = demonstrate(folder, "--no-keep", "--frames", "60")
    assert not folder.exists()
    assert tree["recording"] is tree["replay"] is None


def test_too_few_frames_is_wrong_use() -> None:
    assert "60<=x" in run("demo", "--frames", "59", code=2).stderr


def test_the_program_on_narrow_and_plain_terminals(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from ccsds.cli.main import run; run()", "demo", "--folder", str(tmp_path)],
        capture_output=True,
        timeout=60,
        env=os.environ | {"COLUMNS": "60", "PYTHONIOENCODING": "ascii"},
    )
    assert result.returncode == 0, result.stderr
    text = result.stdout.decode("ascii")
    assert "2,379" in text  # no digit is cut off
    assert "…" not in text
    paths = (str(tmp_path), "ccsds replay")
    assert all(len(line) <= 60 for line in text.splitlines() if not any(each in line for each in paths))


@pytest.mark.parametrize("name", mission_names())
def test_a_profile_written_as_toml_loads_again(tmp_path: Path, name: str) -> None:
    mission = load_mission(name)
    written = tmp_path / "written.toml"
    written.write_text(profile_as_toml(mission), encoding="utf-8")
    assert mission_from_toml(written) == mission
    assert written.read_text(encoding="utf-8").startswith(HEADING)
