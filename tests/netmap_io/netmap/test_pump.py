"""`netmap-io pump` between netmap ports goes from ring to ring."""

from __future__ import annotations

import threading

import pytest

from netmap_io import Burst
from netmap_io.burst import ETHERNET
from netmap_io.cli.pump import Way
from netmap_io.cli.traffic import Stop
from netmap_io.drivers.netmap import NetmapPort, NetmapSimulation


@pytest.mark.parametrize(("retry", "swaps"), [(True, True), (False, False)])
def test_a_way_between_rings(retry, swaps, monkeypatch):
    kernel = NetmapSimulation()
    names = ("x{1", "x}1", "x{2", "x}2")
    a, b, c, d = (NetmapPort(name, device=kernel, slots=(64, 64)) for name in names)
    with a, b, c, d:
        if swaps:  # no burst is made
            monkeypatch.setattr(NetmapPort, "receive", lambda *_: pytest.fail("copied"))
        frames = [index.to_bytes(4, "big") * 20 for index in range(200)]
        way = Way(b, c, Stop(200, 10), retry, 50)
        thread = threading.Thread(target=way.run)
        thread.start()
        sent, received = 0, []
        while thread.is_alive() or len(received) < way.flow.sent_frames:
            sent += a.send(Burst.of(frames[sent : sent + 30], link_types=ETHERNET)) if sent < 200 else 0
            with d.lend(100, 0.001) as lent:
                received += [bytes(frame) for frame in lent]
        thread.join()
        assert way.problem is None
        flow = way.flow
        assert flow.received_frames == 200 == flow.sent_frames + flow.no_room
        assert flow.received_octets == 200 * 80
        assert received == frames if retry else set(received) <= set(frames)
