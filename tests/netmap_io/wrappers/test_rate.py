"""Token buckets by a hand-turned clock, and the limiter at the edge."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmap_io import Burst, open_port
from netmap_io.wrappers.rate_limiter import RateLimit, RateLimiter
from netmap_io.wrappers.token_bucket import TokenBucket

SECOND = 10**9


@given(
    st.integers(1, 10**6),
    st.integers(1, 5000),
    st.lists(st.tuples(st.integers(0, SECOND), st.integers(1, 9000)), min_size=1, max_size=60),
)
def test_no_stretch_of_time_lets_more_through_than_it_may(rate, capacity, steps):
    bucket = TokenBucket(rate, capacity)
    now_ns, passed = 0, []
    for wait_ns, cost in steps:
        now_ns += wait_ns
        bucket.fill(now_ns)
        if bucket.affords(np.array([cost], dtype=np.int64)):
            assert bucket.wait_ns(cost) == 0
            bucket.spend(cost)
            passed.append((now_ns, cost))
        else:
            assert bucket.wait_ns(cost) > 0
    for first in range(len(passed)):
        total = 0
        for at_ns, cost in passed[first:]:
            total += cost
            allowed = capacity + rate * (at_ns - passed[first][0]) / SECOND
            assert total <= allowed + max(0, cost - capacity) + 1e-6


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_wait_is_exact(rate, capacity, cost):
    bucket = TokenBucket(rate, capacity)
    bucket.fill(0)
    bucket.spend(capacity)
    wait_ns = bucket.wait_ns(cost)
    costs = np.array([cost], dtype=np.int64)
    bucket.fill(wait_ns - 1)
    assert bucket.affords(costs) == 0
    bucket.fill(wait_ns)
    assert bucket.affords(costs) == 1


def test_a_clock_that_goes_back_gives_nothing():
    bucket = TokenBucket(10, 10)
    bucket.fill(SECOND)
    bucket.spend(10)
    bucket.fill(0)
    bucket.fill(SECOND)
    assert bucket.wait_ns(1) == SECOND // 10


def frames(count, octets=100):
    return Burst.of([bytes(octets)] * count)


def test_sending_takes_what_the_rate_allows_and_no_more():
    now = [0]
    limit = RateLimit(frames_per_second=1000, burst_frames=5)
    with RateLimiter(open_port("memory:"), send=limit, clock_ns=lambda: now[0]) as port:
        assert port.send(frames(10)) == 5
        assert port.send(frames(10)) == 0
        assert port.send_wait_s(100) == 0.001
        now[0] += 3_000_000
        assert port.send(frames(10)) == 3
        now[0] += SECOND
        assert port.send(frames(10)) == 5
        assert port.counters.sent_frames == 13


def test_both_rates_hold_and_overhead_counts():
    now = [0]
    limit = RateLimit(frames_per_second=10**6, bits_per_second=10**6, burst_bits=8 * 124 * 3, overhead_octets=24)
    with RateLimiter(open_port("memory:"), send=limit, clock_ns=lambda: now[0]) as port:
        assert port.send(frames(10)) == 3
        now[0] += 124 * 8 * 1000
        assert port.send(frames(10)) == 1


def test_frames_that_the_port_did_not_take_cost_nothing():
    limit = RateLimit(frames_per_second=1, burst_frames=10)
    with RateLimiter(open_port("memory:?capacity_frames=2"), send=limit, clock_ns=lambda: 0) as port:
        assert port.send(frames(10)) == 2
        port.receive(9, 0)
        assert port.send(frames(10)) == 2


def test_a_frame_longer_than_the_bucket_passes_when_it_is_full_and_leaves_a_debt():
    now = [0]
    limit = RateLimit(bits_per_second=8000, burst_bits=800)
    with RateLimiter(open_port("memory:"), send=limit, clock_ns=lambda: now[0]) as port:
        assert port.send(frames(3, 1000)) == 1
        now[0] += SECOND // 2
        assert port.send(frames(3, 1000)) == 0
        now[0] += SECOND // 2
        assert port.send(frames(3, 1000)) == 1


def test_receiving_gives_frames_at_the_rate_and_keeps_the_others():
    limit = RateLimit(frames_per_second=1000, burst_frames=1)
    with RateLimiter(open_port("memory:"), receive=limit) as port:
        port.send(frames(11))
        start, got = time.monotonic(), 0
        while got < 11:
            got += len(port.receive(9, 1))
        assert 0.0095 < time.monotonic() - start < 5
        assert port.counters.received_frames == 11
        port.send(frames(5))
        port.receive(9, 1)
        waiting = port.waiting
        assert waiting >= 3
    assert port.counters.dropped_by_port == waiting


def test_receiving_keeps_to_the_timeout():
    limit = RateLimit(frames_per_second=1, burst_frames=1)
    with RateLimiter(open_port("memory:"), receive=limit) as port:
        port.send(frames(2))
        assert len(port.receive(9, 0)) == 1
        start = time.monotonic()
        assert len(port.receive(9, 0.05)) == 0
        assert 0.04 < time.monotonic() - start < 0.9
        assert not port.exhausted


@pytest.mark.parametrize("wrong", [{"frames_per_second": 0}, {"bits_per_second": -1}])
def test_rates_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match="1 or more"):
        RateLimit(**wrong)
