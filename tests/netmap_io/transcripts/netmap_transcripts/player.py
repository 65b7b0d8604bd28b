"""Runs the steps of a scenario on a machine and says what was seen after each.

A step is {"do": name, ...}; `Player.play` gives the observation, a dictionary that holds only what changed:

    result   0 or what the call gave; "errno" instead when it failed
    header, body, options   fields of the request that the kernel side changed
    rings    by name, what changed in any mapped ring (observe.Ring.changes), whoever made the call

Descriptors are named by the scenario (a, b, ...); rings are a.t0 (transmit), a.r0 (receive), a.T0, a.R0 (host side).
Not in an observation: addresses, times (only whether a ring's time stamp moved), memory ids and buffer indexes.
Memory ids become 0, 1 (the region of all network devices) or "#2", "#3" ... by first appearance, buffers get names.
"""

from __future__ import annotations

import ctypes
import itertools
import struct
import threading
import time
from collections.abc import Iterable
from typing import Any

from . import abi
from .machine import Control, Machine, errno_name
from .observe import Region, Ring

Step = dict[str, Any]
Observation = dict[str, Any]
ETHER_TYPE = b"\x88\xb5"  # IEEE 802 local experimental


def frame(destination: str, source: str, seed: int, length: int) -> bytes:
    """A frame that says who sent it, which one it is, and is different in every octet from its neighbours'."""
    body = struct.pack(">I", seed & 0xFFFFFFFF) * (length // 4 + 1)
    return (bytes.fromhex(destination) + bytes.fromhex(source) + ETHER_TYPE + body)[:length]


class Descriptor:
    """One open descriptor: its number, its registration, its mapping."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.registered: dict[str, int] | None = None
        self.view: memoryview | None = None


class Player:
    """One scenario's state.  `machine` is used from one thread, but for polls that the scenario puts aside."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.descriptors: dict[str, Descriptor] = {}
        self.rings: dict[str, Ring] = {}
        self._seen_as: dict[tuple[int, int], Ring] = {}
        self.regions: dict[int, Region] = {}
        self._user_memory: dict[str, bytearray] = {}
        self._aside: dict[str, tuple[threading.Thread, list[Any]]] = {}

    def play(self, step: Step) -> Observation:
        arguments = {name: value for name, value in step.items() if name != "do"}
        before = _clock_ticks()
        while _clock_ticks() == before:  # so that a time stamp taken now differs from the last one
            pass
        try:
            seen: Observation = getattr(self, "do_" + step["do"])(**arguments) or {}
        except OSError as error:
            seen = {"errno": errno_name(error)}
        if step["do"] in WRITES:
            for ring in self.rings.values():
                ring.remember()
            return seen
        changes = self._changes()
        return {**seen, **({"rings": changes} if changes else {})}

    def _changes(self) -> dict[str, Any]:
        """Changes by ring; one that two descriptors have in common appears once."""
        places: dict[tuple[int, int], dict[str, Any]] = {}
        changes = {}
        for name, ring in self.rings.items():
            changed = ring.changes()
            place = (id(ring.region), ring.at)
            if changed and place not in places:
                places[place] = changes[name] = changed
        return changes

    def finish(self) -> None:
        """Close what the scenario left open."""
        for name in list(self.descriptors):
            descriptor = self.descriptors[name]
            if descriptor.view is not None:
                self.do_munmap(name)
            if descriptor.number >= 0:
                self.do_close(name)

    # -- calls

    def do_open(self, fd: str) -> None:
        self.descriptors[fd] = Descriptor(self.machine.open())

    def do_close(self, fd: str) -> None:
        descriptor = self.descriptors[fd]
        self.machine.close(descriptor.number)
        descriptor.number = -1
        if descriptor.view is None:
            descriptor.registered = None
            self._forget_unused()

    def do_control(
        self,
        fd: str,
        request: str | int,
        name: str = "",
        body: dict[str, Any] | str | None = None,
        header: dict[str, int] | None = None,
        options: Iterable[dict[str, Any]] = (),
        bad_option: bool = False,
    ) -> Observation:
        """NIOCCTRL.  body "null" or "bad": such a pointer; options: {"type": name or number, fields}."""
        number, octets, table = abi.REQUESTS[request] if isinstance(request, str) else (request, 64, ())
        given = (
            {k: self._memory_id(v) if k == "mem_id" else v for k, v in body.items()} if isinstance(body, dict) else {}
        )
        packed: bytearray | str | None = bytearray(octets)
        if isinstance(packed, bytearray):
            abi.pack_into(table, packed, given)
        if isinstance(body, str) or octets == 0:
            packed = "bad" if body == "bad" else None
        head = bytearray(abi.HEADER_OCTETS)
        head[abi.HEADER_NAME] = name.encode()[:64].ljust(64, b"\0")
        abi.pack_into(abi.HEADER, head, {"version": abi.VERSION, "reqtype": number, **(header or {})})
        packed_options = [_option(option) for option in options]
        call = Control(head, packed, packed_options, bad_option)
        was = (
            bytes(head),
            packed if not isinstance(packed, bytearray) else bytes(packed),
            [bytes(o) for o in packed_options],
        )
        seen: Observation = {"result": 0}
        try:
            self.machine.control(self.descriptors[fd].number, call)
        except OSError as error:
            seen = {"errno": errno_name(error)}
        if request == "REGISTER" and "errno" not in seen and isinstance(call.body, bytearray):
            self.descriptors[fd].registered = abi.unpack(table, call.body)
        self._describe_request(seen, call, was, table, options)
        return seen

    def _describe_request(self, seen: Observation, call: Control, was: Any, table: abi.Table, options: Any) -> None:
        header = _changed(abi.HEADER, was[0], call.header)
        name = bytes(call.header[abi.HEADER_NAME]).rstrip(b"\0")
        if name != was[0][abi.HEADER_NAME].rstrip(b"\0"):
            header["name"] = name.decode("latin-1")
        seen.update({"header": header} if header else {})
        if isinstance(call.body, bytearray) and (body := self._labelled(_changed(table, was[1], call.body))):
            seen["body"] = body
        rows = []
        for option, before, after in zip(options, was[2], call.options, strict=True):
            fields = abi.OPTIONS[option["type"]][2] if isinstance(option["type"], str) else ()
            rows.append(_changed((*abi.OPTION_HEAD[1:], *fields), before, after))
        seen.update({"options": rows} if any(rows) else {})

    def do_legacy(self, fd: str, call: str, name: str = "", fields: dict[str, Any] | None = None) -> Observation:
        """NIOCREGIF ("register") or NIOCGINFO ("information") with the 60-octet request."""
        request = bytearray(abi.LEGACY_OCTETS)
        request[:16] = name.encode()[:16].ljust(16, b"\0")
        abi.pack_into(abi.LEGACY, request, {"version": abi.VERSION, **(fields or {})})
        was, seen = bytes(request), {"result": 0}
        number = abi.NIOCREGIF if call == "register" else abi.NIOCGINFO
        try:
            self.machine.ioctl(self.descriptors[fd].number, number, request)
        except OSError as error:
            seen = {"errno": errno_name(error)}
        if call == "register" and "errno" not in seen:
            self.descriptors[fd].registered = abi.unpack(abi.LEGACY, request)
        if body := self._labelled(_changed(abi.LEGACY, was, request)):
            seen["body"] = body
        return seen

    def do_ioctl(self, fd: str, number: int) -> Observation:
        self.machine.ioctl(self.descriptors[fd].number, number, bytearray(512))
        return {"result": 0}

    def do_txsync(self, fd: str) -> Observation:
        self.machine.ioctl(self.descriptors[fd].number, abi.NIOCTXSYNC, None)
        return {"result": 0}

    def do_rxsync(self, fd: str) -> Observation:
        self.machine.ioctl(self.descriptors[fd].number, abi.NIOCRXSYNC, None)
        return {"result": 0}

    def do_mmap(self, fd: str, octets: int | None = None, offset: int = 0) -> Observation:
        """Map the registered region (or what is said) and look at the interface record and every ring bound."""
        descriptor = self.descriptors[fd]
        registered = descriptor.registered
        wanted = octets if octets is not None else registered["memsize"] if registered else 4096
        view = self.machine.mmap(descriptor.number, wanted, offset)
        if registered is None or offset or wanted != registered["memsize"]:
            self.machine.munmap(descriptor.number, view)
            return {"result": 0}
        descriptor.view = view
        return self._meet(fd, descriptor, registered)

    def do_munmap(self, fd: str) -> Observation:
        descriptor = self.descriptors[fd]
        assert descriptor.view is not None
        gone = [name for name, ring in self.rings.items() if ring.view is descriptor.view]
        for name in gone:
            del self.rings[name]
        self._seen_as = {place: ring for place, ring in self._seen_as.items() if ring.name not in gone}
        self.machine.munmap(descriptor.number, descriptor.view)
        descriptor.view = None
        if descriptor.number < 0:
            descriptor.registered = None
            self._forget_unused()
        return {"result": 0}

    def do_poll(self, fd: str, events: str, timeout_ms: int) -> Observation:
        """events: letters of "io" (POLLIN, POLLOUT), or "" for none.  "waited": none came in all that time."""
        begin = time.monotonic()
        result = self.machine.poll(self.descriptors[fd].number, _events(events), timeout_ms)
        waited = not result and (time.monotonic() - begin) * 1000 >= timeout_ms * 0.9
        return {"result": _event_names(result), **({"waited": True} if waited else {})}

    def do_poll_aside(self, fd: str, events: str, timeout_ms: int) -> Observation:
        """Begin to poll in a thread of its own; give it time to go to sleep."""
        answer: list[Any] = []
        number = self.descriptors[fd].number
        thread = threading.Thread(
            target=lambda: answer.append(self.machine.poll(number, _events(events), timeout_ms)), daemon=True
        )
        thread.start()
        thread.join(0.3)
        self._aside[fd] = (thread, answer)
        return {"asleep": thread.is_alive()}

    def do_poll_joined(self, fd: str, timeout_ms: int) -> Observation:
        """What the poll put aside answered."""
        thread, answer = self._aside.pop(fd)
        thread.join(timeout_ms / 1000)
        return {"result": _event_names(answer[0]) if answer else None}

    def do_gather(self, fd: str, ring: str, count: int, timeout_ms: int) -> Observation:
        """Receive syncs until `count` frames are there or the time is over: for ports that take time."""
        deadline = time.monotonic() + timeout_ms / 1000
        seen = self.rings[ring]
        while True:
            self.machine.ioctl(self.descriptors[fd].number, abi.NIOCRXSYNC, None)
            there = (seen.word("tail") - seen.word("head")) % seen.slots
            if there >= count or time.monotonic() > deadline:
                return {"result": there}
            time.sleep(0.002)

    def do_world(self, action: str, **arguments: Any) -> Observation:
        """Something outside the netmap interface: a pair of network devices, a frame from the kernel's own stack."""
        return {"result": self.machine.world(action, arguments)}

    # -- what the user writes into the memory

    def do_frames(
        self,
        ring: str,
        slot: int,
        count: int,
        length: int,
        destination: str = "ffffffffffff",
        source: str = "020000000001",
        seed: int = 0,
        flags: int = 0,
    ) -> None:
        """Fill `count` slots from `slot` on with frames of seeds seed, seed+1, ..."""
        target = self.rings[ring]
        for step in range(count):
            number = (slot + step) % target.slots
            index, _, _, pointer = target.slot(number)
            data = target.data(index, min(length, target.header["buf_size"]), pointer)
            assert data is not None
            data[:] = frame(destination, source, seed + step, len(data))
            target.set_slot(number, index, length, flags, pointer)

    def do_slots(self, ring: str, runs: list[list[Any]]) -> None:
        """Write slots [first, count, buffer, len, flags, ptr]; None leaves a part as it is."""
        target = self.rings[ring]
        for first, count, *wanted in runs:
            for step in range(count):
                number = (first + step) % target.slots
                values = [self._buffer(target, wanted[0], step), *wanted[1:]]
                now = target.slot(number)
                target.set_slot(number, *(old if new is None else new for old, new in zip(now, values, strict=True)))

    def _buffer(self, ring: Ring, name: str | int | None, step: int) -> int | None:
        if name is None:
            return None
        if isinstance(name, int):
            return name
        origin, _, number = name.partition("+")
        return ring.region.index(f"{origin}+{int(number) + step}")

    def do_words(self, ring: str, **words: int) -> None:
        """Write head, cur, tail or flags as said."""
        for name, value in words.items():
            self.rings[ring].set_word(name, value)

    def do_advance(self, ring: str, count: int | None = None) -> None:
        """Move head and cur by `count` slots; None: to the tail."""
        target = self.rings[ring]
        head = target.word("tail") if count is None else (target.word("head") + count) % target.slots
        target.set_word("head", head)
        target.set_word("cur", head)

    def do_indirect(self, ring: str, slot: int, length: int, seed: int, source: str = "020000000001") -> None:
        """Data outside the buffers: the slot's ptr is the address of memory of this process."""
        target = self.rings[ring]
        memory = self._user_memory.setdefault(f"{ring} {slot}", bytearray(frame("ff" * 6, source, seed, length)))
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        index = target.slot(slot)[0]
        target.set_slot(slot, index, length, 0x10, address)

    def do_extra_list(self, fd: str, buffers: list[str]) -> None:
        """Make ni_bufs_head the list of these buffers, linked by their first word."""
        descriptor = self.descriptors[fd]
        ring = next(ring for name, ring in self.rings.items() if name.startswith(fd + "."))
        assert descriptor.view is not None and descriptor.registered is not None
        following = 0
        for name in reversed(buffers):
            index = ring.region.index(name)
            data = ring.data(index, 4, 0)
            assert data is not None
            data[:] = struct.pack("<I", following)
            following = index
        at = descriptor.registered["offset"] + 32
        descriptor.view[at : at + 4] = struct.pack("<I", following)

    def do_look(self, ring: str, slot: int = 0, count: int | None = None) -> Observation:
        """Words and slots of a ring as they are."""
        seen = self.rings[ring]
        many = seen.slots if count is None else count
        return {"words": seen.words(), "slots": seen.runs([(slot + i) % seen.slots for i in range(many)], digest=False)}

    # -- names for what differs between two kernels

    def _memory_id(self, value: int | str) -> int:
        """The id of a descriptor's region, by the descriptor's name; numbers as they are."""
        if isinstance(value, int):
            return value
        registered = self.descriptors[value].registered
        assert registered is not None
        return registered["mem_id"]

    def _labelled(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "mem_id" in fields:
            fields["mem_id"] = self._region(fields["mem_id"]).label
            if fields["mem_id"] == 1:  # where a record lies there depends on who else has a device open
                fields.pop("offset", None)
        return fields

    def _used(self) -> list[int]:
        return [one.registered["mem_id"] for one in self.descriptors.values() if one.registered]

    def _forget_unused(self) -> None:
        used = self._used()
        self.regions = {known: region for known, region in self.regions.items() if known in used}

    def _region(self, memory_id: int) -> Region:
        """The region, known as long as a descriptor is registered in it: a kernel side may use the number again."""
        used = self._used()
        if memory_id in self.regions:
            return self.regions[memory_id]
        taken = {region.label for region in self.regions.values()}
        label = next(label for label in map("#{}".format, itertools.count(2)) if label not in taken)
        region = Region(memory_id if memory_id < 2 else label)
        if memory_id in used:
            self.regions[memory_id] = region
        return region

    def _meet(self, fd: str, descriptor: Descriptor, registered: dict[str, int]) -> Observation:
        """First look at a mapping: the interface record, each bound ring's geometry, words and slots."""
        assert descriptor.view is not None
        view, at, region = descriptor.view, registered["offset"], self._region(registered["mem_id"])
        record = abi.unpack(abi.INTERFACE, view[at : at + 56])
        extra = record.pop("bufs_head")
        rings, place = {}, at + abi.RING_OFFSETS_AT
        kinds = (("t", "tx_rings"), ("T", "host_tx_rings"), ("r", "rx_rings"), ("R", "host_rx_rings"))
        fresh: list[Ring] = []
        unnamed = not region.names
        for kind, total in kinds:
            for number in range(record[total]):
                offset = int.from_bytes(view[place : place + 8], "little", signed=True)
                place += 8
                if offset:
                    fresh.append(Ring(f"{fd}.{kind}{number}", region, view, at + offset))
        if unnamed and fresh and region.label != 1:
            fresh[0].clear(0)
            fresh[0].clear(1)
        for ring in fresh:
            rings[ring.name] = self._meet_ring(ring)
        return {
            "interface": record,
            "bound": rings,
            **({"extra": self._name_extra(fd, region, fresh, extra)} if extra else {}),
        }

    def _meet_ring(self, ring: Ring) -> dict[str, Any]:
        for slot in range(ring.slots):
            index = ring.slot(slot)[0]
            if index not in ring.region.names:
                ring.region.names[index] = (ring.name, slot)
                ring.clear(index)  # what an unwritten buffer holds is nobody's promise
        known = self._seen_as.setdefault((id(ring.region), ring.at), ring)
        self.rings[ring.name] = ring
        private = ring.region.label != 1
        seen = {**ring.header, "slots": ring.runs(list(range(ring.slots)), digest=False)}
        if private:  # in the region of all devices it depends on who else is there
            seen |= {"at": ring.at, "first_buffer": ring.slot(0)[0]}
        return seen if known is ring else {"same_as": known.name, **seen}

    def _name_extra(self, fd: str, region: Region, rings: list[Ring], head: int) -> list[str | int]:
        """Names for the extra buffers, in the order of the list; it ends at 0 or at an index outside the region."""
        chain: list[str | int] = []
        while head and len(chain) < 100000:
            data = rings[0].data(head, 4, 0) if rings else None
            if data is None:
                return [*chain, head]
            region.names.setdefault(head, (f"{fd}.x", len(chain)))
            chain.append(region.name(head))
            (head,) = struct.unpack("<I", data)
        return chain


WRITES = frozenset({"frames", "slots", "words", "advance", "indirect", "extra_list"})
"""Steps that only write: what they change is what the scenario says."""


def _clock_ticks() -> int:
    return time.time_ns() // 1000


def _option(option: dict[str, Any]) -> bytearray:
    kind = option["type"]
    number, octets, table = abi.OPTIONS[kind] if isinstance(kind, str) else (kind, 64, ())
    packed = bytearray(octets)
    abi.pack_into((*abi.OPTION_HEAD, *table), packed, {**option, "type": number})
    return packed


def _changed(table: abi.Table, before: Any, after: Any) -> dict[str, Any]:
    was, now = abi.unpack(table, before), abi.unpack(table, after)
    return {name: value for name, value in now.items() if value != was[name]}


_POLL = {"i": 0x001, "o": 0x004}
_POLL_NAMES = {0x001: "IN", 0x002: "PRI", 0x004: "OUT", 0x008: "ERR", 0x010: "HUP", 0x020: "NVAL"}


def _events(letters: str) -> int:
    return sum(_POLL[letter] for letter in letters)


def _event_names(events: int) -> str:
    return " ".join(name for bit, name in _POLL_NAMES.items() if events & bit)
