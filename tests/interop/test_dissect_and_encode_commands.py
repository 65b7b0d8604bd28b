"""The two commands: mirrors of one another, usable in pipes, clear about what is wrong."""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from ccsds.cli.dissect import command as dissect
from ccsds.cli.encode import command as encode
from ccsds.testing import strategies

PACKET = "1001c0000001cafe"


def run(command: Any, *words: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(command, list(words), input=input)


def test_a_packet_from_its_fields_and_back() -> None:
    made = run(encode, "space-packet", "application_process_id=1", "packet_type=telecommand", "packet_data_field=cafe")
    assert (made.exit_code, made.stdout) == (0, PACKET + "\n")
    shown = run(dissect, "-", input=made.stdout_bytes)
    assert shown.exit_code == 0
    assert "application_process_id  1 " in shown.stdout and "telecommand" in shown.stdout
    assert "133.0-B-2 §4.1.3.3.4" in shown.stdout


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("space-packet", strategies.space_packets()),
        ("encapsulation-packet", strategies.encapsulation_packets()),
        ("clcw", strategies.clcws()),
        ("tm-transfer-frame", strategies.tm_transfer_frames(maximum_data_octets=8)),
        ("aos-transfer-frame", strategies.aos_transfer_frames(maximum_data_octets=8)),
    ],
)
@given(data=st.data())
def test_encode_is_the_mirror_of_dissect(name: str, strategy: st.SearchStrategy[Any], data: st.DataObject) -> None:
    unit = data.draw(strategy)
    octets = unit.encode()
    words = []
    for field in unit.__struct_fields__:
        value = getattr(unit, field)
        words.append(f"{field}={value.hex() if isinstance(value, bytes) else str(value).lower()}")
    assert run(encode, name, *words, "--binary").stdout_bytes == octets
    options = []
    managed = getattr(unit, "managed_parameters", {})
    if managed:
        options = ["--fecf" if managed["frame_error_control_present"] else "--no-fecf"]
    if name == "aos-transfer-frame":
        options += ["--fhec"] * managed["frame_header_error_control_present"]
        options += ["--ocf"] * managed["operational_control_field_present"]
        options += ["--insert-zone", str(managed["insert_zone_octets"]), "--issue", str(managed["issue"])]
    shown = run(dissect, "-", "--binary", "--json", "--unit", name, *options, input=octets)
    assert json.loads(shown.stdout)["problems"] == []
    assert run(encode, name, "--json", "-", "--binary", input=shown.stdout_bytes).stdout_bytes == octets


@pytest.mark.parametrize(
    "text", [PACKET, PACKET.upper(), "10 01 c0 00\n00 01 ca fe\n", "0x1001C000 0x0001CAFE", "10:01:c0:00:00:01:ca:fe"]
)
def test_hex_in_many_spellings(text: str, tmp_path: Path) -> None:
    file = tmp_path / "packet"
    file.write_text(text)
    answers = [
        run(dissect, *text.split(), "--json"),
        run(dissect, text, "--json"),
        run(dissect, "--json", input=text.encode()),
        run(dissect, str(file), "--json", "--hex"),
    ]
    assert {json.loads(answer.stdout)["octets"] for answer in answers} == {PACKET}


def test_a_part_of_a_file_of_raw_octets(tmp_path: Path) -> None:
    file = tmp_path / "packets.bin"
    file.write_bytes(bytes.fromhex(PACKET) * 3)
    answer = run(dissect, str(file), "--offset", "8", "--length", "8", "--json")
    assert json.loads(answer.stdout)["octets"] == PACKET
    made = run(encode, "space-packet", "application_process_id=1", f"packet_data_field=@{file}")
    assert made.stdout.strip().endswith(PACKET * 3)


def test_long_hex_is_not_taken_for_a_file_name() -> None:
    assert run(dissect, "00" * 5000, "--unit", "tm-transfer-frame").exit_code == 0


def test_damage_is_shown_and_is_no_error() -> None:
    answer = run(dissect, "6aea00010243deadbeef9e2d", "--fecf")
    assert answer.exit_code == 0
    assert "WRONG, 0x9e2c expected" in answer.stdout and "problem: " in answer.stdout


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nosuch.bin"], 3, "neither a file nor hex"),
        (["abc"], 3, "neither a file nor hex"),
        ([PACKET, "--unit", "space-pakcet"], 2, "nearest: space-packet"),
        ([PACKET, "--offset", "8"], 3, "no octets from offset 8"),
        (["/"], 3, "directory"),
    ],
)
def test_dissect_says_what_is_wrong(words: list[str], code: int, sentence: str) -> None:
    answer = run(dissect, *words)
    assert (answer.exit_code, answer.stdout) == (code, "")
    assert sentence in answer.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["space-pakcet"], 2, "nearest: space-packet"),
        (["space-packet", "apid=1"], 2, "nearest: application_process_id"),
        (["space-packet", "packet_sequence_cuont=1"], 2, "nearest: packet_sequence_count"),
        (["space-packet", "packet_data_field=00"], 2, "needs application_process_id="),
        (["space-packet", "application_process_id=4096", "packet_data_field=00"], 2, "not 0 to 2047"),
        (["space-packet", "application_process_id=x", "packet_data_field=00"], 2, "a number expected"),
        (["space-packet", "packet_type=x"], 2, "telecommand"),
        (["space-packet", "packet_data_field=0"], 2, "two digits"),
        (["space-packet", "packet_data_field"], 2, "not field=value"),
        (["space-packet", "packet_data_field=@nosuch"], 3, "no such file"),
        (["space-packet", "packet_data_field=-", "--json", "-"], 3, "standard input does not hold JSON"),
        (["space-packet", "--json", "nosuch"], 3, "nosuch: no such file"),
        (["tm-transfer-frame", "frame_error_control_present=maybe"], 2, "yes or no"),
    ],
)
def test_encode_says_what_is_wrong(words: list[str], code: int, sentence: str) -> None:
    answer = run(encode, *words, input=b"")
    assert (answer.exit_code, answer.stdout) == (code, "")
    assert sentence in answer.stderr


def test_json_that_is_nested_too_deep_is_no_defect_of_ours() -> None:
    answer = run(encode, "space-packet", "--json", "-", input=b"[" * 100_000)
    assert answer.exit_code == 3
    assert "standard input does not hold JSON" in answer.stderr


def test_json_of_another_unit_or_of_damage_is_refused() -> None:
    clcw = run(dissect, "01000000", "--json").stdout_bytes
    assert "holds a clcw" in run(encode, "space-packet", "--json", "-", input=clcw).stderr
    cut = run(dissect, "1001c0", "--json", "--unit", "space-packet").stdout_bytes
    assert "no whole space-packet" in run(encode, "space-packet", "--json", "-", input=cut).stderr


def on_a_terminal(columns: int, **environment: str) -> str:
    """What `ccsds dissect` shows on a terminal of so many columns."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")
    }
    program = "from ccsds.cli.dissect import command; command()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "6aea00010243deadbeef9e2d", "--fecf"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=inherited | {"TERM": "xterm-256color"} | environment,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says so at the end of a terminal
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert process.wait(60) == 0
    return shown.decode()


def test_a_terminal_gets_a_table_that_fits_it() -> None:
    wide, narrow, plain = on_a_terminal(160), on_a_terminal(100), on_a_terminal(160, NO_COLOR="1")
    assert "\x1b[" in wide and "\x1b[" in narrow
    assert "4.1.2.2.2" in wide and "4.1.2.2.2" not in narrow
    assert "\x1b[" not in plain and "WRONG, 0x9e2c expected" in plain
    assert all(len(line) <= 100 for line in re.sub(r"\x1b\[[0-9;]*m", "", narrow).splitlines() if "problem" not in line)


def test_the_shell_completes_units_and_fields() -> None:
    units = ShellComplete(encode, {}, "ccsds", "_X").get_completions([], "en")
    assert [item.value for item in units] == ["encapsulation-packet"]
    fields = ShellComplete(encode, {}, "ccsds", "_X").get_completions(["clcw"], "lo")
    assert [item.value for item in fields] == ["lockout_flag="]
    named = ShellComplete(dissect, {}, "ccsds", "_X").get_completions(["--unit"], "tm")
    assert [item.value for item in named] == ["tm-transfer-frame"]


def test_an_input_without_an_end_is_refused_in_one_sentence() -> None:
    result = CliRunner().invoke(dissect, ["/dev/zero"])
    assert result.exit_code == 3
    assert "more than 64 MiB" in result.stderr
