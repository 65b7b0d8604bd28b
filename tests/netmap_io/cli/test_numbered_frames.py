"""gen's frames: what is made is verified, whatever is damaged is noticed, numbers are accounted for exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmap_io import Burst
from netmap_io.burst import join
from netmap_io.cli.numbered_frames import HEADER_OCTETS, PATTERNS, Maker, verify
from netmap_io.cli.sequence_account import SequenceAccount
from netmap_io.wrappers.faults import FaultLane, Faults

KINDS = {"raw": {"ethernet": False}, "ethernet": {"ethernet": True}, "udp": {"ethernet": True, "udp_port": 5000}}
AROUND = {"raw": 0, "ethernet": 14, "udp": 42}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("lengths", [(0, 0), (0, 1000), (1, 1), (300, 700)])
def test_what_is_made_is_whole(kind, pattern, lengths):
    least = AROUND[kind] + HEADER_OCTETS
    maker = Maker(
        shortest=least + lengths[0], longest=least + lengths[1], pattern=pattern, seed=2**64 - 1, **KINDS[kind]
    )
    bursts = [maker.make(count) for count in (100, 1, 60)]
    found = [verify(burst) for burst in bursts]
    assert np.concatenate([each.numbers for each in found]).tolist() == list(range(161))
    assert {stream for each in found for stream in each.streams.tolist()} == {2**64 - 1}
    assert all(each.damaged == each.others == 0 for each in found)
    sizes = np.concatenate([burst.lengths for burst in bursts])
    assert (sizes.min() >= least + lengths[0]) and (sizes.max() <= least + lengths[1])
    assert (len(set(sizes.tolist())) > 1) == (lengths[0] != lengths[1])
    again = Maker(
        shortest=least + lengths[0], longest=least + lengths[1], pattern=pattern, seed=2**64 - 1, **KINDS[kind]
    )
    assert again.make(100) == bursts[0]


@given(st.data(), st.sampled_from(sorted(KINDS)), st.integers(0, 300))
def test_any_inverted_bit_is_noticed(data, kind, more):
    length = AROUND[kind] + HEADER_OCTETS + more
    burst = Maker(shortest=length, longest=length, **KINDS[kind]).make(3)
    bit = data.draw(st.integers(8 * AROUND[kind], 8 * length - 1))
    octets = bytearray(burst[1])
    octets[bit // 8] ^= 0x80 >> bit % 8
    damaged = join([burst[:1], Burst.of([octets], link_types=burst.link_types[:1]), burst[2:]])
    verdict = verify(damaged)
    assert verdict.numbers.tolist() == [0, 2]
    assert verdict.damaged + verdict.others == 1
    named = bit >= 8 * (AROUND[kind] + 4)
    assert verdict.damaged == (named or kind == "ethernet")


@given(st.lists(st.binary(max_size=120), max_size=12), st.sampled_from([1, 147]))
def test_any_octets_are_others(frames, link_type):
    verdict = verify(Burst.of(frames, link_types=link_type))
    assert (len(verdict.numbers), verdict.damaged + verdict.others) == (0, len(frames))


@given(st.integers(0, 60))
def test_a_cut_frame_is_damaged_and_padding_does_no_harm(cut):
    burst = Maker(shortest=80, longest=80, ethernet=True).make(1)
    padded = Burst.of([bytes(burst[0]) + bytes(5)], link_types=1)
    assert verify(padded).numbers.tolist() == [0]
    shortened = verify(Burst.of([bytes(burst[0])[: 79 - cut]], link_types=1))
    assert (len(shortened.numbers), shortened.damaged) == (0, 1)


def test_makers_that_make_no_sense():
    for wrong in ({"shortest": 45, "longest": 60}, {"shortest": 60, "longest": 50}):
        with pytest.raises(ValueError):
            Maker(ethernet=True, **wrong)
    with pytest.raises(ValueError, match="Ethernet"):
        Maker(shortest=60, longest=60, ethernet=False, udp_port=1)


class Twin:
    """The slow account: every number remembered."""

    def __init__(self, numbers):
        seen, highest = set(), -1
        self.duplicated = self.reordered = 0
        for number in numbers:
            if number in seen:
                self.duplicated += 1
                continue
            self.reordered += number < highest
            highest = max(highest, number)
            seen.add(number)
        self.distinct, self.highest = len(seen), highest
        self.lost = highest + 1 - len(seen)


@given(st.lists(st.lists(st.integers(0, 60), max_size=20), max_size=10))
def test_the_account_is_the_slow_ones(bursts):
    account, twin = SequenceAccount(window=64), Twin([number for burst in bursts for number in burst])
    for burst in bursts:
        account.take(np.array(burst, dtype=np.int64))
    found = (account.distinct, account.duplicated, account.reordered, account.lost(), account.highest, account.late)
    assert found == (twin.distinct, twin.duplicated, twin.reordered, twin.lost, twin.highest, 0)


@given(st.lists(st.integers(0, 300), max_size=80), st.integers(1, 9))
def test_numbers_far_behind_are_late(numbers, at_once):
    account = SequenceAccount(window=16)
    for at in range(0, len(numbers), at_once):
        account.take(np.array(numbers[at : at + at_once], dtype=np.int64))
    assert account.distinct + account.duplicated + account.late == len(numbers)
    assert account.highest == max(numbers, default=-1)


def test_losses_at_the_end_and_the_beginning():
    account = SequenceAccount()
    account.take(np.array([5, 6, 8], dtype=np.int64))
    assert (account.lost(), account.lost(expected=12), account.lost(first=5), account.lowest) == (6, 9, 1, 5)


def test_a_bad_link_is_seen_as_what_it_was():
    lane = FaultLane(Faults(loss=0.05, duplication=0.03, reordering=0.1, bit_errors=1e-4), seed=4)
    maker, account = Maker(shortest=46, longest=90, ethernet=True), SequenceAccount()
    damaged = whole = others = 0
    for _ in range(20):
        lane.offer(maker.make(500), 0)
        verdict = verify(lane.ready.take(10**6))
        account.take(verdict.numbers)
        damaged, whole, others = damaged + verdict.damaged, whole + len(verdict.numbers), others + verdict.others
    lane.release_held(0)
    verdict = verify(lane.ready.take(10**6))
    account.take(verdict.numbers)
    total = whole + damaged + others + len(verdict.numbers) + verdict.damaged + verdict.others
    assert total == 10_000 - lane.counters.lost + lane.counters.duplicated
    assert account.lost(expected=10_000) >= lane.counters.lost
    assert account.duplicated <= lane.counters.duplicated
    assert 0 < account.reordered <= lane.counters.reordered
