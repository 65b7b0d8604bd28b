"""Our tables and FARM-1 against the PyPI package ccsds-cop (GPL-3.0: only here), with every difference written down."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from ccsds.procedures.cop1 import Cop1Frame, FrameType, SetVr, Unlock
from ccsds.procedures.farm1 import Farm1, Farm1Parameters, Farm1State, FduArrived
from ccsds.procedures.fop1_primitives import AlertReason, Event, Fop1State
from ccsds.procedures.fop1_table import TABLE, Action

ccsds_cop = pytest.importorskip("ccsds_cop", reason="ccsds-cop is not installed")

NAMES = {
    "accept_directive": "ACCEPT", "accept_fdu": "ACCEPT", "reject_directive": "REJECT", "reject_fdu": "REJECT",
    "confirm_directive": "CONFIRM", "look_for_fdu": "LOOK_FOR_FDU", "look_for_directive": "LOOK_FOR_DIRECTIVE",
    "remove_acknowledged_frames_from_sent_queue": "REMOVE_ACKNOWLEDGED", "transmit_type_bd_frame": "TRANSMIT_BD",
    "set_k": "SET_WINDOW", "set_t1_initial": "SET_T1", "set_transmission_limit": "SET_LIMIT",
    "set_tt": "SET_TIMEOUT_TYPE", "_ready_ad": "AD_READY", "_ready_bc": "BC_READY", "_ready_bd": "BD_READY",
    "cancel_timer": "CANCEL_TIMER", "start_timer": "START_TIMER", "initialize": "INITIALIZE", "resume": "RESUME",
    "add_to_wait_queue": "ADD_TO_WAIT_QUEUE", "release_copy_of_bc_frame": "RELEASE_BC",
    "transmit_unlock_bc_frame": "TRANSMIT_UNLOCK", "transmit_set_v_r_bc_frame": "TRANSMIT_SET_VR",
    "initiate_retransmission": "RETRANSMIT", "suspend": "SUSPEND",
    **{f"_alert_{reason.name}": f"ALERT_{reason.name}" for reason in AlertReason},
}  # fmt: skip
# One action there does what two do here, or what the event brought with it decides.
SAME = {"set_pending_v_r": ("VS_FROM_VR", "NNR_FROM_VR"), "_gated_set_v_s_": ("SET_VS_UNLESS_SUSPENDED",)}

# Where ccsds-cop 0.1.2 reads a cell otherwise, and what it does there.
DIFFERENT = {
    "E3-S5": "ignores; all seven others alert",
    "E18-S5": "suspends with SS = 5; all seven others ALERT[T1], by table 4-4",
    **{f"E42-S{number}": "alerts and stays in the state; six others go to S6" for number in (2, 3, 4, 5)},
}
ABSENT_THERE = {"E104-S5"}


def ours(event: Event, state: Fop1State) -> tuple[list[str], str]:
    cell = TABLE[event, state]
    words = []
    for action in cell.actions:
        name = action.name
        if name.startswith(("RETRANSMIT_", "SUSPEND_")):
            name = name.partition("_")[0]
        if action not in (Action.IGNORE, Action.CANNOT_OCCUR):
            words.append(name)
    return words, cell.next_state.value


def theirs() -> dict[str, tuple[list[str], str]]:
    from ccsds_cop.cop_1.fop import fop

    table = {}
    for key, (following, actions) in fop._transitions.items():
        words = [word for action in actions for word in SAME.get(action, (NAMES.get(action, action),))]
        table[f"{key.event.name.removesuffix('_B')}-S{key.from_state.value}"] = (words, f"S{following.value}")
    return table


def test_the_fop_tables_differ_only_where_it_is_written_down() -> None:
    other, seen = theirs(), set()
    for event, state in TABLE:
        name = f"{event.name}-{state.value}"
        cell = TABLE[event, state]
        if name not in other:
            assert name in ABSENT_THERE or cell.is_choice or Action.CANNOT_OCCUR in cell.actions, name
            continue
        mine, there = ours(event, state), other[name]
        same = sorted(mine[0]) == sorted(there[0]) and mine[1] == there[1]
        if event is Event.E35 and state is Fop1State.INITIAL:
            same = "SET_VS_UNLESS_SUSPENDED" in there[0] and mine[1] == there[1]
        if event in (Event.E8, Event.E9):  # exchanged there, in the classification, not in the table
            assert same, name
        if not same:
            seen.add(name)
            assert name in DIFFERENT, (name, mine, there)
    assert seen == set(DIFFERENT)


def peer_frame(frame: Cop1Frame) -> Any:
    """What ccsds-cop looks at in a USLP frame; its own decoder makes the same attributes."""
    from spacepackets.uslp import BypassSequenceControlFlag, ProtocolCommandFlag

    header = SimpleNamespace(
        bypass_seq_ctrl_flag=BypassSequenceControlFlag(frame.frame_type.bypass_flag),
        prot_ctrl_cmd_flag=ProtocolCommandFlag(frame.frame_type.control_command_flag),
        vcf_count=frame.frame_sequence_number,
        scid=1,
        vcid=0,
    )
    return SimpleNamespace(header=header, tfdf=SimpleNamespace(tfdz=frame.octets))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("width", [2, 10, 254])
def test_farm_1_frame_by_frame(seed: int, width: int) -> None:
    """Random frames near the window, with buffers enough: what E2 does differs there (it does not enter Wait)."""
    from ccsds_cop.cop_1.farm import Farm1 as PeerFarm

    rng = random.Random(seed)
    peer = PeerFarm(width)
    farm = Farm1(Farm1Parameters(virtual_channel_id=0, sliding_window_width=width))
    for _ in range(400):
        near = (farm.receiver_sequence_number + rng.choice([0, 0, 0, 1, -1, rng.randint(-width, width)])) % 256
        choice = rng.random()
        if choice < 0.8:
            frame = Cop1Frame(frame_type=FrameType.AD, octets=b"x", frame_sequence_number=near)
        elif choice < 0.85:
            frame = Cop1Frame(frame_type=FrameType.BD, octets=b"x")
        else:
            command = Unlock() if choice < 0.95 else SetVr(rng.randrange(256))
            frame = Cop1Frame(frame_type=FrameType.BC, octets=command.encode())
        farm.handle_frame(frame)
        accepted = isinstance(farm.poll_event(), FduArrived)
        while farm.poll_event():
            pass
        took = peer._process_frame(peer_frame(frame))
        peer.higher_interface.buffer.clear()
        peer.higher_interface.signal.clear()
        if frame.frame_type is not FrameType.BC:
            assert took == accepted
        word = farm.clcw()
        assert (peer.v_r, int(peer.lockout), int(peer.retransmit), int(peer.wait), peer.b_counter) == (
            *(word.report_value, word.lockout_flag, word.retransmit_flag, word.wait_flag),
            word.farm_b_counter,
        )
        assert peer.state.name == farm.state.name
    assert farm.state in Farm1State
