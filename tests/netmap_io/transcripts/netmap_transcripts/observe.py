"""What is seen of rings: words and slots that changed, with buffers named so that two kernels can be compared.

A buffer is named after the slot that held it when its ring was first seen: "a.t0+5" is the buffer of slot 5 of the
first transmit ring of descriptor a; "a.x+2" is the third extra buffer.  An index nobody handed out stays a number.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

from . import abi

Run = list[Any]
"""[slot, count, buffer, len, flags, ptr] and, for what was received, a CRC-32 of the run's data.

Slots in a row with equal len, flags and ptr; a named buffer counts up along the run, a number stays.
"""


@dataclass
class Region:
    """One memory region of the kernel side: names of its buffers, by index."""

    label: int | str
    names: dict[int, tuple[str, int]] = field(default_factory=dict)

    def name(self, index: int) -> str | int:
        known = self.names.get(index)
        return index if known is None else f"{known[0]}+{known[1]}"

    def index(self, name: str | int) -> int:
        if isinstance(name, int):
            return name
        origin, _, number = name.partition("+")
        wanted = (origin, int(number))
        return next(index for index, known in self.names.items() if known == wanted)


class Ring:
    """A ring inside a mapping, and what it looked like when last observed."""

    def __init__(self, name: str, region: Region, view: memoryview, at: int) -> None:
        self.name, self.region, self.view, self.at = name, region, view, at
        self.receives = name.partition(".")[2][0] in "rR"
        self.header = abi.unpack(abi.RING, view[at : at + abi.RING_HEADER_OCTETS])
        self.slots = self.header["num_slots"]
        self.buffers_at = at + int.from_bytes(view[at : at + 8], "little", signed=True)
        self.remember()

    def word(self, name: str) -> int:
        place = self.at + abi.RING_WORDS[name]
        return int.from_bytes(self.view[place : place + 4], "little")

    def set_word(self, name: str, value: int) -> None:
        place = self.at + abi.RING_WORDS[name]
        self.view[place : place + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little")

    def words(self) -> dict[str, int]:
        return {name: self.word(name) for name in abi.RING_WORDS}

    def slot(self, number: int) -> tuple[int, int, int, int]:
        return abi.SLOT.unpack_from(self.view, self._slot_at(number))

    def set_slot(self, number: int, index: int, length: int, flags: int, pointer: int) -> None:
        abi.SLOT.pack_into(self.view, self._slot_at(number), index, length, flags, pointer)

    def _slot_at(self, number: int) -> int:
        return self.at + abi.RING_HEADER_OCTETS + number * abi.SLOT.size

    def _time(self) -> bytes:
        return bytes(self.view[self.at + abi.RING_TIME.start : self.at + abi.RING_TIME.stop])

    def _slots(self) -> bytes:
        return bytes(self.view[self._slot_at(0) : self._slot_at(self.slots)])

    def data(self, index: int, length: int, pointer: int) -> memoryview | None:
        """The data of a slot, None where it would lie outside its buffer."""
        size, offset = self.header["buf_size"], pointer & self.header["offset_mask"]
        start = self.buffers_at + index * size
        if offset + length > size or start < 0 or start + size > len(self.view):
            return None
        return self.view[start + offset : start + offset + length]

    def clear(self, index: int) -> None:
        """Fill a buffer with zeros."""
        data = self.data(index, self.header["buf_size"], 0)
        if data is not None:
            data[:] = bytes(len(data))

    def remember(self) -> None:
        """Take what the ring holds now as seen."""
        self._seen_words, self._seen_time, self._seen_slots = self.words(), self._time(), self._slots()

    def changes(self) -> dict[str, Any]:
        """What is new since the last look: words, slots, "time" if the time stamp moved, "got" if frames came."""
        words, time, slots = self.words(), self._time(), self._slots()
        seen: dict[str, Any] = {name: value for name, value in words.items() if value != self._seen_words[name]}
        if time != self._seen_time:
            seen["time"] = True
        if slots != self._seen_slots:
            size = abi.SLOT.size
            places = (slice(i * size, (i + 1) * size) for i in range(self.slots))
            changed = [i for i, place in enumerate(places) if slots[place] != self._seen_slots[place]]
            seen["slots"] = self.runs(changed, digest=False)
        if self.receives and "tail" in seen and max(words["tail"], self._seen_words["tail"]) < self.slots:
            count = (words["tail"] - self._seen_words["tail"]) % self.slots
            came = [(self._seen_words["tail"] + i) % self.slots for i in range(count)]
            seen["got"] = self.runs(came, digest=True)
        self._seen_words, self._seen_time, self._seen_slots = words, time, slots
        return seen

    def runs(self, numbers: list[int], *, digest: bool) -> list[Run]:
        runs: list[Run] = []
        for number in numbers:
            index, *rest = self.slot(number)
            name = self.region.name(index)
            if not (runs and _continues(runs[-1], number, name, rest)):
                runs.append([number, 0, name, *rest, *([0] if digest else [])])
            runs[-1][1] += 1
            if digest:
                data = self.data(index, rest[0], rest[2])
                runs[-1][6] = None if data is None or runs[-1][6] is None else zlib.crc32(data, runs[-1][6])
        return runs


def _continues(run: Run, number: int, name: str | int, rest: list[int]) -> bool:
    first, count, origin = run[:3]
    if number != first + count or rest != run[3:6]:
        return False
    return name == (origin if isinstance(origin, int) else _counted(origin, count))


def _counted(name: str, count: int) -> str:
    origin, _, number = name.partition("+")
    return f"{origin}+{int(number) + count}"
