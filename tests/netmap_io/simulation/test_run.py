"""`netmap-io run`: programs that know nothing of us, through the preload library."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from netmap_io.simulation import NetmapSimulation, Pump, preload_library, shared_region

PROGRAM = Path(__file__).with_name("netmap_program.py")
FRAME = bytes.fromhex("ffffffffffff020000000001") + b"\x08\x00" + bytes(range(46))


def run(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from netmap_io.cli.main import run; run()", "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def program(*arguments: str) -> list[str]:
    return ["--", sys.executable, str(PROGRAM), *arguments]


def test_the_exit_code_is_the_programs() -> None:
    assert run("--", "sh", "-c", "exit 7").returncode == 7
    assert run("--", "sh", "-c", "kill -9 $$").returncode == 137
    assert run("--", "/nonexistent/program").returncode == 2


def test_a_device_that_is_only_here() -> None:
    done = run(*program("loop"))
    assert (done.returncode, done.stdout) == (0, "sent 1 received 1 on select and poll\n"), done.stderr


def test_two_programs_share_a_region() -> None:
    results: list[subprocess.CompletedProcess[str]] = []
    region = ["--region", "tests-of-run"]
    receiver = threading.Thread(target=lambda: results.append(run(*region, *program("receive", "vale0:b", "100"))))
    receiver.start()
    sender = run(*region, *program("send", "vale0:a", "vale0:b", "100"))
    receiver.join()
    assert sender.returncode == 0, sender.stderr
    assert results[0].stdout == "received 100 in order\n", results[0].stderr


def test_a_descriptor_survives_fork_and_being_sent() -> None:
    done = run(*program("family"))
    assert (done.returncode, done.stdout) == (0, "the child sent, the parent received\n"), done.stderr


def test_a_port_behind_an_interface(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    done = run("--port", f"eth0=pcap:{out}?mode=write", *program("send", "eth0", "", "5"))
    assert done.returncode == 0, done.stderr
    from netmap_io.port import open_port

    with open_port(f"pcap:{out}") as port:
        assert len(port.receive(10, 1.0)) == 5


def test_frames_of_a_capture_arrive_at_an_interface(tmp_path: Path) -> None:
    from netmap_io.burst import Burst
    from netmap_io.port import open_port

    source = tmp_path / "in.pcapng"
    with open_port(f"pcap:{source}?mode=write") as port:
        burst = Burst.of([FRAME[:14] + number.to_bytes(46, "big") for number in range(5000)], link_types=1)
        assert port.send(burst) == 5000
        port.flush()
    done = run("--port", f"eth0=pcap:{source}", *program("count", "eth0", "5000"))
    assert done.stdout == "received 5000\n", done.stderr


def test_region_names() -> None:
    assert run("--region", "../x", "--", "true").returncode == 2
    with shared_region("tests-of-regions") as (first, path), shared_region("tests-of-regions") as (second, _):
        first.add_interface("eth7")
        with pytest.raises(FileExistsError):
            second.add_interface("eth7")
        assert Path(path).exists()
    assert not Path(path).exists()


def test_what_is_left_of_a_killed_user_is_made_anew(tmp_path: Path) -> None:
    path = Path("/dev/shm") / f"netmap-io-{os.getuid()}-tests-of-leftovers"
    path.write_bytes(b"something else")
    with shared_region("tests-of-leftovers") as (simulation, _):
        simulation.add_interface("eth0")
    assert not path.exists()


def test_the_library_is_installed() -> None:
    assert preload_library().is_file()


def test_a_pump_keeps_its_problem() -> None:
    from netmap_io.port import open_port

    simulation = NetmapSimulation()
    simulation.add_interface("eth0")
    port = open_port("memory:?link_type=ethernet")
    pump = Pump(simulation, "eth0", port)
    port.close()
    for thread in pump._threads:
        thread.join(10)
    pump.close()
    assert pump.problem is not None
