"""BPF programs: the burst machine against a slow one that runs frame by frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmap_io import Burst
from netmap_io.wrappers.bpf import _ARITHMETIC, _COMPARISONS, _KNOWN, BpfError, BpfProgram, Instruction


def twin(program, frame: bytes, wire_length: int) -> bool:
    """One frame, one instruction after the other, numbers as Python has them."""
    a = x = at = 0
    memory = [0] * 16
    while True:
        code, jt, jf, k = program[at]
        at += 1
        kind, mode, operand = code & 7, code & 0xE0, x if code & 8 else k
        if kind == 6:
            return (a if code & 0x18 == 0x10 else k) != 0
        if kind in (0, 1):
            size = {0x00: 4, 0x08: 2, 0x10: 1}[code & 0x18]
            where = k + (x if mode == 0x40 else 0)
            octets = frame[where : where + size]
            if mode in (0x20, 0x40, 0xA0) and len(octets) < size:
                return False
            value = {
                0x00: k,
                0x20: int.from_bytes(octets),
                0x40: int.from_bytes(octets),
                0x60: memory[k % 16],
                0x80: wire_length,
                0xA0: 4 * (int.from_bytes(octets) & 15),
            }[mode]
            a, x = (value, x) if kind == 0 else (a, value)
        elif kind in (2, 3):
            memory[k] = a if kind == 2 else x
        elif kind == 7:
            a, x = (x, x) if code & 0xF8 == 0x80 else (a, a)
        elif kind == 5:
            operation = code & 0xF0
            tests = {0x10: a == operand, 0x20: a > operand, 0x30: a >= operand, 0x40: a & operand != 0}
            at += k if operation == 0 else jt if tests[operation] else jf
        else:
            if code & 0xF0 in (0x30, 0x90) and operand == 0:
                return False
            a = calculated(code & 0xF0, a, operand) & 0xFFFFFFFF


def calculated(operation: int, a: int, operand: int) -> int:
    return {
        0x00: lambda: a + operand,
        0x10: lambda: a - operand,
        0x20: lambda: a * operand,
        0x30: lambda: a // operand,
        0x40: lambda: a | operand,
        0x50: lambda: a & operand,
        0x60: lambda: a << operand if operand < 32 else 0,
        0x70: lambda: a >> operand if operand < 32 else 0,
        0x80: lambda: -a,
        0x90: lambda: a % operand,
        0xA0: lambda: a ^ operand,
    }[operation]()


@st.composite
def programs(draw) -> list[Instruction]:
    count = draw(st.integers(1, 25))
    rows = []
    for at in range(count):
        code = draw(st.sampled_from(sorted(_KNOWN - {6, 22}))) if at < count - 1 else draw(st.sampled_from([6, 22]))
        after = count - at - 2
        small = st.integers(0, 12)
        k = draw(st.one_of(small, small, st.integers(0, 2**32 - 1)))
        if code & 7 in (2, 3) or (code & 7 in (0, 1) and code & 0xE0 == 0x60):
            k %= 16
        if code & 7 in (0,) and code & 0xE0 == 0x20:
            k %= 30
        if code & 7 == 4 and not code & 8 and code & 0xF0 in (0x30, 0x60, 0x70, 0x90):
            k = k % 31 + 1
        jump = st.integers(0, max(0, min(after, 255)))
        jumps = (draw(jump), draw(jump)) if code & 7 == 5 else (0, 0)
        if code == 5:
            k, jumps = draw(jump), (0, 0)
        rows.append(Instruction(code, *jumps, k))
    return rows


FRAMES = st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 100)), max_size=12)


@given(programs(), FRAMES)
def test_all_frames_at_once_end_as_one_by_one(rows, given_frames):
    burst = Burst.of(
        [frame for frame, _ in given_frames], original_lengths=[len(frame) + cut for frame, cut in given_frames]
    )
    program = BpfProgram(rows)
    expected = [twin(rows, frame, len(frame) + cut) for frame, cut in given_frames]
    assert program.match(burst).tolist() == expected
    if len(burst) > 2:
        assert program.match(burst[1:]).tolist() == expected[1:]
    assert BpfProgram.of_text(str(program)).instructions == program.instructions


def test_every_instruction_is_run_by_the_twin_too():
    assert len(_KNOWN) == 6 + 6 + 3 + 2 + 2 + 2 + (2 * len(_ARITHMETIC)) + 2 * len(_COMPARISONS)


def test_a_program_as_tcpdump_prints_it():
    # tcpdump -ddd 'ip and udp' for Ethernet
    text = "6\n40 0 0 12\n21 0 3 2048\n48 0 0 23\n21 0 1 17\n6 0 0 262144\n6 0 0 0\n"
    program = BpfProgram.of_text(text)
    udp = bytes(12) + b"\x08\x00" + bytes(9) + bytes([17])
    assert program.match(Burst.of([udp, udp[:-1], udp[:-1] + b"\x06", b""])).tolist() == [True, False, False, False]
    assert BpfProgram.of_text(text.replace("\n", ",")).instructions == program.instructions


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a count and as many lines"),
        ("2\n6 0 0 1", "a count and as many lines"),
        ("1\n6 0 0", "a count and as many lines"),
        ("1\n6 0 0 x", "whole numbers"),
        ("0", "1 to 4096 instructions"),
        ("1\n40 0 0 12", "ends with a return"),
        ("2\n21 0 1 5\n6 0 0 0", "jumps past the end"),
        ("2\n5 0 0 1\n6 0 0 0", "jumps past the end"),
        ("2\n2 0 0 16\n6 0 0 0", "no memory word 16"),
        ("2\n52 0 0 0\n6 0 0 0", "divides by zero"),
        ("2\n100 0 0 32\n6 0 0 0", "shifts by more than 31"),
        ("2\n255 0 0 0\n6 0 0 0", "no such instruction"),
        ("2\n40 0 0 4294963204\n6 0 0 0", "extension of the Linux kernel"),
        ("2\n40 0 0 4294967296\n6 0 0 0", "does not fit"),
        ("2\n40 0 0 -1\n6 0 0 0", "does not fit"),
    ],
)
def test_programs_that_are_none(text, sentence):
    with pytest.raises(BpfError, match=sentence):
        BpfProgram.of_text(text)
