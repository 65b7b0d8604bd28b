"""Classic BPF programs over whole bursts: each instruction runs once, on all frames that reach it.

Source: McCanne and Jacobson, "The BSD Packet Filter"; opcodes as in <linux/bpf_common.h>.  Jumps go forward only, so
that one pass over the program runs every frame to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netmap_io.burst import Burst
from netmap_io.errors import PortError
from netmap_io.wrappers.frames import octets_of

__all__ = ["BpfError", "BpfProgram", "Instruction"]

LD, LDX, ST, STX, ALU, JMP, RET, MISC = range(8)
W, H, B = 0x00, 0x08, 0x10
IMM, ABS, IND, MEM, LEN, MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR = (code << 4 for code in range(11))
JA, JEQ, JGT, JGE, JSET = (code << 4 for code in range(5))
K, X = 0x00, 0x08
A = 0x10
TAX, TXA = 0x00, 0x80
_OCTETS = {W: 4, H: 2, B: 1}
_MEMORY_WORDS = 16
_LONGEST = 4096
_EXTENSIONS = 0xFFFFF000
"""Absolute loads from here on are the Linux kernel's own."""

_Words = NDArray[np.uint32]
_Indices = NDArray[np.int64]

_ARITHMETIC: dict[int, Callable[[_Words, _Words], _Words]] = {
    ADD: np.add,
    SUB: np.subtract,
    MUL: np.multiply,
    DIV: np.floor_divide,
    MOD: np.remainder,
    OR: np.bitwise_or,
    AND: np.bitwise_and,
    XOR: np.bitwise_xor,
    LSH: lambda a, b: np.where(b < 32, a << (b & np.uint32(31)), np.uint32(0)),
    RSH: lambda a, b: np.where(b < 32, a >> (b & np.uint32(31)), np.uint32(0)),
}
_COMPARISONS: dict[int, Callable[[_Words, _Words], NDArray[np.bool_]]] = {
    JEQ: np.equal,
    JGT: np.greater,
    JGE: np.greater_equal,
    JSET: lambda a, b: (a & b) != 0,
}


class BpfError(PortError, ValueError):
    """A program that no machine may run, or an expression that is none."""


class Instruction(NamedTuple):
    """One instruction: opcode, jumps if true and if false, operand."""

    code: int
    jt: int
    jf: int
    k: int


class BpfProgram:
    """A classic BPF program, checked when it is made.  `match` says which frames it accepts."""

    def __init__(self, instructions: Iterable[Instruction]) -> None:
        self.instructions = tuple(Instruction(*each) for each in instructions)
        _check(self.instructions)

    @classmethod
    def of_text(cls, text: str) -> BpfProgram:
        """The program that `tcpdump -ddd` prints: a count, then `code jt jf k` a line, in decimal.

        Commas may stand for line ends, as in the xt_bpf form.  Raises BpfError.
        """
        lines = [line for line in text.replace(",", "\n").splitlines() if line.strip()]
        try:
            rows = [[int(word) for word in line.split()] for line in lines]
        except ValueError:
            raise BpfError("a BPF program is whole numbers: a count, then four a line") from None
        if not rows or len(rows[0]) != 1 or rows[0][0] != len(rows) - 1 or any(len(row) != 4 for row in rows[1:]):
            raise BpfError("a BPF program is a count and as many lines of four numbers")
        return cls(Instruction(*row) for row in rows[1:])

    def __str__(self) -> str:
        rows = [" ".join(map(str, each)) for each in self.instructions]
        return ",".join([str(len(rows)), *rows])

    def match(self, burst: Burst) -> NDArray[np.bool_]:
        """bool[n]: the frames for which the program returns other than 0.  A load past a frame's end returns 0."""
        machine = _Machine(burst)
        count = len(burst)
        arrivals: list[list[_Indices]] = [[] for _ in self.instructions]
        accepted = np.zeros(count, dtype=bool)
        if count and self.instructions:
            arrivals[0].append(np.arange(count, dtype=np.int64))
        for at, (code, jt, jf, k) in enumerate(self.instructions):
            waiting = arrivals[at]
            if not waiting:
                continue
            frames = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            arrivals[at] = []
            kind = code & 7
            if kind == RET:
                accepted[frames] = machine.a[frames] != 0 if code & 0x18 == A else k != 0
            elif kind == JMP and code & 0xF0 == JA:
                arrivals[at + 1 + k].append(frames)
            elif kind == JMP:
                holds = _COMPARISONS[code & 0xF0](machine.a[frames], machine.operand(code, k, frames))
                for target, which in ((at + 1 + jt, frames[holds]), (at + 1 + jf, frames[~holds])):
                    if len(which):
                        arrivals[target].append(which)
            else:
                frames = machine.step(code, k, frames)
                if len(frames):
                    arrivals[at + 1].append(frames)
        return accepted


class _Machine:
    """The registers of all frames."""

    def __init__(self, burst: Burst) -> None:
        count = len(burst)
        self._octets = octets_of(burst)
        self._starts = burst.offsets[:-1].astype(np.int64)
        self._lengths = burst.lengths.astype(np.int64)
        self._wire_lengths = burst.original_lengths
        self.a: _Words = np.zeros(count, dtype=np.uint32)
        self.x: _Words = np.zeros(count, dtype=np.uint32)
        self._memory = np.zeros((_MEMORY_WORDS, 0), dtype=np.uint32)

    def operand(self, code: int, k: int, frames: _Indices) -> _Words:
        return self.x[frames] if code & X else np.full(len(frames), k, dtype=np.uint32)

    def step(self, code: int, k: int, frames: _Indices) -> _Indices:
        """Run one instruction that neither jumps nor returns; the frames that survive it."""
        kind = code & 7
        if kind in (LD, LDX):
            values, frames = self._load(code, k, frames)
            (self.a if kind == LD else self.x)[frames] = values
        elif kind in (ST, STX):
            self._words()[k][frames] = (self.a if kind == ST else self.x)[frames]
        elif kind == MISC:
            source, target = (self.x, self.a) if code & 0xF8 == TXA else (self.a, self.x)
            target[frames] = source[frames]
        elif code & 0xF0 == NEG:
            self.a[frames] = np.uint32(0) - self.a[frames]
        else:
            operand = self.operand(code, k, frames)
            if code & 0xF0 in (DIV, MOD) and code & X:
                frames, operand = frames[operand != 0], operand[operand != 0]
            self.a[frames] = _ARITHMETIC[code & 0xF0](self.a[frames], operand)
        return frames

    def _words(self) -> NDArray[np.uint32]:
        if self._memory.shape[1] != len(self.a):
            self._memory = np.zeros((_MEMORY_WORDS, len(self.a)), dtype=np.uint32)
        return self._memory

    def _load(self, code: int, k: int, frames: _Indices) -> tuple[_Words, _Indices]:
        mode = code & 0xE0
        if mode == IMM:
            return np.full(len(frames), k, dtype=np.uint32), frames
        if mode == LEN:
            return self._wire_lengths[frames], frames
        if mode == MEM:
            return self._words()[k][frames], frames
        size = 1 if mode == MSH else _OCTETS[code & 0x18]
        where = np.full(len(frames), k, dtype=np.int64)
        if mode == IND:
            where += self.x[frames]
        inside = where + size <= self._lengths[frames]
        if not bool(inside.all()):
            frames, where = frames[inside], where[inside]
        at = self._starts[frames] + where
        values = self._octets[at].astype(np.uint32)
        for number in range(1, size):
            values = (values << np.uint32(8)) | self._octets[at + number]
        if mode == MSH:
            values = (values & np.uint32(15)) << np.uint32(2)
        return values, frames


def _check(program: tuple[Instruction, ...]) -> None:
    if not 1 <= len(program) <= _LONGEST:
        raise BpfError(f"a BPF program has 1 to {_LONGEST} instructions, not {len(program)}")
    for at, each in enumerate(program):
        reason = _wrong(each, len(program) - at - 1)
        if reason:
            raise BpfError(f"BPF instruction {at} (code {each.code}): {reason}")
    if program[-1].code & 7 != RET:
        raise BpfError("a BPF program ends with a return")


def _wrong(each: Instruction, after: int) -> str:
    """What is wrong with an instruction that has so many `after` it."""
    code, jt, jf, k = each
    kind = code & 7
    if not (0 <= code <= 0xFFFF and 0 <= jt <= 255 and 0 <= jf <= 255 and 0 <= k <= 0xFFFFFFFF):
        return "a number does not fit its field"
    if code not in _KNOWN:
        return "there is no such instruction"
    if kind == JMP and max(k if code & 0xF0 == JA else 0, jt, jf) >= after:
        return "it jumps past the end"
    if kind in (ST, STX) or (kind in (LD, LDX) and code & 0xE0 == MEM):
        return "" if k < _MEMORY_WORDS else f"there is no memory word {k}"
    if kind == LD and code & 0xE0 == ABS and k >= _EXTENSIONS:
        return "it asks for an extension of the Linux kernel"
    if (
        kind == ALU
        and not code & X
        and ((code & 0xF0 in (DIV, MOD) and k == 0) or (code & 0xF0 in (LSH, RSH) and k > 31))
    ):
        return "it divides by zero or shifts by more than 31"
    return ""


_KNOWN = frozenset(
    [LD | size | mode for size in (W, H, B) for mode in (ABS, IND)]
    + [kind | W | mode for kind in (LD, LDX) for mode in (IMM, MEM, LEN)]
    + [LDX | B | MSH, ST, STX, RET | K, RET | A, MISC | TAX, MISC | TXA, ALU | NEG, JMP | JA]
    + [ALU | operation | source for operation in _ARITHMETIC for source in (K, X)]
    + [JMP | comparison | source for comparison in _COMPARISONS for source in (K, X)]
)
