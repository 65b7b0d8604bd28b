"""Turns and rate limits: fairness, starvation and limits as the docstrings promise them, on any traffic."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsds.errors import ConfigurationError
from ccsds.procedures.multiplexing import AbsolutePriority, PollingVector, RateLimit, Turns, WeightedRoundRobin

weights = st.dictionaries(st.integers(0, 9), st.integers(1, 255), min_size=1, max_size=8)
seeds = st.integers(0, 1 << 32)
SECOND = 1_000_000_000


def others(random: Random, keys: list[int], key: int) -> set[int]:
    """`key`, and any of the others."""
    return {key} | {other for other in keys if random.random() < 0.5}


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3", "multiplexing by weighted round robin")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.2", "virtual and master channel multiplexing: priority, weights, polling")
@given(weights, st.integers(1, 600))
def test_weights_hold_to_less_than_one_turn_at_any_time(shares: dict[int, int], turns: int) -> None:
    scheme, ready = WeightedRoundRobin(shares), list(shares)
    had: Counter[int] = Counter()
    total = sum(shares.values())
    for turn in range(1, turns + 1):
        chosen = scheme.choose(ready)
        assert chosen is not None
        had[chosen] += 1
        for key, weight in shares.items():
            assert abs(had[key] - Fraction(turn * weight, total)) < 1


def test_equal_weights_are_a_round_robin() -> None:
    scheme = WeightedRoundRobin(dict.fromkeys("abc", 7))
    assert "".join(scheme.choose("abc") or "" for _ in range(9)) == "abc" * 3


def test_turns_of_a_heavy_channel_are_spread() -> None:
    scheme = WeightedRoundRobin({"a": 4, "b": 1, "c": 1})
    assert "".join(scheme.choose("abc") or "" for _ in range(12)).count("aaa") == 0


@given(weights, seeds)
@settings(deadline=None)
def test_nobody_starves_under_weights(shares: dict[int, int], seed: int) -> None:
    """Whatever the others do, a ready channel has at least its share of the turns, but for a start-up of its own."""
    random, keys = Random(seed), list(shares)
    key = random.choice(keys)
    scheme = WeightedRoundRobin(shares)
    for _ in range(random.randrange(300)):
        scheme.choose({other for other in keys if random.random() < 0.5})
    total, had, longest, waited = sum(shares.values()), 0, 0, 0
    turns = 4 * total
    for _ in range(turns):
        chosen = scheme.choose(others(random, keys, key))
        waited = 0 if chosen == key else waited + 1
        longest = max(longest, waited)
        had += chosen == key
    bound = len(keys) * -(-total // shares[key]) + 1
    assert longest <= bound
    assert had >= Fraction(turns * shares[key], total) - len(keys) - 1


def test_a_channel_that_comes_and_goes_gains_nothing() -> None:
    """One that is ready every second turn only, and asks for a turn then, has no more than its share of those turns."""
    scheme, had = WeightedRoundRobin({"steady": 1, "shy": 1}), Counter[str]()
    for turn in range(400):
        chosen = scheme.choose(["steady", "shy"] if turn % 2 else ["steady"])
        assert chosen is not None
        had[chosen] += 1
    assert had["shy"] <= 200
    assert had["steady"] >= 200


@given(st.integers(1, 200), st.integers(1, 9), st.integers(1, 9))
def test_silence_saves_no_turns_up(silent: int, mine: int, other: int) -> None:
    scheme = WeightedRoundRobin({"mine": mine, "other": other})
    for _ in range(silent):
        assert scheme.choose(["other"]) == "other"
    had = [scheme.choose(["mine", "other"]) for _ in range(3 * (mine + other))].count("mine")
    assert 3 * mine - 1 <= had <= 3 * mine + 1


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), seeds)
def test_polling_reaches_everybody_within_one_round(vector: list[int], seed: int) -> None:
    random = Random(seed)
    scheme, key = PollingVector(vector), random.choice(vector)
    waited = 0
    for _ in range(200):
        ready = others(random, vector, key)
        chosen = scheme.choose(ready)
        assert chosen in ready
        waited = 0 if chosen == key else waited + 1
        assert waited < len(vector)


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3", "multiplexing by polling vector")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.2", "virtual and master channel multiplexing: priority, weights, polling")
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_polling_follows_the_vector(vector: list[int]) -> None:
    scheme = PollingVector(vector)
    assert [scheme.choose(set(vector)) for _ in range(2 * len(vector))] == vector * 2


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3", "multiplexing by absolute priority")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.2", "virtual and master channel multiplexing: priority, weights, polling")
@given(st.dictionaries(st.integers(0, 9), st.integers(0, 3), min_size=1), seeds)
def test_priority_is_absolute_and_fair_among_equals(priorities: dict[int, int], seed: int) -> None:
    random, scheme = Random(seed), AbsolutePriority(priorities)
    for _ in range(50):
        ready = others(random, list(priorities), random.choice(list(priorities)))
        chosen = scheme.choose(ready)
        assert chosen in ready
        assert priorities[chosen] == min(priorities[key] for key in ready)
    best = [key for key, priority in priorities.items() if priority == min(priorities.values())]
    had = Counter(scheme.choose(list(priorities)) for _ in range(6 * len(best)))
    assert had == dict.fromkeys(best, 6)


@pytest.mark.parametrize("scheme", [AbsolutePriority({1: 0}), WeightedRoundRobin({1: 3}), PollingVector([1])])
def test_nobody_ready_is_nobody_chosen(scheme: Turns[int]) -> None:
    assert scheme.choose([]) is None
    assert scheme.choose([1]) == 1


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.2", "rate limits of virtual and master channels")
@pytest.mark.conforms("CCSDS 232.0-B-4", "4.3", "rate limits of MAPs, virtual and master channels")
@given(st.integers(1, 10**7), st.integers(0, 3000), st.lists(st.integers(1, 2000), min_size=1, max_size=60), seeds)
@settings(deadline=None)
def test_no_window_sees_more_than_its_rate_and_one_unit(rate: int, burst: int, units: list[int], seed: int) -> None:
    random, limit = Random(seed), RateLimit(rate, burst_octets=burst)
    now, sent = random.randrange(10**12), []
    for octets in units:
        if random.random() < 0.3:
            now += random.randrange(10**9)
        ready = limit.ready_ns(now)
        if ready > now:
            assert not limit.permits(now)
            assert not limit.permits(ready - 1)
            now = ready
        assert limit.permits(now)
        limit.charge(octets, now)
        sent.append((now, 8 * octets))
    for first in range(len(sent)):
        bits = 0
        for instant, size in sent[first:]:
            assert bits * SECOND <= rate * (instant - sent[first][0]) + 8 * burst * SECOND
            bits += size


def test_a_limit_is_used_up() -> None:
    limit, now, octets = RateLimit(8000), 0, 0
    while now < 10 * SECOND:
        limit.charge(100, now)
        octets += 100
        now = limit.ready_ns(now)
    assert octets == 10_000


def test_a_clock_that_goes_back_pays_nothing() -> None:
    limit = RateLimit(8)
    limit.charge(1, 5 * SECOND)
    assert not limit.permits(0)
    assert limit.ready_ns(0) == 6 * SECOND
    limit.charge(1, 0)
    assert limit.ready_ns(0) == 7 * SECOND


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(ConfigurationError, match="weight of 3 is 0"):
        WeightedRoundRobin({3: 0})
    with pytest.raises(ConfigurationError, match="polling vector is empty"):
        PollingVector([])
    with pytest.raises(ConfigurationError, match="0 bits per second"):
        RateLimit(0)
