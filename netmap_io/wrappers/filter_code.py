"""Tests on frames, and the classic BPF program that they become.

A test is a load and a comparison, or a combination of tests.  `assemble` lays them out so that a frame runs no test
whose result no longer matters; every jump goes forward.
"""

from __future__ import annotations

from dataclasses import dataclass

from netmap_io.wrappers import bpf
from netmap_io.wrappers.bpf import BpfError, BpfProgram, Instruction

__all__ = ["All", "Any", "Compare", "Load", "Node", "Not", "assemble"]

ACCEPT, REJECT = 0x40000, 0
"""What the program returns: octets to keep, as tcpdump's do."""
_SIZES = {4: bpf.W, 2: bpf.H, 1: bpf.B}
_FARTHEST = 255


@dataclass(frozen=True, slots=True)
class Load:
    """A number out of the frame: `size` octets at `offset`, the frame's length where `size` is 0.

    header: where an IPv4 header starts whose length is added to the offset; None: nothing is added.
    """

    offset: int
    size: int
    mask: int | None = None
    header: int | None = None

    def code(self) -> list[Instruction]:
        if self.size == 0:
            rows = [Instruction(bpf.LD | bpf.W | bpf.LEN, 0, 0, 0)]
        elif self.header is None:
            rows = [Instruction(bpf.LD | _SIZES[self.size] | bpf.ABS, 0, 0, self.offset)]
        else:
            rows = [
                Instruction(bpf.LDX | bpf.B | bpf.MSH, 0, 0, self.header),
                Instruction(bpf.LD | _SIZES[self.size] | bpf.IND, 0, 0, self.offset),
            ]
        if self.mask is not None:
            rows.append(Instruction(bpf.ALU | bpf.AND | bpf.K, 0, 0, self.mask))
        return rows


@dataclass(frozen=True, slots=True)
class Compare:
    """`load` compared with a number; comparison is one of bpf.JEQ, JGT, JGE, JSET."""

    load: Load
    comparison: int
    value: int


@dataclass(frozen=True, slots=True)
class Not:
    node: Node


@dataclass(frozen=True, slots=True)
class All:
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any:
    nodes: tuple[Node, ...]


Node = Compare | Not | All | Any


class _Label:
    """A place in the program, known once it is laid out."""

    at: int


class _Assembler:
    def __init__(self) -> None:
        self.rows: list[tuple[Instruction, _Label | None, _Label | None]] = []

    def place(self, label: _Label) -> None:
        label.at = len(self.rows)

    def lay(self, node: Node, if_true: _Label, if_false: _Label) -> None:
        if isinstance(node, Not):
            self.lay(node.node, if_false, if_true)
        elif isinstance(node, Compare):
            self.rows += [(row, None, None) for row in node.load.code()]
            self.rows.append((Instruction(bpf.JMP | node.comparison | bpf.K, 0, 0, node.value), if_true, if_false))
        else:
            decides_early = if_false if isinstance(node, All) else if_true
            for each in node.nodes[:-1]:
                following = _Label()
                both = (following, decides_early) if isinstance(node, All) else (decides_early, following)
                self.lay(each, *both)
                self.place(following)
            self.lay(node.nodes[-1], if_true, if_false)

    def resolved(self) -> list[Instruction]:
        program = []
        for at, (row, if_true, if_false) in enumerate(self.rows):
            if if_true is not None and if_false is not None:
                jumps = if_true.at - at - 1, if_false.at - at - 1
                if max(jumps) > _FARTHEST:
                    raise BpfError("the filter is too long for a BPF program; put a filter around a filter")
                program.append(row._replace(jt=jumps[0], jf=jumps[1]))
            else:
                program.append(row)
        return program


def assemble(node: Node) -> BpfProgram:
    """The program that accepts the frames for which `node` holds; a load past a frame's end rejects it."""
    assembler, accept, reject = _Assembler(), _Label(), _Label()
    assembler.lay(node, accept, reject)
    for label, value in ((accept, ACCEPT), (reject, REJECT)):
        assembler.place(label)
        assembler.rows.append((Instruction(bpf.RET | bpf.K, 0, 0, value), None, None))
    return BpfProgram(assembler.resolved())
