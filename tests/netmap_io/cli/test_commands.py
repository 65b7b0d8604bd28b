"""The netmap-io command: what it prints, how it ends, and that its accounts hold."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from click.testing import CliRunner

from netmap_io import Burst, open_port
from netmap_io.cli import option_probe
from netmap_io.cli.main import MENU, cli
from netmap_io.cli.option_probe import options_of_driver, options_of_wrapper
from netmap_io.cli.pump import Way, run
from netmap_io.cli.traffic import Flow, LiveRates, Sender, Stop
from netmap_io.drivers.memory import memory_pair
from netmap_io.errors import PortAddressError, PortClosedError
from netmap_io.port import driver_functions, driver_names
from netmap_io.wrappers.address import WRAPPERS

RUN = [sys.executable, "-c", "from netmap_io.cli.main import run; run()"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def netmap_io(*arguments: str, code: int = 0):
    """Run in this process; standard output."""
    done = CliRunner().invoke(cli, arguments, prog_name="netmap-io")
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


def told(*arguments: str, code: int = 0):
    return json.loads(netmap_io(*arguments, "--json", code=code))


def complaint(*arguments: str, code: int) -> str:
    done = CliRunner().invoke(cli, arguments, prog_name="netmap-io")
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("name", MENU)
def test_help_begins_with_three_examples_and_ends_with_exit_codes(name):
    text = netmap_io(name, "--help")
    assert len(re.findall(r"^  (?:eval \S+)?(?:\"\$\()?netmap-io ", text, re.M)) + text.count("eval") >= 3
    assert text.index("netmap-io ") < text.index("Usage:")
    assert "Exit codes:" in text


def test_the_menu_needs_no_command_and_loads_nothing_heavy():
    code = (
        "import sys\nfrom netmap_io.cli.main import cli\n"
        "try: cli.main(['--help'], prog_name='netmap-io')\nexcept SystemExit: pass\n"
        "loaded = {'numpy', 'rich', 'netmap_io._native', 'netmap_io.port'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert netmap_io() == netmap_io("--help")
    assert netmap_io("--version").startswith("ccsds-link ")


def test_gen_and_sink_agree(here):
    made = told("gen", "pcap:x?mode=write", "--count", "5000", "--length", "60-200", "--seed", "9")
    assert (made["made_frames"], made["sent_frames"], made["given_up"], made["no_room"]) == (5000, 5000, 0, 0)
    found = told("sink", "pcap:x", "--expect", "5000", "--strict")
    assert (found["frames"], found["octets"], found["as_it_was"]) == (5000, made["sent_octets"], True)
    assert found["streams"] == [{"seed": 9, "frames": 5000, "lost": 0, "duplicated": 0, "reordered": 0, "late": 0}]
    assert told("sink", "pcap:x", "--count", "70")["frames"] == 70


@pytest.mark.parametrize("link_type", ["raw_octets", "cadu_stream", "transfer_frames"])
def test_gen_fills_ports_of_any_kind(here, link_type):
    told("gen", f"pcap:x?mode=write&link_type={link_type}", "--count", "10", "--length", "32")
    assert told("sink", "pcap:x", "--strict")["streams"][0]["frames"] == 10


def test_sink_sees_what_a_bad_link_did(here):
    told("gen", "pcap:x?mode=write", "--count", "20000")
    bad = "fault+pcap:x?loss=0.01&duplication=0.02&reordering=0.05&bit_errors=1e-5&seed=3"
    pumped = told("pump", bad, "pcap:y?mode=write")
    found = told("sink", "pcap:y", "--expect", "20000")
    lost = pumped["ports"]["A"]["dropped_by_port"]
    assert 120 < lost < 280
    (stream,) = found["streams"]
    spoilt = found["damaged"] + found["others"]
    assert found["frames"] == pumped["ways"][0]["sent_frames"] == stream["frames"] + stream["duplicated"] + spoilt
    assert lost <= stream["lost"] <= lost + spoilt
    assert stream["duplicated"] and stream["reordered"] and found["damaged"]
    assert "not all of gen's frames came as they were" in complaint_of_strict("pcap:y")
    text = netmap_io("sink", "pcap:y")
    assert f"{found['damaged']:,} of gen's frames are damaged" in text


def complaint_of_strict(address: str) -> str:
    done = CliRunner().invoke(cli, ["sink", address, "--strict"], prog_name="netmap-io")
    assert done.exit_code == 4
    return done.stderr


def test_sink_without_any_frame_of_gens(here):
    with open_port("pcap:x?mode=write") as port:
        port.send(Burst.of([bytes(60)] * 3, link_types=1))
    found = told("sink", "pcap:x")
    assert (found["others"], found["streams"], found["as_it_was"]) == (3, [], True)
    assert told("sink", "pcap:x", "--expect", "1")["as_it_was"] is False
    assert "3 frames are not gen's" in netmap_io("sink", "pcap:x")


def test_sink_joined_late_and_many_streams(here):
    told("gen", "pcap:x?mode=write", "--count", "100")
    with open_port("pcap:x") as port, open_port("pcap:y?mode=write") as out:
        out.send(port.receive()[40:])
    assert told("sink", "pcap:y")["streams"][0]["lost"] == 40
    assert told("sink", "pcap:y", "--joined-late")["streams"][0]["lost"] == 0
    with open_port("pcap:many?mode=write") as out:
        for seed in range(70):
            told("gen", "pcap:x?mode=write", "--count", "1", "--seed", str(seed))
            with open_port("pcap:x") as port:
                out.send(port.receive())
    found = told("sink", "pcap:many")
    assert (len(found["streams"]), found["frames_of_more_streams"]) == (64, 6)


def test_gen_keeps_its_rate_and_its_time():
    start = time.monotonic()
    made = told("gen", "memory:?capacity_frames=100000", "--rate", "2000", "--seconds", "0.5")
    assert 0.4 < time.monotonic() - start < 5
    assert 300 < made["sent_frames"] <= 2000 * made["seconds"] + 21
    assert made["made_frames"] == made["sent_frames"] + made["given_up"]


def test_a_full_port_is_waited_for_or_dropped_into():
    made = told("gen", "memory:?capacity_frames=100", "--count", "1000", "--when-full", "drop")
    assert (made["sent_frames"], made["no_room"], made["given_up"]) == (100, 900, 0)
    made = told("gen", "memory:?capacity_frames=100", "--count", "1000", "--seconds", "0.1", "--burst", "600")
    assert (made["sent_frames"], made["no_room"], made["given_up"]) == (100, 0, 500)
    assert made["retries"] > 3
    made = told("gen", "memory:?capacity_frames=100", "--count", "300", "--when-full", "drop", "--rate", "10000000")
    assert (made["sent_frames"], made["no_room"]) == (100, 200)


def test_pump_copies_a_capture(here):
    told("gen", "pcap:x?mode=write", "--count", "3000", "--length", "60-1514")
    done = told("pump", "pcap:x", "pcap:y?mode=write", "--burst", "7")
    assert done["ways"][0] | {"retries": 0} == {
        "from": "pcap:x",
        "to": "pcap:y?mode=write",
        "received_frames": 3000,
        "received_octets": done["ways"][0]["sent_octets"],
        "sent_frames": 3000,
        "sent_octets": done["ports"]["B"]["sent_octets"],
        "no_room": 0,
        "too_long": 0,
        "given_up": 0,
        "failed": 0,
        "retries": 0,
    }
    with open_port("pcap:x") as before, open_port("pcap:y") as after:
        assert before.receive() == after.receive()
    text = netmap_io("pump", "pcap:x", "memory:?link_type=ethernet", "--count", "10")
    assert "port B dropped nothing (the ring and kernel do not tell)" in text
    assert re.search(r"^sent +10 ", text, re.M)


def test_pump_drops_what_is_too_long_and_counts_it():
    near, far = memory_pair()
    short = open_port("memory:")
    object.__setattr__(short.capabilities, "maximum_frame_octets", 5)
    near.send(Burst.of([b"123456", b"12345", b"1234567"]))
    near.close()
    way = Way(far, short, Stop(None, None), True, 100)
    assert run([way], way.stop, LiveRates("test", False))
    assert (way.flow.received_frames, way.flow.sent_frames, way.flow.too_long, way.flow.dropped) == (3, 1, 2, 2)


def test_pump_goes_both_ways():
    (a, left), (b, right) = memory_pair(), memory_pair()
    stop = Stop(None, 20)
    ways = [Way(left, right, stop, True, 8), Way(right, left, stop, True, 8)]
    there, back = (Burst.of([bytes([kind, n]) for n in range(100)]) for kind in (1, 2))

    def end() -> None:
        got = [b.receive(1000, 5), a.receive(1000, 5)]
        while sum(map(len, got)) < 200:
            got += [b.receive(1000, 0.1), a.receive(1000, 0.1)]
        stop.now()

    a.send(there)
    b.send(back)
    thread = threading.Thread(target=end)
    thread.start()
    assert run(ways, stop, LiveRates("test", False))
    thread.join(30)
    assert [way.flow.sent_frames for way in ways] == [100, 100]


def test_a_port_that_fails_stops_both_ways_and_is_told():
    (_, left), (b, right) = memory_pair(), memory_pair()
    stop = Stop(None, 20)
    right.send(Burst.of([b"x"]))
    b.send(Burst.of([b"x"]))
    left._outward.end()
    start = time.monotonic()
    ways = [Way(left, right, stop, True, 8), Way(right, left, stop, True, 8)]
    assert run(ways, stop, LiveRates("test", False))
    assert isinstance(ways[1].problem, PortClosedError)
    assert (ways[1].flow.received_frames, ways[1].flow.failed) == (1, 1)
    assert time.monotonic() - start < 10


def test_sender_gives_up_when_it_is_time():
    port, flow, stop = open_port("memory:?capacity_frames=1"), Flow(), Stop(None, 0.05)
    Sender(port, flow, retry=True, stop=stop).send(Burst.of([b"a", b"b"]))
    assert (flow.sent_frames, flow.given_up, flow.sent_octets) == (1, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["prots"], 2, "did you mean ports?"),
        (["ports", "pcpa"], 2, "did you mean pcap"),
        (["sink", "pcpa:x"], 2, "did you mean pcap"),
        (["sink", "fauld+pcap:x"], 2, "did you mean fault?"),
        (["sink", "pcap:missing"], 3, "missing: no such file"),
        (["sink", "pcap:x?mode=write"], 2, "gives no frames"),
        (["gen", "pcap:x"], 2, "takes no frames; a capture is written with ?mode=write"),
        (["gen", "memory:", "--length", "31"], 2, "at least 32 octets"),
        (["gen", "memory:", "--length", "a-b"], 2, "'a-b' is no length"),
        (["gen", "memory:", "--length", "99999999"], 2, "at most 16777216 octets"),
        (["gen", "memory:", "--udp", "5"], 2, "UDP data is in Ethernet frames"),
        (["gen", "memory:", "--source-mac", "1:2"], 2, "no MAC address"),
        (["pump", "pcap:x", "memory:"], 2, "carries raw octets, not Ethernet frames"),
        (["pump", "pcap:x", "memory:", "--both"], 2, "takes no frames"),
        (["pump", "memory:"], 2, "Missing argument 'B'"),
        (["doctor", "--interface", "nowhere0"], 2, "there is no interface 'nowhere0'"),
        (["completion", "csh"], 2, "csh"),
    ],
)
def test_wrong_use_is_one_sentence(here, arguments, code, sentence):
    if "pcap:x" in arguments:
        told("gen", "pcap:x?mode=write", "--count", "1")
    assert sentence in complaint(*arguments, code=code)


def test_damage_is_one_sentence_after_the_account_of_what_came_before(here):
    told("gen", "pcap:x?mode=write", "--count", "100")
    octets = bytearray((here / "x").read_bytes())
    at = len(octets) - 50 * 76  # 50 blocks before the end; without a time they are simple ones
    assert octets[at : at + 8] == bytes([3, 0, 0, 0, 76, 0, 0, 0])
    octets[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    (here / "x").write_bytes(octets)
    for command in (["sink", "pcap:x"], ["pump", "pcap:x", "memory:?link_type=ethernet"]):
        done = CliRunner().invoke(cli, [*command, "--json"], prog_name="netmap-io")
        assert done.exit_code == 3
        assert f"x, octet {at}" in done.stderr
        account = json.loads(done.stdout)
        assert account["problem"] == done.stderr.removeprefix("netmap-io: ").rstrip()
        assert (account["frames"] if "frames" in account else account["ways"][0]["sent_frames"]) == 50


def test_a_full_disk_is_one_sentence_and_the_account_holds():
    done = CliRunner().invoke(cli, ["gen", "pcap:/dev/full?mode=write", "--json"], prog_name="netmap-io")
    assert (done.exit_code, "no space left" in done.stderr) == (3, True)
    account = json.loads(done.stdout)
    assert account["made_frames"] == account["sent_frames"] + account["failed"] > 0
    assert "no space left" in account["problem"]


def test_ctrl_c_prints_the_account(here):
    for command in (["gen", "pcap:/dev/null?mode=write"], ["sink", "memory:"], ["pump", "memory:", "memory:"]):
        with subprocess.Popen(
            [*RUN, *command, "--json", "--progress"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert "frames/s" in process.stderr.readline()  # it is under way
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
        assert process.returncode == 130
        account = json.loads(out)
        assert account["seconds"] > 0.5
        if command[0] == "gen":
            gone = account["sent_frames"] + account["no_room"] + account["too_long"] + account["given_up"]
            assert account["made_frames"] == gone > 0


def test_output_without_a_terminal_has_no_colours_and_a_closed_pipe_is_silent(here):
    told("gen", "pcap:x?mode=write", "--count", "10")
    command = " ".join(f"'{word}'" for word in [*RUN, "sink", "pcap:x"])
    for line in (command, f"{command} | head -0"):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, cwd=here)
        assert (done.returncode, done.stderr) == (0, "")
        assert "\x1b" not in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell):
    assert f"_NETMAP_IO_COMPLETE={shell}_complete" in netmap_io("completion", shell)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("netmap-io pu", "pump"),
        ("netmap-io sink pc", "pcap:"),
        ("netmap-io sink fa", "fault+"),
        ("netmap-io pump fault+tr", "fault+trace+"),
        ("netmap-io pump fault+pc", "fault+pcap:"),
        ("netmap-io gen --pat", "--pattern"),
    ],
)
def test_commands_ports_and_options_are_completed(words, expected):
    environment = {
        "_NETMAP_IO_COMPLETE": "bash_complete",
        "COMP_CWORD": str(len(words.split()) - 1),
        "COMP_WORDS": words,
    }
    code = "import sys; sys.argv[0] = 'netmap-io'; from netmap_io.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=os.environ | environment
    )
    assert f"plain,{expected}\n" in done.stdout, done.stderr


def test_ports_lists_every_driver_wrapper_and_interface():
    document = told("ports")
    assert [row["name"] for row in document["drivers"]] == driver_names()
    assert [row["name"] for row in document["wrappers"]] == list(WRAPPERS)
    assert "lo" in {row["name"] for row in document["interfaces"]}
    assert all(row["options"] and row["summary"] for row in document["drivers"] + document["wrappers"])
    (pcap,) = told("ports", "pcap")["drivers"]
    names = {each["name"] for each in pcap["options"]}
    assert {"mode", "pace", "snap_length", "comment"} <= names  # those of reading and of writing
    assert "mode = read | write  [read]" in netmap_io("ports", "pcap")


def test_no_wrapper_has_an_option_of_another_layers_name():
    owners: dict[str, list[str]] = {}
    layers = [(name, options_of_wrapper(name, prepare)) for name, prepare in WRAPPERS.items()]
    layers += [(name, options_of_driver(name, function)) for name, function in driver_functions().items()]
    for layer, options in layers:
        for option in options:
            owners.setdefault(option.name, []).append(layer)
    shared = {name: layers for name, layers in owners.items() if len(layers) > 1 and set(layers) & set(WRAPPERS)}
    assert shared == {}


def test_asking_for_options_opens_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, function in driver_functions().items():
        found = options_of_driver(name, function)
        for option in found:
            assert option.default is None or option.values == () or option.default in option.values
    assert list(tmp_path.iterdir()) == []

    def refuses(target, options):
        raise PortAddressError("never")

    assert options_of_driver("none", refuses) == []
    assert option_probe._MOST_TRIES >= 64
