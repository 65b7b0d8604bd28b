"""gen into sink, over the drivers that need a second process or a network, where they are registered."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from netmap_io.port import driver_names

RUN = [sys.executable, "-c", "from netmap_io.cli.main import run; run()"]

if "udp" in driver_names():

    def test_numbered_datagrams_arrive_whole_and_in_order():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        sink = [*RUN, "sink", f"udp:127.0.0.1:{port}", "--expect", "3000", "--idle", "10", "--json", "--strict"]
        gen = [*RUN, "gen", f"udp:127.0.0.1:{port}?mode=connect", "--count", "3000", "--rate", "20000", "--json"]
        with subprocess.Popen(sink, stdout=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 30
            while f":{port:04X} " not in Path("/proc/net/udp").read_text():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            made = subprocess.run([*gen, "--length", "40-1400"], capture_output=True, text=True, timeout=60)
            out, _ = process.communicate(timeout=60)
        assert (made.returncode, process.returncode) == (0, 0)
        assert json.loads(made.stdout)["sent_frames"] == json.loads(out)["streams"][0]["frames"] == 3000


SCRIPT = """
import json, subprocess, sys, time
from pathlib import Path
run = json.loads(sys.argv[1])
def ip(*words): subprocess.run(["ip", *words], check=True)
ip("link", "add", "near", "type", "veth", "peer", "name", "far")
for name in ("near", "far"):
    Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
    ip("link", "set", name, "up")
sink = subprocess.Popen(run + ["sink", "packet:far", "--expect", "2000", "--idle", "10", "--json", "--strict"],
                        stdout=subprocess.PIPE, text=True)
deadline = time.monotonic() + 30
while len(Path("/proc/net/packet").read_text().splitlines()) < 2:
    assert time.monotonic() < deadline
    time.sleep(0.02)
gen = run + ["gen", "packet:near", "--count", "2000", "--rate", "20000", "--length", "60-1514", "--json"]
subprocess.run(gen, check=True, stdout=subprocess.DEVNULL, timeout=60)
out, _ = sink.communicate(timeout=60)
print(out)
sys.exit(sink.returncode)
"""

if "packet" in driver_names() and os.geteuid() == 0:

    def test_numbered_frames_cross_a_veth_pair():
        command = ["unshare", "-n", sys.executable, "-c", SCRIPT, json.dumps(RUN)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        (stream,) = json.loads(done.stdout)["streams"]
        assert (stream["frames"], stream["lost"]) == (2000, 0)
