"""A second FOP-1, as plain as can be: the published cells of table 5-1, carried out token by token.

Shares nothing with `ccsds.procedures.fop1` but the vectors, so that the two can be held against each other.
"""

from __future__ import annotations

import itertools
from typing import Any

from ccsds.frames.operational_control_field import Clcw
from ccsds.testing.vector_loader import load_vectors

__all__ = ["CANNOT_OCCUR", "CELLS", "CHOICES", "ReferenceFop1", "published"]

CELLS = {(case["event"], case["state"]): case for case in load_vectors("232.1-B-2/fop1.toml") if case["kind"] == "cell"}
"""The published cells by event and state, as in ("E16", "S1")."""

# What we do where others say "not applicable" though it can be met: purging does not set NN(R).
CHOICES = {
    **{(event, "S4"): (["ALERT[SYNCH]"], "S6") for event in ("E2", "E6", "E8", "E9", "E101")},
    **{("E7", state): (["ALERT[CLCW]"], "S6") for state in ("S4", "S5")},
    **{(event, "S4"): (["IGN"], "S4") for event in ("E5", "E10", "E11", "E12", "E102", "E103")},
    **{
        (event, "S5"): (["IGN"], "S5")
        for event in ("E2", "E5", "E6", "E8", "E9", "E10", "E11", "E12", "E101", "E102", "E103")
    },
}
CANNOT_OCCUR = {
    *itertools.product(("E31", "E32", "E33", "E34"), ("S1", "S2", "S3", "S4", "S5")),
    *itertools.product(("E16", "E104", "E17", "E18"), ("S6",)),
}


def published(event: str, state: str) -> tuple[list[str], str]:
    """Tokens and next state that a cell must have."""
    case = CELLS[event, state]
    return (case["actions"], case["next"]) if case["actions"] != ["n/a"] else CHOICES[event, state]


class ReferenceFop1:
    """FOP-1 as plainly as can be: a few variables, and the published tokens carried out one by one."""

    def __init__(self, window: int = 3, limit: int = 3, t1_ns: int = 1000, modulus: int = 256) -> None:
        self.modulus = modulus
        self.state, self.vs, self.nn, self.k, self.t1, self.limit, self.tt = "S6", 0, 0, window, t1_ns, limit, 0
        self.count, self.ss = 1, 0
        self.wait: tuple[int, bytes] | None = None
        self.sent: list[list[Any]] = []  # type, number, identifier, octets, to be retransmitted
        self.ready = {"AD": True, "BD": True, "BC": True}
        self.timer: int | None = None
        self.pending = 0
        self.bd = 0
        self.last = 0
        self.said: list[tuple[Any, ...]] = []
        self.out: list[tuple[Any, ...]] = []

    def outstanding(self) -> list[int]:
        return [(self.nn + step) % self.modulus for step in range((self.vs - self.nn) % self.modulus)]

    def clcw_event(self, nr: int, lockout: int, wait: int, retransmit: int) -> str:
        if lockout:
            return "E14"
        if nr == self.vs:
            if retransmit:
                return "E4"
            return "E3" if wait else "E1" if nr == self.nn else "E2"
        if nr not in self.outstanding():
            return "E13"
        new = nr != self.nn
        if not retransmit:
            return "E7" if wait else "E6" if new else "E5"
        if self.limit == 1:
            return "E101" if new else "E102"
        if new:
            return "E9" if wait else "E8"
        if self.count < self.limit:
            return "E11" if wait else "E10"
        return "E103" if wait else "E12"

    def apply(
        self, event: str, now: int, identifier: int = 0, octets: bytes = b"", value: int = 0, nr: int = 0
    ) -> None:
        tokens, following = published(event, self.state)
        for token in tokens:
            self.do(token, event, now, identifier, octets, value, nr)
        self.state = following

    def answer(self, identifier: int, what: str) -> None:
        self.said.append((identifier, what))

    def purge(self) -> None:
        for kind, _, identifier, _, _ in self.sent:
            if kind == "AD":
                self.answer(identifier, "negative confirm")
        self.sent = []
        if self.wait:
            self.answer(self.wait[0], "reject")
        self.wait = None

    def pass_on(self, kind: str, number: int, identifier: int, octets: bytes) -> None:
        self.ready[kind] = False
        self.out.append((kind, number, identifier, octets))

    def enqueue(self, kind: str, number: int, identifier: int, octets: bytes, now: int) -> None:
        self.count = self.count if self.sent else 1
        self.sent.append([kind, number, identifier, octets, False])
        self.timer = now + self.t1
        self.pass_on(kind, number, identifier, octets)

    def do(self, token: str, event: str, now: int, identifier: int, octets: bytes, value: int, nr: int) -> None:
        if token.startswith("ALERT"):
            self.timer = None
            self.purge()
            if self.pending:
                self.answer(self.pending, "negative confirm")
            self.pending = 0
            self.said.append(("alert", token[6:-1], event, self.state))
            return
        if token.startswith("SUSP"):
            self.ss = int(token[5])
            self.said.append(("suspend", self.ss))
            return
        if token.startswith("SS=0"):
            for one in ("ACC", "VS:=V*R", "NNR:=V*R", "CONF") if self.ss == 0 else ("REJ",):
                self.do(one, event, now, identifier, octets, value, nr)
            return
        match token:
            case "ACC":
                self.answer(identifier or self.bd, "accept")
                if event in ("E23", "E24", "E25", "E27"):
                    if self.pending:
                        self.answer(self.pending, "negative confirm")
                    self.pending = identifier
            case "REJ":
                self.answer(identifier, "reject")
            case "CONF":
                self.answer(identifier or self.pending, "positive confirm")
                if identifier in (0, self.pending):
                    self.pending = 0
            case "INIT":
                self.purge()
                self.count, self.ss = 1, 0
            case "START":
                self.timer = now + self.t1
            case "RES":
                self.timer, self.ss = now + self.t1, 0
            case "CAN":
                self.timer = None
            case "ADDW":
                self.wait = (identifier, octets)
            case "RM":
                gone = self.outstanding()[: self.outstanding().index(nr) if nr != self.vs else None]
                for kind, number, one, _, _ in self.sent:
                    if kind == "AD" and number in gone:
                        self.answer(one, "positive confirm")
                self.sent = [entry for entry in self.sent if entry[1] not in gone]
                self.nn, self.count = nr, 1
            case "REL":
                self.sent = []
            case "RTX" | "RTXBC":
                self.out.append(("abort",))
                self.count += 1
                self.timer = now + self.t1
                for entry in self.sent:
                    entry[4] = True
            case "LOOK":
                self.look(now)
            case "LOOKD":
                if self.ready["BC"] and self.sent[0][4]:
                    self.sent[0][4] = False
                    self.pass_on(*self.sent[0][:4])
            case "TXUNL":
                self.enqueue("BC", 0, identifier, b"\x00", now)
            case "TXSVR":
                self.enqueue("BC", 0, identifier, bytes((0x82, 0, value)), now)
            case "TXBD":
                self.bd = identifier
                self.pass_on("BD", 0, identifier, octets)
            case "ADRDY" | "BCRDY" | "BDRDY":
                self.ready[token[:2]] = True
            case "K:=q":
                self.k = value
            case "T1:=q":
                self.t1 = value
            case "LIM:=q":
                self.limit = value
            case "TT:=q":
                self.tt = value
            case "VS:=V*R":
                self.vs = value
            case "NNR:=V*R":
                self.nn = value
            case "IGN":
                pass
            case _:
                raise AssertionError(token)

    def look(self, now: int) -> None:
        if not self.ready["AD"]:
            return
        marked = [entry for entry in self.sent if entry[4]]
        if marked:
            marked[0][4] = False
            self.pass_on(*marked[0][:4])
        elif self.wait and len(self.outstanding()) < self.k:
            identifier, octets = self.wait
            self.wait = None
            self.answer(identifier, "accept")
            number = self.vs
            self.vs = (self.vs + 1) % self.modulus
            self.enqueue("AD", number, identifier, octets, now)

    # -- the operations, as the real one has them ----------------------------------------------------------------------

    def fresh(self) -> int:
        self.last += 1
        return self.last

    def handle_clcw(self, clcw: Clcw, now: int) -> str:
        nr = clcw.report_value
        event = self.clcw_event(nr, clcw.lockout_flag, clcw.wait_flag, clcw.retransmit_flag)
        self.apply(event, now, nr=nr)
        return event

    def handle_timeout(self, now: int) -> str:
        if self.timer is None or now < self.timer:
            return ""
        self.timer = None
        event = (("E16", "E104") if self.count < self.limit else ("E17", "E18"))[self.tt]
        self.apply(event, now)
        return event

    def transfer(self, octets: bytes, kind: str, now: int) -> str:
        event = ("E20" if self.wait else "E19") if kind == "AD" else ("E21" if self.ready["BD"] else "E22")
        self.apply(event, now, self.fresh(), octets)
        return event

    def direct(self, event: str, value: int, now: int) -> str:
        if event == "E30":
            event = f"E{30 + self.ss}"
        elif event in ("E25", "E27") and not self.ready["BC"]:
            event = f"E{int(event[1:]) + 1}"
        self.apply(event, now, self.fresh(), value=value)
        return event

    def respond(self, kind: str, accepted: bool, now: int) -> str:
        event = f"E{41 + 2 * ('AD', 'BC', 'BD').index(kind) + (not accepted)}"
        self.ready[kind] = self.ready[kind] or not accepted  # the flag is ours to reset, see docs/cop1.md
        self.apply(event, now)
        return event
