"""Every joint state of FOP-1, channel and FARM-1 for small windows; COP1_STATE_SPACE=large explores the larger ones."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ccsds.procedures import fop1 as engine
from ccsds.procedures.fop1_primitives import Event, Fop1State, TimeoutType
from ccsds.procedures.fop1_table import TABLE, Action, Cell
from ccsds.testing.cop1_state_space import SpaceSettings, explore

SMALL = {
    "as it comes": SpaceSettings(uplink=2, downlink=1),
    "suspends": SpaceSettings(uplink=1, downlink=1, timeout_type=TimeoutType.SUSPEND),
    "limit 1": SpaceSettings(transmission_limit=1),
    "no duplicates": SpaceSettings(duplicates=False),
    "lower layer answers late": SpaceSettings(uplink=1, downlink=1, slow_lower_layer=True),
    "all initiations": SpaceSettings(uplink=1, downlink=1, initiations=("set_vr", "unlock", "clcw", "none")),
}
LARGE = {
    "window 2": SpaceSettings(modulus=8, window=2, transmission_limit=3),
    "overtaking": SpaceSettings(overtaking=1, initiations=("clcw", "unlock")),
    "late answers, two on their way": SpaceSettings(slow_lower_layer=True),
}


CASES = SMALL | (LARGE if os.environ.get("COP1_STATE_SPACE") == "large" else {})


@pytest.mark.conforms("CCSDS 232.1-B-2", "4", "both ends: every joint state for small windows")
@pytest.mark.parametrize("name", CASES)
def test_every_state_of_a_small_window(name: str) -> None:
    found = explore(CASES[name])
    assert not found.violation, found.trace
    assert found.is_complete
    assert found.states > 300
    if name in SMALL:
        assert (found.dead, found.lockouts) == (0, 0), found.first_dead


def test_the_sizes_are_what_the_page_says() -> None:
    """A change of the size is a change of behaviour, to be understood and written down."""
    found = explore(SMALL["as it comes"])
    assert (found.states, found.transitions, found.depth, found.stalled) == (3052, 17776, 20, 160)


# -- what COP-1 does not promise ---------------------------------------------------------------------------------------


def test_beginning_anew_on_a_link_that_is_not_empty_can_confirm_what_was_not_delivered() -> None:
    found = explore(SpaceSettings(hasty=True))
    assert found.violation == "an FDU is confirmed that was not delivered"
    assert found.trace[-1].startswith("CLCW")


def test_a_late_copy_of_set_vr_can_deliver_twice() -> None:
    found = explore(SpaceSettings(overtaking=1, initiations=("set_vr",)))
    assert found.violation == "an FDU is delivered twice or out of order"
    assert any("frame (1, 1," in step and "again later" in step for step in found.trace)


def test_the_table_itself_can_stall_without_an_alert() -> None:
    """The timer that expires in S3 is ignored and not started again; then an acknowledgement of a part leads to S1."""
    found = explore(
        SpaceSettings(
            modulus=8, window=2, uplink=1, downlink=1, transmission_limit=2, terminates=False, initiations=("unlock",)
        )
    )
    assert found.is_complete
    assert found.dead
    assert "timer expires" in found.first_dead


# -- the explorer finds what is wrong ----------------------------------------------------------------------------------


@pytest.fixture(params=["forgets to retransmit", "confirms too much", "no window"])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """FOP-1 with one defect."""
    if request.param == "forgets to retransmit":
        cells = {
            (event, Fop1State.ACTIVE): Cell((Action.IGNORE,), Fop1State.ACTIVE, 0)
            for event in (Event.E8, Event.E10, Event.E16, Event.E17)
        }
        monkeypatch.setattr(engine, "TABLE", {**TABLE, **cells})
    elif request.param == "confirms too much":
        cells = {
            (Event.E5, Fop1State.ACTIVE): Cell((Action.REMOVE_ACKNOWLEDGED, Action.CANCEL_TIMER), Fop1State.ACTIVE, 0)
        }

        def everything(fop: engine.Fop1) -> None:
            fop._report_value = fop.transmitter_sequence_number
            original(fop)

        original = engine.Fop1._remove_acknowledged
        monkeypatch.setattr(engine, "TABLE", {**TABLE, **cells})
        monkeypatch.setitem(engine._PERFORM, Action.REMOVE_ACKNOWLEDGED, everything)  # type: ignore[arg-type]
    else:
        monkeypatch.setattr(engine.Fop1Parameters, "widest_window", 3, raising=False)
    yield request.param


def test_the_explorer_finds_a_defect(broken: str) -> None:
    if broken == "no window":  # K above PW: frames beyond the window of FARM-1
        found = explore(
            SpaceSettings(modulus=8, window=3, farm_window=2, uplink=1, downlink=1, buffers=False, maximum_states=4000)
        )
        assert found.violation or found.lockouts
    else:
        found = explore(SpaceSettings(uplink=2, downlink=1))
        assert found.violation or found.dead
