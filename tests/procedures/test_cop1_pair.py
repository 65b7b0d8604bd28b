"""FOP-1 against FARM-1 over a link that does its worst: each FDU once and in order, or the user was told."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsds.procedures.farm1 import Farm1Parameters
from ccsds.procedures.fop1 import Fop1Parameters
from ccsds.procedures.fop1_primitives import TimeoutType
from ccsds.testing.cop1_pair import Cop1Pair, PairAccount, PairSettings
from ccsds.testing.simulated_link import LinkQuality, SimulatedLink

SECOND = 1_000_000_000
SLOW = {"delay_ns": 2 * SECOND, "jitter_ns": SECOND}
WORST = LinkQuality(
    **SLOW, loss=0.1, duplication=0.1, corruption=0.1, reordering=0.1, reordering_ns=3 * SECOND
)  # fmt: skip


def pair_settings(
    uplink: LinkQuality,
    downlink: LinkQuality | None = None,
    *,
    window: int = 8,
    limit: int = 5,
    timeout_type: TimeoutType = TimeoutType.ALERT,
    **more: Any,
) -> PairSettings:
    return PairSettings(
        fop1=Fop1Parameters(
            virtual_channel_id=3,
            sliding_window_width=window,
            t1_initial_ns=15 * SECOND,
            transmission_limit=limit,
            timeout_type=timeout_type,
            farm_positive_window_width=16,
        ),
        farm1=Farm1Parameters(virtual_channel_id=3, sliding_window_width=32),
        uplink=uplink,
        downlink=downlink or uplink,
        clcw_period_ns=SECOND,
        **{"fdus": 100} | more,
    )


def held(run: PairSettings, seed: int) -> PairAccount:
    account = Cop1Pair(run, seed=seed).run(until_ns=50_000 * SECOND)
    assert not list(account.complaints(run.fdus)), (seed, run)
    return account


def test_a_good_link_needs_no_retransmission() -> None:
    account = held(pair_settings(LinkQuality(**SLOW)), seed=1)
    assert account.delivered == account.positive == list(range(100))
    assert (account.frames_sent, account.alerts, account.stalls) == (100, {}, 0)


@pytest.mark.conforms("CCSDS 232.1-B-2", "3.2", "sequence-controlled service: each FDU once and in order, or an alert")
@pytest.mark.parametrize("what", ["loss", "duplication", "corruption"])
@pytest.mark.parametrize("seed", range(5))
def test_each_damage_alone_is_repaired_without_an_alert(what: str, seed: int) -> None:
    bad = dataclasses.replace(LinkQuality(**SLOW), **{what: 0.2})
    account = held(pair_settings(bad, limit=255), seed)
    assert account.delivered == account.positive == list(range(100))
    assert not account.alerts


@pytest.mark.conforms("CCSDS 232.1-B-2", "3.2", "sequence-controlled service: each FDU once and in order, or an alert")
@pytest.mark.parametrize("seed", range(40))
def test_the_worst_link_delivers_once_and_in_order_or_alerts(seed: int) -> None:
    held(pair_settings(WORST), seed)


@pytest.mark.parametrize("seed", range(20))
def test_a_slow_spacecraft_is_waited_for(seed: int) -> None:
    lossy = LinkQuality(**SLOW, loss=0.05)
    account = held(pair_settings(lossy, buffer_frames=2, work_off_ns=4 * SECOND, limit=50), seed)
    assert account.delivered == list(range(100)) or account.alerts


@pytest.mark.conforms("CCSDS 232.1-B-2", "5", "FOP-1 suspend and resume")
@pytest.mark.parametrize("seed", range(20))
def test_suspended_service_is_resumed(seed: int) -> None:
    account = held(pair_settings(WORST, limit=2, timeout_type=TimeoutType.SUSPEND), seed)
    assert account.suspensions or account.alerts


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    up=st.builds(
        LinkQuality, delay_ns=st.just(SECOND), jitter_ns=st.integers(0, SECOND), loss=st.floats(0, 0.5),
        duplication=st.floats(0, 0.5), corruption=st.floats(0, 0.5), reordering=st.floats(0, 0.5),
        reordering_ns=st.integers(0, 3 * SECOND),
    ),
    down=st.builds(LinkQuality, delay_ns=st.integers(SECOND, 4 * SECOND), loss=st.floats(0, 0.9)),
    window=st.integers(1, 16),
    limit=st.integers(1, 20),
    timeout_type=st.sampled_from(TimeoutType),
    buffer_frames=st.integers(1, 8),
)  # fmt: skip
def test_any_link_and_any_parameters(seed: int, up: LinkQuality, down: LinkQuality, **parameters: Any) -> None:
    run = pair_settings(up, down, fdus=30, work_off_ns=SECOND, **parameters)
    pair = Cop1Pair(run, seed=seed)
    account = pair.run(until_ns=3_000 * SECOND)
    assert not list(account.complaints(run.fdus, is_finished=pair.is_finished))


@pytest.mark.parametrize(("seed", "lossy"), [(1, True), (2, False)])
def test_a_thousand_million_seconds_of_commanding_across_the_solar_system(seed: int, lossy: bool) -> None:
    """30 years each, light time four hours, a report every six hours; the clock jumps from event to event."""
    hour = 3600 * SECOND
    quality = LinkQuality(delay_ns=4 * hour, jitter_ns=hour, **({"loss": 0.05, "corruption": 0.02} if lossy else {}))
    run = PairSettings(
        fop1=Fop1Parameters(
            virtual_channel_id=0, sliding_window_width=3, t1_initial_ns=20 * hour, transmission_limit=8
        ),
        farm1=Farm1Parameters(virtual_channel_id=0, sliding_window_width=20),
        uplink=quality,
        downlink=quality,
        fdus=1_000_000,
        clcw_period_ns=6 * hour,
        buffer_frames=30,
        work_off_ns=hour // 2,
    )
    pair = Cop1Pair(run, seed=seed)
    account = pair.run(until_ns=10**18)
    assert account.ended_ns >= 10**18
    assert not list(account.complaints(run.fdus, is_finished=False))
    assert len(account.positive) > 10_000


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = (held(pair_settings(WORST), seed=77) for _ in range(2))
    assert first == second
    assert held(pair_settings(WORST), seed=78) != first


# -- the link itself ---------------------------------------------------------------------------------------------------


def test_a_link_keeps_order_unless_told_otherwise() -> None:
    link = SimulatedLink(LinkQuality(delay_ns=10, jitter_ns=1000), seed=5)
    for number in range(200):
        link.send(bytes((number,)), now_ns=number)
    assert link.receive(now_ns=9) == []
    assert link.receive(now_ns=10**6) == [bytes((number,)) for number in range(200)]
    assert link.poll_timeout() is None


def test_a_link_does_what_its_quality_says_and_counts_it() -> None:
    quality = LinkQuality(delay_ns=5, loss=0.25, duplication=0.25, corruption=0.25, reordering=0.25, reordering_ns=20)
    link = SimulatedLink(quality, seed=9)
    for number in range(4000):
        link.send(number.to_bytes(4, "big"), now_ns=number)
    arrived = link.receive(now_ns=10**6)
    assert link.delivered == len(arrived) == link.sent - link.lost + link.duplicated
    for count, of in ((link.lost, 4000), (link.duplicated, 3000), (link.corrupted, 3750), (link.reordered, 3750)):
        assert 0.2 * of < count < 0.3 * of
    good = [octets for octets in arrived if int.from_bytes(octets, "big") < 4000]
    assert good != sorted(good)
    assert len(arrived) - len(good) <= link.corrupted


@pytest.mark.parametrize("wrong", [{"delay_ns": -1}, {"delay_ns": 0, "loss": 1.5}, {"delay_ns": 0, "corruption": -0.1}])
def test_a_quality_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is .*, not 0 to"):
        LinkQuality(**wrong)
