"""The bad link: what it decides, from a seed, however the frames come."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmap_io import Burst, open_port
from netmap_io.burst import join
from netmap_io.drivers.memory import memory_pair
from netmap_io.errors import LinkTypeError, PortUnsupportedError
from netmap_io.wrappers.fault_injector import FaultInjector
from netmap_io.wrappers.faults import FaultLane, Faults, per_million

CHANCES = st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0])
FAULTS = st.builds(
    Faults,
    loss=CHANCES,
    bit_errors=st.sampled_from([0.0, 1e-300, 1e-4, 0.01, 1.0]),
    duplication=CHANCES,
    reordering=CHANCES,
    reordering_depth=st.integers(1, 9),
)


def numbered(count: int, first: int = 0) -> Burst:
    frames = [number.to_bytes(4) + bytes([number & 0xFF]) * (number % 50) for number in range(first, first + count)]
    return Burst.of(frames, list(range(first, first + count)), annotations=[(i, 1, b"%d" % i) for i in range(count)])


def through(lane: FaultLane, pieces: list[Burst]) -> Burst:
    given_frames = []
    for piece in pieces:
        lane.offer(piece, 0)
        given_frames.append(lane.ready.take(10**6))
    lane.release_held(0)
    given_frames.append(lane.ready.take(10**6))
    assert lane.waiting == 0
    return join(given_frames)


def balanced(lane: FaultLane, delivered: int) -> bool:
    counters = lane.counters
    return counters.offered + counters.duplicated == delivered + counters.lost


@given(FAULTS, st.integers(0, 2**64), st.lists(st.integers(0, 40), max_size=8))
def test_the_same_seed_does_the_same_however_the_frames_are_cut(faults, seed, cuts):
    burst = numbered(sum(cuts))
    edges = np.cumsum([0, *cuts]).tolist()
    pieces = [burst[start:end] for start, end in pairwise(edges)]
    whole, cut = FaultLane(faults, seed), FaultLane(faults, seed)
    expected, found = through(whole, [burst]), through(cut, pieces)
    assert found == expected
    assert whole.counters == cut.counters
    assert balanced(whole, len(expected))


@given(FAULTS, st.integers(0, 1000), st.integers(1, 200))
def test_frames_are_whole_and_only_duplicated_on_purpose(faults, seed, count):
    lane = FaultLane(faults, seed)
    burst = numbered(count)
    got = through(lane, [burst])
    numbers = got.timestamps_ns.tolist()  # the times tell which frame it was, whatever happened to its octets
    assert sum(n - 1 for n in Counter(numbers).values()) == lane.counters.duplicated
    assert got.comments == {index: [str(number)] for index, number in enumerate(numbers)}
    inverted, damaged, seen = 0, 0, {}
    for frame, number in zip(got, numbers, strict=True):
        assert len(frame) == len(burst[number])
        wrong = sum((a ^ b).bit_count() for a, b in zip(frame, burst[number], strict=True))
        assert seen.setdefault(number, bytes(frame)) == bytes(frame)  # a duplicate has the same damage
        if (number, "counted") not in seen:
            seen[number, "counted"] = True
            inverted, damaged = inverted + wrong, damaged + (wrong > 0)
    assert (inverted, damaged) == (lane.counters.inverted_bits, lane.counters.damaged)


@given(st.integers(0, 1000), st.integers(1, 5), st.sampled_from([0.1, 0.5, 1.0]))
def test_a_frame_is_overtaken_by_the_next_few_at_most(seed, depth, reordering):
    lane = FaultLane(Faults(reordering=reordering, reordering_depth=depth), seed)
    order = through(lane, [numbered(200)]).timestamps_ns.tolist()
    assert sorted(order) == list(range(200))
    for place, number in enumerate(order):
        overtakers = [other for other in order[:place] if other > number]
        assert all(other <= number + depth for other in overtakers)
    # The twin: frame n that is chosen comes right after frame n + displacement, and after those that waited for it too.
    chosen = lane._random.uniform(2, 0, 200) < reordering
    displacement = np.where(chosen, (lane._random.uniform(3, 0, 200) * depth).astype(int) + 1, 0).tolist()
    assert order == sorted(range(200), key=lambda n: (n + displacement[n], displacement[n] > 0, n))


@pytest.mark.parametrize("name", ["loss", "duplication", "reordering"])
@pytest.mark.parametrize("chance", [0.001, 0.2, 0.9])
def test_rates_are_what_was_asked_for(name, chance):
    frames = 100_000
    lane = FaultLane(Faults(**{name: chance}), seed=5)
    through(lane, [Burst.of([b""] * frames)])
    counted = {"loss": lane.counters.lost, "duplication": lane.counters.duplicated}
    found = counted.get(name, lane.counters.reordered)
    assert abs(found - frames * chance) < 5 * sqrt(frames * chance * (1 - chance))


@pytest.mark.parametrize("chance", [1e-5, 1e-3, 0.3])
def test_bit_errors_are_spread_evenly(chance):
    lane = FaultLane(Faults(bit_errors=chance), seed=9)
    bits = 8 * 1000 * 1000
    got = through(lane, [Burst.of([bytes(1000)] * 1000)])
    wrong = np.unpackbits(np.frombuffer(got.buffer, dtype=np.uint8))
    assert int(wrong.sum()) == lane.counters.inverted_bits
    assert abs(int(wrong.sum()) - bits * chance) < 5 * sqrt(bits * chance)
    for half in (wrong[: bits // 2], wrong[::2]):
        assert abs(int(half.sum()) - bits / 2 * chance) < 5 * sqrt(bits / 2 * chance)


def test_seeds_and_directions_differ():
    def kept(seed, direction):
        return through(FaultLane(Faults(loss=0.5), seed, direction), [numbered(64)]).timestamps_ns.tolist()

    assert len({tuple(kept(seed, direction)) for seed in range(4) for direction in (0, 1)}) == 8


def test_delay_and_jitter_keep_the_order_and_the_time():
    lane = FaultLane(Faults(delay_ns=1000, jitter_ns=500), seed=1)
    lane.offer(numbered(50), now_ns=10_000)
    assert lane.ready.frames == 0
    times = []
    while (due_ns := lane.next_due_ns()) is not None:
        lane.advance(due_ns - 1)
        assert lane.ready.frames == 0
        lane.advance(due_ns)
        got = lane.ready.take(99)
        times += [(due_ns, number) for number in got.timestamps_ns.tolist()]
    assert [number for _, number in times] == list(range(50))
    assert all(11_000 <= due_ns <= 11_500 for due_ns, _ in times)
    assert len({due_ns for due_ns, _ in times}) > 3


def test_a_frame_that_nobody_overtakes_goes_on_after_a_while():
    lane = FaultLane(Faults(reordering=1, hold_ns=700))
    lane.offer(numbered(1), now_ns=100)
    assert (lane.ready.frames, lane.held, lane.next_due_ns()) == (0, 1, 800)
    lane.advance(799)
    assert lane.ready.frames == 0
    lane.advance(800)
    assert (lane.ready.frames, lane.held, lane.next_due_ns()) == (1, 0, None)


def test_what_waits_when_a_port_is_closed_is_counted():
    port = FaultInjector(open_port("memory:"), send=Faults(delay_ns=10**12))
    port.send(numbered(7))
    assert port.waiting == (0, 7)
    port.close()
    assert (port.sent.discarded, port.sent.offered, port.counters.dropped_by_port) == (7, 7, 7)


def test_flush_waits_for_what_is_delayed():
    with FaultInjector(open_port("memory:"), send=Faults(delay_ns=20_000_000, reordering=1)) as port:
        port.send(numbered(5))
        assert len(port.port.receive(9, 0)) == 0
        port.flush()
        assert port.waiting == (0, 0)
        assert len(port.port.receive(9, 0)) == 5


def test_receive_hands_on_what_was_sent_and_is_due():
    near, far = memory_pair()
    with FaultInjector(near, send=Faults(delay_ns=5_000_000)) as port, far:
        port.send(numbered(3))
        assert len(port.receive(9, 0.05)) == 0
        assert len(far.receive(9, 0)) == 3


def test_delayed_frames_arrive_after_the_end_of_the_port():
    near, far = memory_pair()
    near.send(numbered(3))
    near.close()
    with FaultInjector(far, receive=Faults(delay_ns=20_000_000, reordering=1)) as port:
        assert not port.exhausted
        assert len(port.receive(9, 0)) == 0
        assert sum(len(burst) for burst in port.bursts()) == 3
        assert port.exhausted


def test_no_room_behind_is_back_pressure_after_one_burst():
    with FaultInjector(open_port("memory:?capacity_frames=4")) as port:
        assert port.send(numbered(10)) == 10
        assert port.waiting == (0, 6)
        assert port.send(numbered(1)) == 0
        assert len(port.receive(99, 0)) == 4
        assert port.send(numbered(1)) == 0
        assert port.waiting == (0, 2)
        assert len(port.receive(99, 0)) == 4
        assert port.send(numbered(1)) == 1
        assert port.sent.offered == 11 == port.sent.delivered + sum(port.waiting)


def test_what_the_port_behind_refuses_is_refused_and_counted(tmp_path):
    with open_port(f"fault+pcap:{tmp_path}/x?mode=write&link_type=113") as port:
        with pytest.raises(LinkTypeError, match="holds frames of link type 113"):
            port.send(numbered(2))
        assert (port.sent.refused, port.sent.delivered, port.waiting) == (2, 0, (0, 0))
        with pytest.raises(LinkTypeError, match="carries"):
            port.send(Burst.of([b"x"], link_types=1))
        assert port.sent.offered == 2
        with pytest.raises(PortUnsupportedError, match="mode=read"):
            port.receive(1, 0)


@pytest.mark.parametrize(
    "wrong", [{"loss": 1.1}, {"bit_errors": -0.1}, {"loss": float("nan")}, {"reordering_depth": 0}, {"delay_ns": -1}]
)
def test_faults_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Faults(**wrong)


def test_per_million():
    assert per_million(200) == 0.0002
