"""FARM-1: every cell of the table, published runs, the window, and a twin that follows the vectors literally."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.errors import ConfigurationError, EncodeError, FieldError, ProtocolError
from ccsds.procedures.cop1 import Cop1Frame, FrameType, SetVr, Unlock, control_command
from ccsds.procedures.farm1 import (
    TABLE,
    ClcwReport,
    ControlCommandExecuted,
    Event,
    Farm1,
    Farm1Parameters,
    Farm1State,
    FduArrived,
    FrameDiscarded,
)
from ccsds.testing import load_vectors

CASES = load_vectors("232.1-B-2/farm1.toml")
CELLS = {(case["event"], case["state"]): case for case in CASES if case["kind"] == "cell"}
RUNS = [case for case in CASES if case["kind"] == "run"]
TOKENS = {
    "ACC": "accept",
    "DISC": "discard",
    "VR+1": "V(R) := V(R) + 1",
    "VR:=V*": "V(R) := V*(R)",
    "B+1": "FARM-B_Counter + 1",
    **{
        f"{short}{value}": f"{name}_Flag := {value}"
        for short, name in (("R", "Retransmit"), ("W", "Wait"), ("L", "Lockout"))
        for value in (0, 1)
    },
    "REP": "report the CLCW",
    "IGN": "ignore",
    "n/a": "cannot occur",
}
WIDTH = 10


def make(state: Farm1State = Farm1State.OPEN, vr: int = 0, width: int = WIDTH) -> Farm1:
    farm = Farm1(Farm1Parameters(virtual_channel_id=0, sliding_window_width=width), receiver_sequence_number=vr)
    farm.state = state
    farm.lockout_flag = int(state is Farm1State.LOCKOUT)
    farm.wait_flag = int(state is Farm1State.WAIT)
    return farm


def ad(number: int) -> Cop1Frame:
    return Cop1Frame(frame_type=FrameType.AD, octets=b"data", frame_sequence_number=number)


def bc(octets: bytes) -> Cop1Frame:
    return Cop1Frame(frame_type=FrameType.BC, octets=octets)


BD = Cop1Frame(frame_type=FrameType.BD, octets=b"expedited")


def perform(farm: Farm1, event: str) -> None:
    vr = farm.receiver_sequence_number
    match event:
        case "E1":
            farm.handle_frame(ad(vr))
        case "E2":
            farm.handle_frame(ad(vr), buffer_free=False)
        case "E3":
            farm.handle_frame(ad((vr + 1) % 256))
        case "E4":
            farm.handle_frame(ad((vr - WIDTH // 2) % 256))
        case "E5":
            farm.handle_frame(ad((vr + WIDTH // 2) % 256))
        case "E6":
            farm.handle_frame(BD)
        case "E7":
            farm.handle_frame(bc(Unlock().encode()))
        case "E8":
            farm.handle_frame(bc(SetVr(77).encode()))
        case "E9":
            farm.handle_frame(bc(b"\x01"))
        case "E10":
            farm.handle_buffer_release()
        case "E11":
            farm.handle_report_time()


def events(farm: Farm1) -> list[Any]:
    return list(iter(farm.poll_event, None))


def variables(farm: Farm1) -> dict[str, int]:
    return {
        "VR": farm.receiver_sequence_number,
        "B": farm.farm_b_counter,
        "R": farm.retransmit_flag,
        "W": farm.wait_flag,
        "L": farm.lockout_flag,
    }


def follow(case: dict[str, Any], before: dict[str, int]) -> dict[str, int]:
    """The variables that the tokens of a published cell lead to."""
    after = dict(before)
    for token in case["actions"]:
        if token == "VR+1":
            after["VR"] = (after["VR"] + 1) % 256
        elif token == "VR:=V*":
            after["VR"] = 77
        elif token == "B+1":
            after["B"] = (after["B"] + 1) % 256
        elif token[0] in "RWL" and token[1:].isdigit():
            after[token[0]] = int(token[1:])
    return after


@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "FARM-1 table 6-1: every cell present")
def test_the_table_has_every_cell_and_no_other() -> None:
    assert set(TABLE) == set(itertools.product(Event, Farm1State))
    assert len(TABLE) == len(CELLS) == 33


@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "FARM-1 table 6-1: every cell present")
@pytest.mark.parametrize("cell", TABLE, ids=lambda cell: f"{cell[0].name}-{cell[1].value}")
def test_each_cell_is_the_published_one(cell: tuple[Event, Farm1State]) -> None:
    published, ours = CELLS[cell[0].name, cell[1].value], TABLE[cell]
    assert [action.value for action in ours.actions] == [TOKENS[token] for token in published["actions"]]
    assert ours.next_state.value == (published["next"] if published["next"] != "-" else cell[1].value)
    assert ours.implementations == published["n_agree"]
    assert not (ours.clause and ours.partly)
    if "text" in published:
        assert ours.clause


@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "FARM-1 table 6-1, E1 to E5: frames of type AD")
@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "FARM-1 table 6-1, E6: frames of type BD")
@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "FARM-1 table 6-1, E7 to E8: Unlock and Set V(R)")
@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "FARM-1 table 6-1, E9: invalid frame or control command")
@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "FARM-1 table 6-1, E10: buffer release")
@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "FARM-1 table 6-1, E11: CLCW report time")
@pytest.mark.parametrize("cell", TABLE, ids=lambda cell: f"{cell[0].name}-{cell[1].value}")
@pytest.mark.parametrize("flags", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("vr", [0, 128, 255])
def test_each_cell_does_what_it_says(cell: tuple[Event, Farm1State], flags: tuple[int, int], vr: int) -> None:
    event, state = cell
    published = CELLS[event.name, state.value]
    farm = make(state, vr)
    farm.retransmit_flag, farm.farm_b_counter = flags[0], 255
    if state is Farm1State.LOCKOUT:
        farm.wait_flag = flags[1]
    before = variables(farm)
    if published["actions"] == ["n/a"]:
        with pytest.raises(ProtocolError, match="buffer release"):
            perform(farm, event.name)
        assert (variables(farm), farm.state, events(farm)) == (before, state, [])
        return
    perform(farm, event.name)
    assert variables(farm) == follow(published, before)
    assert farm.state.value == published["next"]
    said = events(farm)
    if "ACC" in published["actions"]:
        assert [type(one) for one in said] == [FduArrived]
    elif "DISC" in published["actions"]:
        assert [type(one) for one in said] == [FrameDiscarded]
        assert said[0].event is event
    elif event in (Event.E7, Event.E8):
        executed = not (event is Event.E8 and state is Farm1State.LOCKOUT)
        assert [(type(one), one.executed) for one in said] == [(ControlCommandExecuted, executed)]
    elif event is Event.E11:
        assert said == [ClcwReport(farm.clcw())]
    else:
        assert not said


@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "FARM-1: CLCW after each frame")
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run["id"])
def test_published_runs(run: dict[str, Any]) -> None:
    farm = make(Farm1State(run["init"]["state"]), run["init"]["vr"], run["W"])
    for step in run["steps"]:
        command = {"UNLOCK": Unlock(), "SETVR": SetVr(step["n"])}.get(step["op"])
        farm.handle_frame(bc(command.encode()) if command else ad(step["n"]) if step["op"] == "AD" else BD)
        assert farm.clcw().encode().hex() == step["clcw"], step


# -- the window --------------------------------------------------------------------------------------------------------


@pytest.mark.conforms("CCSDS 232.1-B-2", "6.1", "FARM-1 sliding window: positive and negative window, lockout area")
@given(vr=st.integers(0, 255), number=st.integers(0, 255), half=st.integers(1, 127))
def test_the_window_against_plain_counting(vr: int, number: int, half: int) -> None:
    farm = make(vr=vr, width=2 * half)
    ahead = [(vr + step) % 256 for step in range(1, half)]
    behind = [(vr - step) % 256 for step in range(1, half + 1)]
    expected = Event.E3 if number in ahead else Event.E4 if number in behind else Event.E5
    farm.handle_frame(ad(number))
    said = farm.poll_event()
    if number == vr:
        assert isinstance(said, FduArrived)
    else:
        assert isinstance(said, FrameDiscarded)
        assert said.event is expected


@pytest.mark.conforms("CCSDS 232.1-B-2", "6.1", "FARM-1 window without retransmission (Corrigendum 1)")
@given(data=st.data(), width=st.integers(1, 256))
def test_the_window_without_retransmission(data: st.DataObject, width: int) -> None:
    positive = data.draw(st.integers(1, width))
    vr, number = data.draw(st.integers(0, 255)), data.draw(st.integers(0, 255))
    parameters = Farm1Parameters(
        virtual_channel_id=1, sliding_window_width=width, retransmission=False, positive_window_width=positive
    )
    assert parameters.window_widths == (positive, width - positive)
    farm = Farm1(parameters, receiver_sequence_number=vr)
    ahead = [(vr + step) % 256 for step in range(1, positive)]
    behind = [(vr - step) % 256 for step in range(1, width - positive + 1)]
    if number != vr:
        assert farm.window(number) is (Event.E3 if number in ahead else Event.E4 if number in behind else Event.E5)


@pytest.mark.conforms("CCSDS 232.1-B-2", "6.1", "FARM-1 managed parameter: sliding window width")
@pytest.mark.conforms("CCSDS 232.1-B-2", "6.1", "FARM-1 managed parameter: positive window width")
@pytest.mark.conforms("CCSDS 232.1-B-2", "6.1", "FARM-1 managed parameter: virtual channel identifier")
@pytest.mark.parametrize(
    "wrong",
    [
        {"sliding_window_width": 0},
        {"sliding_window_width": 3},
        {"sliding_window_width": 256},
        {"sliding_window_width": 10, "positive_window_width": 4},
        {"sliding_window_width": 257, "retransmission": False},
        {"sliding_window_width": 0, "retransmission": False},
        {"sliding_window_width": 9, "retransmission": False, "positive_window_width": 10},
        {"sliding_window_width": 9, "retransmission": False, "positive_window_width": 0},
        {"sliding_window_width": 10, "virtual_channel_id": 64},
    ],
)
def test_parameters_that_the_clause_forbids(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"is .*, not .* \[CCSDS 232\.1-B-2 §6\.1"):
        Farm1Parameters(**{"virtual_channel_id": 0} | wrong)
    with pytest.raises(ConfigurationError, match="receiver_sequence_number"):
        Farm1(Farm1Parameters(virtual_channel_id=0, sliding_window_width=2), receiver_sequence_number=256)


@pytest.mark.conforms("CCSDS 232.1-B-2", "6.1", "FARM-1 window without retransmission (Corrigendum 1)")
def test_the_widest_windows() -> None:
    assert Farm1Parameters(virtual_channel_id=0, sliding_window_width=254).window_widths == (127, 127)
    whole = Farm1Parameters(virtual_channel_id=0, sliding_window_width=256, retransmission=False)
    assert whole.window_widths == (256, 0)
    assert all(Farm1(whole).window(number) is Event.E3 for number in range(1, 256))


# -- frames and commands -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", load_vectors("232.1-B-2/control_commands.toml"), ids=lambda case: case["id"])
def test_published_control_commands(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["data"].replace("XX", "2a"))
    command = control_command(octets)
    assert command == (Unlock() if case["id"] == "unlock" else SetVr(42))
    assert command.encode() == octets


@given(st.binary(max_size=5))
def test_any_octets_are_a_command_or_none(octets: bytes) -> None:
    command = control_command(octets)
    assert command is None or command.encode() == octets
    farm = make()
    farm.handle_frame(bc(octets))
    assert isinstance(farm.poll_event(), FrameDiscarded if command is None else ControlCommandExecuted)


def test_frames_from_header_fields_and_back() -> None:
    for bypass, control in ((0, 0), (1, 0), (1, 1)):
        fields = {"bypass_flag": bypass, "control_command_flag": control, "frame_sequence_number": 9}
        assert Cop1Frame.received(**fields, octets=b"x").header_fields() == fields
    with pytest.raises(FieldError, match=r"reserved \[CCSDS 232\.0-B-4 table 4-1\]"):
        Cop1Frame.received(bypass_flag=0, control_command_flag=1, frame_sequence_number=0, octets=b"")
    with pytest.raises(EncodeError, match="256 is not 0 to 255"):
        SetVr(256)


@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "FARM-1: invalid frames change nothing")
def test_invalid_frames_change_nothing() -> None:
    farm = make(vr=5)
    farm.handle_invalid_frame()
    farm.handle_frame(ad(256))
    assert [(one.frame is None, one.event) for one in events(farm)] == [(True, Event.E9), (False, Event.E9)]
    assert farm.clcw().encode().hex() == "01000005"


@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "FARM-1: lockout and wait flags together")
def test_wait_survives_lockout_until_the_buffer_is_released() -> None:
    farm = make()
    farm.handle_frame(ad(0), buffer_free=False)
    farm.handle_frame(ad(100))
    assert (farm.state, farm.clcw().lockout_flag, farm.clcw().wait_flag) == (Farm1State.LOCKOUT, 1, 1)
    farm.handle_buffer_release()
    assert (farm.state, farm.clcw().lockout_flag, farm.clcw().wait_flag) == (Farm1State.LOCKOUT, 1, 0)


@pytest.mark.conforms("CCSDS 232.1-B-2", "6", "CLCW of the receiver: no RF available, no bit lock, status field")
def test_what_only_the_receiver_knows_goes_into_the_word() -> None:
    word = make().clcw(no_rf_available=True, no_bit_lock=True, status_field=5)
    assert (word.no_rf_available_flag, word.no_bit_lock_flag, word.status_field) == (1, 1, 5)
    assert word.cop_in_effect == 1
