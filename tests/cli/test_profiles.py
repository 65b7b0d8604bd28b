"""`ccsds profiles`: every shipped profile in every form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from ccsds.cli.main import cli
from ccsds.link.managed_parameters import Mission, mission_from_toml
from ccsds.link.missions import load_mission, mission_names


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(cli, ["profiles", *arguments], prog_name="ccsds", env={"COLUMNS": "200"})
    assert result.exit_code == code, result.stderr
    return result


def test_the_list_has_every_mission() -> None:
    lines = run().stdout.splitlines()
    slugs = [line.split()[0] for line in lines[2:]]
    assert slugs == mission_names()
    assert set(json.loads(run("--json").stdout)) == set(mission_names())


@pytest.mark.parametrize("name", mission_names())
def test_every_profile_in_every_form(tmp_path: Path, name: str) -> None:
    mission = load_mission(name)
    shown = run(name).stdout
    assert shown.startswith(f"{mission.name}: ")
    for master in mission.physical_channel.master_channels if mission.physical_channel else ():
        assert f"spacecraft {master.spacecraft_id} {master.name}".rstrip() in shown
    assert msgspec.convert(json.loads(run(name, "--json").stdout), Mission) == mission
    mine = tmp_path / "mine.toml"
    mine.write_text(run(name, "--toml").stdout, encoding="utf-8")
    assert mission_from_toml(mine) == mission
    assert run(str(mine)).stdout == shown
    assert run(str(mine), "--toml").stdout == mine.read_text(encoding="utf-8")


@pytest.mark.parametrize(("wrong", "near"), [("snp", "snpp"), ("SNPP", "snpp"), ("hear", "hera"), ("dat", "dart")])
def test_an_unknown_name_gets_the_nearest(wrong: str, near: str) -> None:
    result = run(wrong, code=2)
    assert "did you mean" in result.stderr
    assert near in result.stderr
    assert result.stdout == ""


def test_a_profile_that_does_not_hold_names_its_key(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('name = "x"\n[physical_channel]\nframe_type = "TM"\nframe_octet = 100\n')
    stderr = run(str(bad), code=2).stderr
    assert "unknown key physical_channel.frame_octet (did you mean frame_octets" in stderr
    bad.write_text("name = \n")
    assert "not TOML" in run(str(bad), code=2).stderr
    bad.write_text("a = " + "[" * 100_000)  # deeper than any parser goes
    assert "not TOML" in run(str(bad), code=2).stderr
    assert "no such file" in run(str(tmp_path / "none.toml"), code=2).stderr
