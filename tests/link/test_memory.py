"""No stream makes a receiver hold more and more: peak memory of a process of its own, fed hostile octets."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

resource = pytest.importorskip("resource", reason="peak memory is asked of getrusage, which this system lacks")

WARM_UP, ROUNDS = 4, 32
"""Feeds before and after the first look at the peak: each is a mebibyte, or the same octets in small pieces."""
ALLOWED_OCTETS = 24 << 20
"""A receiver that keeps what it is fed grows by 32 MiB; batches that are dropped one feed late by a few."""

PROGRAM = """
import json, resource, sys
import numpy as np
from ccsds.link.managed_parameters import mission_from_dict
from ccsds.link.receiver import Receiver

def channel(**parameters):
    given = {"frame_type": "TM", "frame_octets": 1115, "master_channels": [{"spacecraft_id": 42}], **parameters}
    return mission_from_dict({"name": "hostile", "physical_channel": given}).physical_channel

def tm(pointer, zone, count=1024):  # a multiple of 256: the counter goes on from feed to feed
    frames = np.zeros((count, 1115), np.uint8)
    frames[:, 0], frames[:, 1] = 42 >> 4, (42 & 15) << 4
    frames[:, 3] = frames[:, 2] = np.arange(count) & 255
    frames[:, 4], frames[:, 5] = 0x18 | pointer >> 8, pointer & 255
    frames[:, 6:] = np.resize(np.frombuffer(zone, np.uint8), 1109)
    return frames.tobytes()

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def run(receiver, feeds):
    for number, (octets, time_ns) in enumerate(feeds):
        if number == WARM_UP:
            before = peak()
        receiver.feed(octets, reception_time_ns=time_ns)
    receiver.finish()
    print(json.dumps({"growth": peak() - before, "account": receiver.account.to_dict()}))

def steady(octets):
    return ((octets, None) for _ in range(WARM_UP + ROUNDS))

noise = np.random.default_rng(1).bytes
"""


def replay(body: str) -> tuple[int, dict[str, Any]]:
    program = f"WARM_UP, ROUNDS = {WARM_UP}, {ROUNDS}\n{PROGRAM}\n{textwrap.dedent(body)}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    return result["growth"], result["account"]


CASES = {  # (name, a counter that shows that the case is what it says): feeds
    ("no packet starts ever", "frames_without_packet_start"): "run(Receiver(channel()), steady(tm(2047, bytes(1))))",
    ("a packet that never ends", "packets_dropped_by_mismatch"): """
        first = tm(0, bytes([0, 1, 0xC0, 0, 0xFF, 0xFF, 7]), 1)
        on = tm(2047, bytes(1))
        run(Receiver(channel()), ((on if number else first + on[1115:], None) for number in range(WARM_UP + ROUNDS)))
        """,
    (
        "encapsulation packets of 4 GiB",
        "oversize_packets",
    ): "run(Receiver(channel()), steady(tm(0, bytes.fromhex('eb000000ffffffff'))))",
    ("a packet file that claims 4 GiB", "oversize_packets"): """
        run(Receiver(mission_from_dict({"name": "packets"})), steady(bytes.fromhex("eb000000ffffffff") * (1 << 17)))
        """,
    ("noise without a marker", "skipped_bits"): """
        run(Receiver(channel(synchronization={})), ((noise(1 << 20), None) for _ in range(WARM_UP + ROUNDS)))
        """,
    ("markers out of step", "lock_losses"): """
        octets = (bytes.fromhex("1acffc1d") + bytes(200)) * 5000
        run(Receiver(channel(synchronization={"flywheel_frames": 255})), steady(octets))
        """,
    ("a time of its own for every piece", "skipped_bits"): """
        octets = noise(1 << 16)
        pieces = ((octets[at : at + 64], at) for _ in range(WARM_UP + ROUNDS) for at in range(0, len(octets), 64))
        run(Receiver(channel(synchronization={})), pieces)
        """,
    ("a time of its own for every octet, within a frame", "trailing_octets"): """
        pieces = ((bytes(1), number) for number in range(300_000))
        run(Receiver(channel(frame_octets=65_500)), pieces)
        """,
    ("frames of every spacecraft", "foreign_frames"): """
        def frames():
            rows = np.frombuffer(noise(943 * 1115), np.uint8).reshape(-1, 1115).copy()
            rows[:, 0] = rows[:, 0] & 0x3F | 0x40  # AOS
            rows[:, 6:15] = np.frombuffer(bytes.fromhex("00000001c000ffff07"), np.uint8)  # a packet of 64 KiB begins
            return rows.tobytes()
        everything = channel(frame_type="AOS", master_channels=[])
        run(Receiver(everything), ((frames(), None) for _ in range(WARM_UP + ROUNDS)))
        """,
}


def counted(account: dict[str, Any], name: str) -> int:
    """A counter, wherever in the account it stands."""
    rows = [account["totals"], account.get("synchronization") or {}, *account["virtual_channels"]]
    return sum(row.get(name, 0) for row in rows)


@pytest.mark.parametrize(("case", "body"), CASES.items(), ids=[name for name, _ in CASES])
def test_memory_does_not_grow_with_what_comes_in(case: tuple[str, str], body: str) -> None:
    growth, account = replay(body)
    assert counted(account, case[1]) > 0, "the case is not what it says"
    assert growth < ALLOWED_OCTETS, account


def test_a_receiver_that_keeps_its_batches_would_be_noticed() -> None:
    growth, _ = replay("""
        receiver, kept = Receiver(channel()), []
        receiver.feed, feed = lambda octets, **time: kept.append(feed(octets, **time)), receiver.feed
        run(receiver, steady(tm(2047, bytes(1))))
        """)
    assert growth > ALLOWED_OCTETS
