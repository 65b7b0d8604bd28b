"""netmap's own programs, unmodified, on the simulated kernel side: NETMAP_TOOLS=DIR pytest -m netmap_tools.

DIR has the built programs in bin/ and netmap's test scripts in tests/.  Which cases are not expected to pass, and why,
is docs/netmap.md's table.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = os.environ.get("NETMAP_TOOLS")
pytestmark = [
    pytest.mark.netmap_tools,
    pytest.mark.skipif(TOOLS is None, reason="NETMAP_TOOLS does not name netmap's built programs"),
]

KERNEL_LOOPS = {23, 25, 26, 27, 28, 29, 30, 32, 33, 34}
LIBRARY_ONLY = {46}
NOT_HERE = {18: "polling threads"}
ATTACHED_TWICE = {9, 10, 11}


def run(command: str, *options: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{TOOLS}/bin:.:{os.environ['PATH']}"}
    line = [
        sys.executable,
        "-c",
        "from netmap_io.cli.main import run; run()",
        "run",
        *options,
        "--",
        "bash",
        "-c",
        command,
    ]
    return subprocess.run(line, capture_output=True, text=True, errors="replace", timeout=timeout, env=environment)


@pytest.mark.parametrize("case", sorted(set(range(1, 48)) - KERNEL_LOOPS - LIBRARY_ONLY - set(NOT_HERE)))
def test_control_interface(case: int) -> None:
    # Some cases look at errno after perror, which clobbers it where standard error is a write-only file.
    done = run(f"script -qec 'ctrl-api-test -i eth0 -j {case}' /dev/null", "--cable", "eth0=eth1")
    assert done.returncode == 0, done.stdout


def script(number: int) -> str:
    found = sorted((Path(TOOLS or "") / "tests").glob(f"{number:03}_*"))
    assert found, number
    return found[0].name


@pytest.mark.parametrize("case", sorted(set(range(1, 28)) - ATTACHED_TWICE))
def test_functional(case: int) -> None:
    command = f"cd {TOOLS}/tests && functional -o; ./{script(case)}; code=$?; functional -c; exit $code"
    done = run(command)
    assert done.returncode == 0, done.stdout


def received(text: str) -> int:
    return int(re.findall(r"Received (\d+) packets", text)[-1])


@pytest.mark.parametrize(
    ("sender", "receiver", "options"),
    [("netmap:x{1", "netmap:x}1", ()), ("vale0:a", "vale0:b", ()),
     ("netmap:eth0", "netmap:eth1", ("--cable", "eth0=eth1"))],
)  # fmt: skip
def test_pkt_gen(sender: str, receiver: str, options: tuple[str, ...]) -> None:
    command = (
        f"pkt-gen -i '{receiver}' -f rx -w 1 > rx.log 2>&1 & sleep 2;"
        f"pkt-gen -i '{sender}' -f tx -w 1 -n 2000000 -l 60;"
        "sleep 1; kill -INT %1; wait; cat rx.log; rm rx.log"
    )
    done = run(f"cd $(mktemp -d); {command}", *options)
    count = received(done.stdout)
    assert re.search(r"Sent 2000000 packets", done.stdout), done.stdout
    assert count == 2000000 if "{" in sender else count > 20000  # only a pipe keeps all


def test_bridge() -> None:
    command = (
        "cd $(mktemp -d); bridge -i netmap:eth1 -i netmap:eth2 -w 1 > /dev/null 2>&1 & b=$!;"
        "pkt-gen -i netmap:eth3 -f rx -w 1 > rx.log 2>&1 & r=$!; sleep 3;"
        "pkt-gen -i netmap:eth0 -f tx -w 1 -n 5000 -R 2500; sleep 1; kill -INT $r $b; wait $r; cat rx.log"
    )
    done = run(command, "--cable", "eth0=eth1", "--cable", "eth2=eth3")
    assert received(done.stdout) == 5000, done.stdout


def test_lb() -> None:
    command = (
        "cd $(mktemp -d); lb -i netmap:eth1 -p lbout:2 -w 1 > lb.log 2>&1 & l=$!; sleep 3;"
        "pkt-gen -i 'netmap:lbout}0' -f rx -w 1 > rx0.log 2>&1 & r=$!;"
        "pkt-gen -i 'netmap:lbout}1' -f rx -w 1 > rx1.log 2>&1 & s=$!; sleep 3;"
        "pkt-gen -i netmap:eth0 -f tx -w 1 -n 5000 -R 2500; sleep 1; kill -INT $r $s; wait $r $s; kill $l;"
        "cat rx0.log rx1.log lb.log"
    )
    done = run(command, "--cable", "eth0=eth1")
    counts = [int(number) for number in re.findall(r"Received (\d+) packets", done.stdout)]
    assert sum(counts) == 5000, done.stdout
