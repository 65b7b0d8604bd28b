"""Any interleaving of send, receive, lend, flush and close: the accounts balance, no frame is torn or made up."""

from __future__ import annotations

import zlib
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from netmap_io import Burst
from netmap_io.drivers.memory import memory_pair
from netmap_io.errors import PortClosedError
from netmap_io.wrappers.fault_injector import FaultInjector
from netmap_io.wrappers.faults import Faults
from netmap_io.wrappers.filter_port import Filter, by_filter
from netmap_io.wrappers.rate_limiter import RateLimit, RateLimiter
from netmap_io.wrappers.recorder import Recorder
from netmap_io.wrappers.tracer import Tracer

CHANCES = st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0])
FAULTS = st.builds(
    Faults,
    loss=st.sampled_from([0.0, 0.0, 0.1, 0.5]),
    duplication=CHANCES,
    reordering=CHANCES,
    reordering_depth=st.integers(1, 4),
    hold_ns=st.sampled_from([0, 50_000]),
    delay_ns=st.sampled_from([0, 0, 30_000]),
    jitter_ns=st.sampled_from([0, 0, 20_000]),
)


def frame(number: int) -> bytes:
    body = number.to_bytes(4) + bytes([number & 0xFF]) * (number % 30)
    return body + zlib.crc32(body).to_bytes(4)


def number_of(octets: memoryview) -> int:
    assert zlib.crc32(octets[:-4]).to_bytes(4) == octets[-4:], "a torn frame"
    return int.from_bytes(octets[:4])


class Link(RuleBasedStateMachine):
    """Two ends of a memory link, wrapped at both, and everything that was sent and received at each."""

    @initialize(
        faults=st.tuples(FAULTS, FAULTS, FAULTS, FAULTS),
        seed=st.integers(0, 2**32),
        capacity=st.sampled_from([1, 5, 1000]),
        back_pressure=st.booleans(),
        layers=st.lists(st.sampled_from(["rate", "filter", "trace", "record"]), max_size=3),
    )
    def open(self, faults, seed, capacity, back_pressure, layers):
        self.inner = memory_pair(capacity_frames=capacity, back_pressure=back_pressure)
        self.lines, self.recorders, self.filters = [], [], []
        self.injectors = [
            FaultInjector(end, receive=faults[2 * side], send=faults[2 * side + 1], seed=seed)
            for side, end in enumerate(self.inner)
        ]
        self.ends = [self.wrapped(port, layers) for port in self.injectors]
        self.sent: list[list[int]] = [[], []]
        self.received: list[list[int]] = [[], []]
        self.next = 0

    def wrapped(self, port, layers):
        for layer in layers:
            if layer == "rate":
                limit = {"frames_per_second": 10**6, "burst_frames": 7}
                port = RateLimiter(port, send=RateLimit(**limit), receive=RateLimit(**limit))
            elif layer == "filter":
                port = Filter(port, by_filter("octets[3] & 1 = 0"))
                self.filters.append(port)
            elif layer == "trace":
                port = Tracer(port, self.lines.append)
            else:
                port = Recorder(port, "/dev/null")
                self.recorders.append(port)
        return port

    @rule(side=st.integers(0, 1), count=st.integers(0, 12))
    def send(self, side, count):
        numbers = list(range(self.next, self.next + count))
        self.next += count
        try:
            taken = self.ends[side].send(Burst.of([frame(number) for number in numbers]))
        except PortClosedError:
            assert self.ends[0].closed or self.ends[1].closed
            self.sent[side] = None  # how many went is told by the counters alone from here on
            return
        if self.sent[side] is not None:
            self.sent[side] += numbers[:taken]

    @rule(side=st.integers(0, 1), count=st.integers(1, 12), lent=st.booleans())
    def receive(self, side, count, lent):
        if self.ends[side].closed:
            return
        try:
            if lent:
                with self.ends[side].lend(count, 0) as burst:
                    self.took(side, burst, count)
            else:
                self.took(side, self.ends[side].receive(count, 0), count)
        except PortClosedError:  # what was to be handed on meanwhile has no other end
            assert self.ends[0].closed or self.ends[1].closed

    def took(self, side, burst, count):
        assert len(burst) <= count
        self.received[side] += [number_of(each) for each in burst]

    @rule(side=st.integers(0, 1))
    def flush(self, side):
        if not self.ends[side].closed:
            try:
                self.ends[side].flush()
            except PortClosedError:
                assert self.ends[1 - side].closed

    @rule(side=st.integers(0, 1))
    def close(self, side):
        self.ends[side].close()

    @invariant()
    def accounts_balance(self):
        if not hasattr(self, "ends"):
            return
        for side, injector in enumerate(self.injectors):
            for counters, waiting in zip((injector.received, injector.sent), injector.waiting, strict=True):
                gone = counters.delivered + counters.lost + counters.refused + counters.discarded
                assert counters.offered + counters.duplicated == gone + waiting
            assert injector.counters.sent_frames <= injector.sent.offered
            assert injector.counters.sent_frames == injector.sent.offered or injector.sent.refused
            inner = self.inner[side].counters
            dropped = 0 if self.inner[side].capabilities.back_pressure else inner.dropped_by_port
            assert injector.sent.delivered == inner.sent_frames + dropped
            assert injector.received.offered == inner.received_frames
            self.frames_are_real(side)

    def frames_are_real(self, side):
        got, other = Counter(self.received[side]), self.injectors[1 - side]
        copies = sum(count - 1 for count in got.values())
        assert copies <= other.sent.duplicated + self.injectors[side].received.duplicated
        if self.sent[1 - side] is not None:
            assert set(got) <= set(self.sent[1 - side])
        assert max(got.values(), default=0) <= 4
        assert len(self.received[side]) == self.ends[side].counters.received_frames

    def teardown(self):
        if not hasattr(self, "ends"):
            return
        for end in self.ends:
            end.close()
        self.accounts_balance()
        for injector in self.injectors:
            assert injector.waiting == (0, 0)
        for recorder in self.recorders:
            passed = recorder.counters.received_frames + recorder.counters.sent_frames
            assert (recorder.recorded, recorder.not_recorded, recorder.problem) == (passed, 0, None)


TestLink = Link.TestCase
TestLink.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
