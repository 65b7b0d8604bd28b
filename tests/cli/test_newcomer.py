"""What a newcomer does to `ccsds replay`: wrong files, wrong names, pipes, Ctrl-C.  One sentence, the fitting code."""

from __future__ import annotations

import errno
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ccsds.cli import inputs
from ccsds.cli.demo import profile_as_toml
from ccsds.cli.main import cli
from ccsds.testing.impaired_stream import demo_downlink

RUN = [sys.executable, "-c", "from ccsds.cli.main import run; run()"]
FRAMES = "120"


def ccsds(*arguments: str, given: bytes | None = None, code: int = 0, **environment: str) -> tuple[str, str]:
    """Output and errors of the program in a process of its own; errors are one line without a traceback."""
    result = subprocess.run(
        [*RUN, *arguments],
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        timeout=60,
        env=os.environ | environment,
    )
    errors = result.stderr.decode()
    assert result.returncode == code, errors
    assert "Traceback" not in errors
    return result.stdout.decode(), errors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """demo.pcapng, demo.toml and what was told of them in demo.json; stream.cadu has the octets without a capture."""
    folder = tmp_path_factory.mktemp("demo")
    told, _ = ccsds("demo", "--folder", str(folder), "--json", "--frames", FRAMES)
    (folder / "demo.json").write_text(told)
    (folder / "stream.cadu").write_bytes(demo_downlink(1, int(FRAMES)).stream.octets)
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def account(folder: Path) -> Any:
    return json.loads((folder / "demo.json").read_text())["account"]


MISSION = ("--mission", "demo.toml")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("way", ["file", "standard input", "fifo"])
@pytest.mark.parametrize("container", ["capture", "raw", "hex"])
def test_every_container_comes_every_way(here: Path, tmp_path: Path, container: str, way: str, packed: bool) -> None:
    octets = (here / ("demo.pcapng" if container == "capture" else "stream.cadu")).read_bytes()
    if container == "hex":
        lines = [octets[at : at + 1000].hex() for at in range(0, len(octets), 1000)]
        octets = "\n".join(["# a remark of more than sixty-four characters, at the very head of it", *lines]).encode()
    octets = gzip.compress(octets) if packed else octets
    path = tmp_path / "recording"
    if way == "standard input":
        out, errors = ccsds("replay", "-", *MISSION, "--json", given=octets)
    elif way == "file":
        path.write_bytes(octets)
        out, errors = ccsds("replay", str(path), *MISSION, "--json")
    else:
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_bytes, args=(octets,), daemon=True)
        writer.start()
        out, errors = ccsds("replay", str(path), *MISSION, "--json")
        writer.join(10)
    assert json.loads(out) == account(here)
    assert errors == ""


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("picture.png", b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(100_000)),
        ("text.txt", b"Dear newcomer, this is no recording.\n" * 300),
        ("zeros", bytes(50_000)),
    ],
)
def test_a_file_without_a_frame_of_the_mission(here: Path, tmp_path: Path, name: str, octets: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(octets)
    out, errors = ccsds("replay", str(path), *MISSION, "--json", code=3)
    assert json.loads(out)["totals"]["frames"] == 0
    assert errors == (f"ccsds: {path}: no frame of this mission in {len(octets):,} octets: is it the right profile?\n")


def test_frames_of_another_mission(here: Path, tmp_path: Path) -> None:
    profile = (here / "demo.toml").read_text().replace("spacecraft_id = 42", "spacecraft_id = 43")
    other = tmp_path / "other.toml"
    other.write_text(profile)
    out, errors = ccsds("replay", "demo.pcapng", "--mission", str(other), code=3)
    assert "frames of another version or spacecraft, set aside" in out
    assert "of another spacecraft or version: is it the right profile?" in errors


def test_a_file_without_a_packet(tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(b"\xa0" * 5000)
    _, errors = ccsds("replay", str(path), "--content", "packets", code=3)
    assert "no whole packet in 5,000 octets" in errors


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nofile",), 3, "nofile: no such file"),
        ((".",), 3, ".: is a directory"),
        (("/dev/null",), 3, "/dev/null: it is empty"),
        (("-",), 3, "standard input: it is empty"),
        (("demo.pcapng", "--port", "77"), 3, "are --protocol, --port and --offset right?"),
        (("demo.pcapng", "--pace", "fast"), 2, "--pace is flat, original or how many times faster, not 'fast'"),
        (("demo.pcapng", "--pace", "0"), 2, "not '0'"),
        (("demo.pcapng", "--pace", "nan"), 2, "not 'nan'"),
        (("stream.cadu", "--port", "5000"), 2, "is no capture"),
        (("stream.cadu", "--container", "capture"), 3, "is not a capture"),
        (("demo.pcapng", "--parquet", "demo.pcapng"), 2, "is the recording; it would be lost"),
        (("demo.pcapng", "--packets", "demo.json"), 2, "demo.json is a file; a folder is needed"),
        (("demo.pcapng", "--strict"), 4, "frames lost"),
        (("stream.cadu", "--container", "hex"), 3, "line 1: not octets in hexadecimal"),
    ],
)
def test_one_sentence_and_the_fitting_code(here: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    before = (here / "demo.pcapng").read_bytes()
    _, errors = ccsds("replay", *arguments, *MISSION, code=code)
    assert words in errors.splitlines()[-1]
    assert (here / "demo.pcapng").read_bytes() == before


@pytest.mark.parametrize(
    ("mission", "code", "words"),
    [
        ("snp", 2, "did you mean snpp?"),
        ("none.toml", 2, "none.toml: no such file"),
        ("./demo.pcapng", 2, "not TOML"),
    ],
)
def test_a_wrong_mission(here: Path, mission: str, code: int, words: str) -> None:
    out, errors = ccsds("replay", "demo.pcapng", "--mission", mission, code=code)
    assert words in errors
    assert out == ""


def test_a_packet_file_is_not_written_over_by_its_own_packets(tmp_path: Path, here: Path) -> None:
    ccsds("replay", "demo.pcapng", *MISSION, "--packets", str(tmp_path))
    octets = next(tmp_path.glob("*.packets")).read_bytes()
    recording = tmp_path / "packets.bin"
    recording.write_bytes(octets)
    arguments = ("replay", str(recording), "--content", "packets", "--packets", str(tmp_path))
    assert "it would be lost" in ccsds(*arguments, code=2)[1]
    assert recording.read_bytes() == octets


def test_no_permission(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: str, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", name)

    monkeypatch.setattr(inputs, "open", refused, raising=False)  # whoever may read everything meets it too
    result = CliRunner().invoke(cli, ["replay", "demo.pcapng", *MISSION], prog_name="ccsds")
    assert (result.exit_code, result.stderr) == (3, "ccsds: demo.pcapng: permission denied\n")


@pytest.mark.parametrize("packed", [False, True])
def test_a_recording_that_is_cut_off_is_accounted_for(here: Path, tmp_path: Path, packed: bool) -> None:
    octets = (here / "demo.pcapng").read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(gzip.compress(octets)[: len(octets) // 2] if packed else octets[: len(octets) // 2])
    out, errors = ccsds("replay", str(cut), *MISSION, "--json")
    assert 0 < json.loads(out)["totals"]["frames"] < account(here)["totals"]["frames"]
    assert "the capture is cut off" in errors


@pytest.mark.parametrize(
    ("end", "remark"),
    [
        (lambda packed: packed[: len(packed) // 2], "the gzip stream is cut off"),
        (lambda packed: packed + b"rubbish", "what follows the end of the gzip stream is passed over"),
        (lambda packed: packed[:-8] + bytes(8), "the gzip stream is damaged"),
        (lambda packed: packed + bytes(512), ""),
    ],
)
def test_a_gzip_stream_with_a_bad_end(here: Path, end: Any, remark: str) -> None:
    packed = gzip.compress((here / "stream.cadu").read_bytes())
    out, errors = ccsds("replay", "-", *MISSION, "--json", given=end(packed))
    if "cut" in remark:
        assert 0 < json.loads(out)["totals"]["frames"] < account(here)["totals"]["frames"]
    else:
        assert json.loads(out) == account(here)
    assert remark in errors
    assert bool(errors) is bool(remark)


def test_gzip_with_nothing_in_it(here: Path) -> None:
    assert "nothing in it" in ccsds("replay", "-", *MISSION, given=gzip.compress(b""), code=3)[1]
    assert "cut off" in ccsds("replay", "-", *MISSION, given=gzip.compress(b"x" * 99)[:10], code=3)[1]


def test_closed_standard_input(here: Path) -> None:
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *RUN, "replay", "-", *MISSION], capture_output=True, timeout=60
    )
    assert (result.returncode, result.stderr) == (3, b"ccsds: standard input: it is closed\n")


def interrupted(process: subprocess.Popen[bytes]) -> str:
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    return out.decode()


def test_an_interrupt_accounts_for_what_came_through_the_pipe(here: Path) -> None:
    octets = (here / "stream.cadu").read_bytes()[:100_000]
    process = subprocess.Popen(
        [*RUN, "replay", "-", *MISSION, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(octets)
    process.stdin.flush()
    wait_until_drained(process)
    whole = json.loads(ccsds("replay", "-", *MISSION, "--json", given=octets)[0])
    assert json.loads(interrupted(process)) == whole


def wait_until_drained(process: subprocess.Popen[bytes]) -> None:
    """Until the reader has emptied its pipe and sleeps in the next read."""
    import fcntl
    import struct
    import termios

    assert process.stdin is not None
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        (left,) = struct.unpack("i", fcntl.ioctl(process.stdin.fileno(), termios.FIONREAD, bytes(4)))
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        if not left and state == "S":
            time.sleep(0.3)
            return
        time.sleep(0.05)
    raise AssertionError("the pipe was not read")


def test_an_interrupt_in_the_middle_of_a_paced_capture(here: Path) -> None:
    process = subprocess.Popen(
        [*RUN, "replay", "demo.pcapng", *MISSION, "--pace", "0.01"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(2.5)
    assert "interrupted after" in interrupted(process)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_reader_that_has_enough(here: Path, form: tuple[str, ...]) -> None:
    line = f"{sys.executable} -c '{RUN[2]}' replay demo.pcapng {' '.join([*MISSION, *form])} | head -c 1"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_converted_capture_whose_reader_has_enough(here: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.cadu"  # more than any pipe holds
    long.write_bytes((here / "stream.cadu").read_bytes() * 40)
    arguments = f"convert {long} - --to pcapng {' '.join(MISSION)}"
    line = f"{sys.executable} -c '{RUN[2]}' {arguments} | head -c 4 | wc -c"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, timeout=60)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, b"4", b"")


@pytest.mark.parametrize("columns", ["40", "60", "80"])
def test_a_narrow_terminal_cuts_no_digit_off(here: Path, columns: str) -> None:
    out, _ = ccsds("replay", "demo.pcapng", *MISSION, COLUMNS=columns)
    assert "…" not in out
    words = out.replace("\n", " ")
    for row in account(here)["virtual_channels"]:
        assert f"{row['packet_octets']:,}" in words


def test_progress_of_a_file_with_brackets_in_its_name(here: Path, tmp_path: Path) -> None:
    path = tmp_path / "x[" / "b].cadu"  # read as markup, a closing tag
    path.parent.mkdir()
    path.write_bytes((here / "stream.cadu").read_bytes())
    result = subprocess.run(
        [*RUN, "replay", str(path), *MISSION, "--json", "--progress"], capture_output=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == account(here)


def test_parquet_without_pyarrow(here: Path, tmp_path: Path) -> None:
    script = "import sys; sys.modules['pyarrow'] = None\n" + RUN[2]
    table = tmp_path / "t.parquet"
    result = subprocess.run(
        [sys.executable, "-c", script, "replay", "demo.pcapng", *MISSION, "--parquet", str(table)],
        capture_output=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert b"--parquet needs the package pyarrow: pip install" in result.stderr
    assert not table.exists()


def test_a_profile_that_says_only_packets_is_no_obstacle(tmp_path: Path) -> None:
    from ccsds.link.managed_parameters import Mission

    (tmp_path / "p.toml").write_text(profile_as_toml(Mission(name="packets only")))
    (tmp_path / "p.packets").write_bytes(bytes.fromhex("0801c0000001cafe"))
    out, _ = ccsds("replay", str(tmp_path / "p.packets"), "--mission", str(tmp_path / "p.toml"), "--json")
    assert json.loads(out)["totals"]["packets"] == 1


def test_a_table_a_little_too_wide_is_set_closer_and_a_much_too_wide_one_is_told_in_words() -> None:
    from io import StringIO

    from rich.console import Console

    from ccsds.cli.report import make_table, print_table

    def shown(columns: int) -> str:
        table = make_table("channel", "frames", "idle packets")
        table.add_row("181/1", "1,234", "56")
        console = Console(file=StringIO(), width=columns, color_system=None)
        print_table(console, table)
        assert isinstance(console.file, StringIO)
        return console.file.getvalue()

    assert "channel  frames  idle packets" in shown(29)
    assert "channel frames packets" in shown(28)
    assert "channel frames packets" in shown(22)
    assert shown(21).split() == ["channel", "181/1:", "frames", "1,234,", "idle", "packets", "56"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "demo.pcapng", *MISSION, "--json"),
        ("replay", "demo.pcapng", *MISSION),
        ("dissect", "0801c0000001cafe"),
        ("profiles", "--json"),
        ("encode", "clcw", "virtual_channel_id=2", "report_value=9", "--binary"),
        ("convert", "demo.pcapng", "-", *MISSION, "--to", "hex"),
    ],
)
def test_a_closed_standard_output_is_no_defect(here: Path, arguments: tuple[str, ...]) -> None:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *RUN, *arguments]
    answer = subprocess.run(command, cwd=here, stderr=subprocess.PIPE, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert b"defect" not in answer.stderr
