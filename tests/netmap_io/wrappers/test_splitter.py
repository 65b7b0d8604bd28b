"""Filters, shares and splitters: every frame goes to one place, and both directions of a flow to the same."""

from __future__ import annotations

import select
import threading
from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmap_io import Burst, open_port, udp_frames
from netmap_io.burst import join
from netmap_io.drivers.memory import memory_pair
from netmap_io.errors import PortAddressError, PortClosedError
from netmap_io.wrappers.filter_port import Filter, by_filter, by_share
from netmap_io.wrappers.flow_hash import flow_hash, octets_hash
from netmap_io.wrappers.splitter import Splitter, route_by_filters, route_by_flow, route_by_octets


def numbers(*values: int) -> Burst:
    return Burst.of([bytes([value]) for value in values])


def got(port, **more) -> list[int]:
    return [frame[0] for frame in port.receive(timeout=0, **more)]


def test_a_filter_gives_what_matches_and_counts_the_others():
    with Filter(open_port("memory:"), by_filter("octets[0] > 2")) as port:
        port.send(numbers(1, 2, 3, 4))
        assert got(port) == [3, 4]
        assert (port.passed_over, port.passed_over_octets, port.counters.received_frames) == (2, 2, 2)
        port.send(numbers(1, 2))
        assert len(port.receive(9, 0.01)) == 0
        assert port.counters.dropped_by_port == 0


def test_a_filter_meets_frames_of_several_link_types(tmp_path):
    burst = Burst.of([bytes(14), bytes(12) + b"\x08\x00", b"\x01"], link_types=[1, 1, 147])
    match = by_filter("octets[0] = 1 or greater 14")
    assert match(burst).tolist() == [True, True, True]
    assert by_filter("greater 14")(burst[2:]).tolist() == [False]
    assert by_filter("greater 14")(Burst.of([])).tolist() == []


@given(st.lists(st.binary(max_size=24), max_size=30), st.integers(1, 5))
def test_shares_are_a_partition(frames, shares):
    burst = Burst.of(frames)
    hashes = lambda given_burst: octets_hash(given_burst, 2, 4)  # noqa: E731
    each = np.array([by_share(hashes, shares, share)(burst) for share in range(shares)])
    assert each.sum(axis=0).tolist() == [1] * len(burst)
    same = {}
    for frame, value in zip(frames, hashes(burst).tolist(), strict=True):
        assert same.setdefault(frame[2:6], value) == value
    assert len(set(same.values())) == len(same)


ENDS = st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2", "10.9.0.3"]), st.integers(1, 5))


@given(st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=20), st.integers(1, 4))
def test_both_directions_of_a_flow_have_one_hash(flows, shares):
    def frame(one, other):
        return udp_frames(Burst.of([b"data"]), source=one[0], destination=other[0], source_port=one[1], port=other[1])

    there = join(frame(one, other) for one, other in flows)
    back = join(frame(other, one) for one, other in flows)
    assert flow_hash(there).tolist() == flow_hash(back).tolist()
    by_flow = {}
    for (one, other), value in zip(flows, flow_hash(there).tolist(), strict=True):
        assert by_flow.setdefault(frozenset([one, other]), value) == value
    assert len(set(by_flow.values())) == len(by_flow)
    assert set(route_by_flow(shares)(there).tolist()) <= set(range(shares))


def test_flows_are_spread_evenly():
    frames = join(udp_frames(Burst.of([b"x"]), source_port=port, source=f"10.0.0.{port % 250}") for port in range(4000))
    counts = np.bincount(route_by_flow(4)(frames), minlength=4)
    assert counts.min() > 850


def test_fragments_of_a_packet_stay_together_and_ipv6_has_flows():
    first = bytearray(udp_frames(Burst.of([bytes(20)]))[0])
    first[20:22] = b"\x20\x00"
    later = bytearray(first)
    later[20:22], later[34:38] = b"\x00\x01", b"abcd"
    hashes = flow_hash(Burst.of([first, later], link_types=1)).tolist()
    assert hashes[0] == hashes[1]

    def six(source, destination, ports):
        addresses = ip_address(source).packed + ip_address(destination).packed
        return bytes(12) + b"\x86\xdd\x60\0\0\0\0\x08\x11\x40" + addresses + bytes(ports) + bytes(4)

    there, back = six("::1", "::2", [0, 1, 0, 2]), six("::2", "::1", [0, 2, 0, 1])
    hashes = flow_hash(Burst.of([there, back, six("::1", "::3", [0, 1, 0, 2])], link_types=1)).tolist()
    assert hashes[0] == hashes[1] != hashes[2]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_octets_have_a_flow_hash(frames):
    plain = flow_hash(Burst.of(frames, link_types=1)).tolist()
    twice = flow_hash(Burst.of(frames + frames, link_types=1)).tolist()
    assert twice == plain + plain


def test_a_splitter_gives_every_frame_to_the_first_filter_that_matches():
    near, far = memory_pair()
    with Splitter(far, 3, route_by_filters(["octets[0] > 5", "octets[0] > 2"])) as splitter:
        high, middle, rest = splitter.ports
        near.send(numbers(1, 3, 6, 2, 9, 4))
        assert got(middle) == [3, 4]
        assert [high.waiting, rest.waiting] == [2, 2]
        assert got(rest, max_frames=1) == [1]
        assert got(rest) == [2]
        assert got(high) == [6, 9]
        assert high.send(numbers(7)) == 1
        assert got(near) == [7]
        near.close()
        assert all(port.exhausted for port in splitter.ports)
    assert far.closed


def test_a_full_share_drops_and_counts_or_holds_the_others_up():
    with Splitter(open_port("memory:"), 2, route_by_octets(2, 0, 1), capacity_frames=2) as splitter:
        first, second = splitter.ports
        splitter.port.send(Burst.of([bytes([0])] * 5))
        full, empty = (first, second) if route_by_octets(2, 0, 1)(numbers(0))[0] == 0 else (second, first)
        assert len(empty.receive(9, 0)) == 0
        assert (full.waiting, full.counters.dropped_by_port) == (2, 3)
    with Splitter(open_port("memory:"), 2, route_by_octets(2, 0, 1), capacity_frames=2, drops=False) as splitter:
        full, empty = splitter.ports if full.share == 0 else reversed(splitter.ports)
        splitter.port.send(Burst.of([bytes([0])] * 5))
        assert len(empty.receive(9, 0)) == 0
        assert len(empty.receive(9, 0.01)) == 0
        assert full.waiting == 2
        assert [len(full.receive(9, 0)) for _ in range(4)] == [2, 2, 1, 0]
        assert full.counters.dropped_by_port == 0


def test_closing_shares_one_by_one():
    inner = open_port("memory:")
    splitter = Splitter(inner, 2, route_by_filters(["octets[0] = 1"]))
    ones, others = splitter.ports
    inner.send(numbers(1, 2, 2))
    assert got(ones) == [1]
    others.close()
    assert (others.counters.dropped_by_port, inner.closed) == (2, False)
    with pytest.raises(PortClosedError):
        others.receive(1, 0)
    inner.send(numbers(2, 1))
    assert got(ones) == [1]
    assert others.counters.dropped_by_port == 3
    ones.close()
    assert inner.closed


def test_a_share_is_woken_by_what_another_received():
    with Splitter(open_port("memory:"), 2, route_by_filters(["octets[0] = 1"])) as splitter:
        ones, others = splitter.ports
        descriptor = others.fileno()
        splitter.port.send(numbers(1, 2))
        assert got(ones) == [1]
        assert select.select([descriptor], [], [], 0)[0] == [descriptor]
        assert got(others) == [2]
        assert select.select([descriptor], [], [], 0)[0] == []


def test_threads_of_their_own_get_all_frames():
    near, far = memory_pair()
    frames = Burst.of([number.to_bytes(4) for number in range(20_000)])
    splitter = Splitter(far, 4, route_by_octets(4, 0, 4))
    found: list[list[bytes]] = [[] for _ in range(4)]

    def read(share: int) -> None:
        for burst in splitter.ports[share].bursts(100):
            found[share] += [bytes(frame) for frame in burst]

    threads = [threading.Thread(target=read, args=(share,)) for share in range(4)]
    for thread in threads:
        thread.start()
    for at in range(0, len(frames), 1000):
        assert near.send(frames[at : at + 1000]) == 1000
    near.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(frame for each in found for frame in each) == [bytes(frame) for frame in frames]
    assert all(each == sorted(each) for each in found)
    splitter.close()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("fauld+memory:", "there is no wrapper 'fauld'; did you mean fault?"),
        ("+memory:", "there is no wrapper ''"),
        ("fault+memry:", "did you mean memory?"),
        ("fault+memory:?los=1", "did you mean loss"),
        ("fault+memory:?loss=2", "fault: loss=2 is not a probability"),
        ("fault+memory:?loss=x", "not a probability"),
        ("fault+memory:?send_loss=nan", "not a probability"),
        ("fault+memory:?delay_ms=-1", "milliseconds"),
        ("fault+memory:?loss=1&loss=1", "given twice"),
        ("memory:?loss=1", "memory has no option 'loss'"),
        ("rate+memory:", "needs frames_per_second or bits_per_second"),
        ("rate+memory:?frames_per_second=x", "whole number"),
        ("record+memory:", "needs record_file"),
        ("filter+memory:", "needs filter=EXPRESSION"),
        ("filter+memory:?filter=octets[0]", "comparison"),
        ("filter+memory:?filter=udp", "needs Ethernet frames"),
        ("share+memory:?shares=4&share=4", "share=4 is not a whole number from 0 to 3"),
        ("trace+memory:?trace_octets=-1", "whole number"),
    ],
)
def test_wrong_addresses_get_one_sentence(address, sentence):
    with pytest.raises(PortAddressError) as caught:
        open_port(address)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrappers_stack_and_the_options_of_all_stand_together(tmp_path):
    address = (
        f"filter+record+fault+memory:?filter=octets[0] < 50&record_file={tmp_path}/x&send_loss=1"
        "&receive_duplication=1000000ppm&seed=3&capacity_frames=10"
    )
    with open_port(address) as port:
        assert [type(each).__name__ for each in (port, port.port, port.port.port)] == [
            "Filter",
            "Recorder",
            "FaultInjector",
        ]
        assert port.send(numbers(1, 2)) == 2
        assert port.port.port.sent.lost == 2
        port.port.port.port.send(numbers(60, 3))
        assert got(port) == [3, 3]
        assert port.passed_over == 2


def test_nothing_is_opened_for_a_wrong_option_and_all_is_closed_for_a_wrapper_that_fails(tmp_path):
    with pytest.raises(PortAddressError):
        open_port(f"fault+pcap:{tmp_path}/made?mode=write&los=1")
    with pytest.raises(PortAddressError):
        open_port(f"filter+pcap:{tmp_path}/made?mode=write&filter=nothing")
    assert not (tmp_path / "made").exists()


def test_shares_by_address_are_a_partition(tmp_path):
    frames = join(udp_frames(Burst.of([b"x"]), source_port=port) for port in range(50))
    with open_port(f"pcap:{tmp_path}/x?mode=write") as port:
        port.send(frames)
    found = []
    for options in ("", "&share_by=octets&share_offset=34&share_length=2"):
        for share in range(3):
            with open_port(f"share+pcap:{tmp_path}/x?shares=3&share={share}{options}") as port:
                found.append({bytes(frame) for frame in port.receive()})
        assert all(found)
        assert sorted(frame for each in found for frame in each) == sorted(bytes(frame) for frame in frames)
        found.clear()


def test_frames_received_for_another_share_are_not_missed_at_the_end():
    """The last frames are out of the port, not yet in their queue, when the other share asks whether all is over."""
    near, far = memory_pair()
    splitter = Splitter(far, 2, route_by_octets(2, 0, 4))
    frames = [number.to_bytes(4) for number in range(64)]
    near.send(Burst.of(frames))
    near.close()
    asked: list[bool] = []
    receive = far.receive

    def slow(max_frames: int = 65536, timeout: float | None = None) -> Burst:
        burst = receive(max_frames, timeout)
        asked.append(splitter.ports[1].exhausted)
        return burst

    far.receive = slow
    got = [bytes(frame) for burst in splitter.ports[0].bursts() for frame in burst]
    got += [bytes(frame) for burst in splitter.ports[1].bursts() for frame in burst]
    assert asked and not any(asked[:1])
    assert sorted(got) == frames
    splitter.close()
