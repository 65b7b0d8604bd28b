"""Pace: the timing of a recording, without a clock."""

from __future__ import annotations

import time

import numpy as np
import pytest

from netmap_io import Burst, open_port
from netmap_io.pace import Pace

S = 1_000_000_000


def test_original_timing():
    pace = Pace()
    times = np.array([100, 100, 101, 103], dtype=np.int64) * S
    assert pace.due(times, 7 * S) == (2, 1 * S)
    assert pace.due(times[2:], 7 * S + S // 2) == (0, S // 2)
    assert pace.due(times[2:], 8 * S) == (1, 2 * S)
    assert pace.due(times[3:], 60 * S) == (1, 0)


def test_faster_and_slower():
    times = np.array([0, 10], dtype=np.int64) * S
    assert Pace(10).due(times, 0) == (1, S)
    assert Pace(0.5).due(times, 0) == (1, 20 * S)


def test_unknown_and_backward_times_are_due_with_the_frame_before():
    pace = Pace()
    times = np.array([-1, 5 * S, -1, 4 * S, 7 * S, 6 * S], dtype=np.int64)
    assert pace.due(times, 0) == (4, 2 * S)
    assert pace.due(times[4:], 2 * S) == (2, 0)
    assert Pace().due(np.array([-1, -1], dtype=np.int64), 0) == (2, 0)


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_senseless_speeds(speed):
    with pytest.raises(ValueError):
        Pace(speed)


def test_a_paced_port_takes_its_time_and_loses_nothing(tmp_path):
    frames = Burst.of([bytes([i]) for i in range(20)], [i * S for i in range(20)])
    with open_port(f"pcap:{tmp_path}/x?mode=write&link_type=raw_octets") as port:
        port.send(frames)
    start = time.monotonic()
    with open_port(f"pcap:{tmp_path}/x?pace=100") as port:
        assert len(port.receive(100, 0)) == 1
        assert len(port.receive(100, 0)) == 0
        received = [bytes(frame) for burst in port.bursts(7) for frame in burst]
        assert port.exhausted
    assert received == [bytes([i]) for i in range(1, 20)]
    assert 0.18 < time.monotonic() - start < 5
