"""Sections 1 to 5 and 10: requests, geometry, memory, names, errors."""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import Any

import pytest

from . import raw as facts
from .conftest import Ports
from .raw import Kernel, Port, header, memory, offsets_option, register, register_body, request


@pytest.mark.parametrize(("version", "code"), [(14, 0), (15, 0), (0, 22), (11, 22), (13, 22), (16, 22)])
def test_versions_of_the_control_call(kernel: Kernel, version: int, code: int) -> None:
    raw = kernel.open()
    body = memory(register_body())
    head = memory(header(facts.REGISTER, "vale0:a", ctypes.addressof(body), version=version))
    before = head.raw
    if code:
        with pytest.raises(OSError) as caught:
            raw.ioctl(facts.NIOCCTRL, ctypes.addressof(head))
        assert caught.value.errno == code
    else:
        raw.ioctl(facts.NIOCCTRL, ctypes.addressof(head))
    assert head.raw == before  # the version is not written back
    raw.close()


def refused(call: Any, code: int) -> None:
    with pytest.raises(OSError) as caught:
        call()
    assert errno.errorcode[caught.value.errno or 0] == errno.errorcode[code]


@pytest.mark.parametrize("number", [0xC0586990, 0x6990, 0x12345678])
def test_an_unknown_ioctl_is_not_supported(kernel: Kernel, number: int) -> None:
    raw = kernel.open()
    refused(lambda: raw.ioctl(number), errno.EOPNOTSUPP)
    raw.close()


@pytest.mark.parametrize("kind", [0, 16, 17, 99, 65535])
def test_unknown_request_types_are_invalid(kernel: Kernel, kind: int) -> None:
    raw = kernel.open()
    refused(lambda: request(raw, kind, "vale0:a", bytes(64)), errno.EINVAL)
    raw.close()


NAMES = [
    ("", errno.ENXIO), ("nosuchdevice", errno.ENXIO), ("netmap:{nic}", errno.ENXIO), ("{nic}^", errno.ENXIO),
    ("{nic}-0", errno.ENXIO), ("{nic}/R", errno.ENXIO), ("{nic}@2", errno.ENXIO), ("vale", errno.ENOMEM),
    ("vale0123456789abcdef:p", errno.ENOMEM), ("x{{", errno.EINVAL), ("abcdefghijklmnop{{1", errno.ENXIO),
]  # fmt: skip


@pytest.mark.parametrize(("name", "code"), NAMES)
def test_names_that_are_refused(kernel: Kernel, name: str, code: int) -> None:
    raw = kernel.open()
    refused(lambda: register(raw, name.format(nic=kernel.nic)), code)
    raw.close()


def test_a_pipe_under_a_port_that_a_switch_has_not_makes_that_port(ports: Ports) -> None:
    assert ports("valenone:p{1").registered.memsize == 42369024  # as recorded; a device that is not there is ENXIO


WISHES: list[tuple[str, dict[str, int], int]] = [
    ("vale0:a", {"mode": 0}, errno.EINVAL), ("vale0:a", {"mode": 5}, errno.EINVAL),
    ("vale0:a", {"mode": 6}, errno.EINVAL), ("vale0:a", {"mode": 9}, errno.EINVAL),
    ("vale0:a", {"mode": facts.SW}, errno.EINVAL), ("vale0:a", {"mode": facts.NIC_SW}, errno.EINVAL),
    ("vale0:a", {"mode": facts.ONE_SW}, errno.EINVAL),
    ("vale0:a", {"mode": facts.ONE_NIC, "ring_id": 1}, errno.EINVAL),
    ("vale0:a", {"mode": facts.ONE_NIC, "ring_id": 7}, errno.EINVAL),
    ("vale0:a", {"mem_id": 77}, errno.EINVAL), ("", {"mode": facts.NULL}, errno.EINVAL),
    ("vale0:a", {"mode": facts.ALL_NIC, "flags": 0x100000}, 0),
    ("vale0:a", {"mem_id": 1}, 0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wish", "code"), WISHES)
def test_modes_and_wishes(kernel: Kernel, name: str, wish: dict[str, int], code: int) -> None:
    raw = kernel.open()
    if code:
        refused(lambda: register(raw, name, **wish), code)
    else:
        register(raw, name, **wish)
    raw.close()


def test_reserved_and_body(kernel: Kernel) -> None:
    raw = kernel.open()
    refused(lambda: request(raw, facts.REGISTER, "vale0:a", register_body(), reserved=1), errno.EINVAL)
    refused(lambda: request(raw, facts.REGISTER, "vale0:a", b""), errno.EINVAL)
    head = memory(header(facts.REGISTER, "vale0:a", 8))
    refused(lambda: raw.ioctl(facts.NIOCCTRL, ctypes.addressof(head)), errno.EFAULT)
    refused(lambda: raw.ioctl(facts.NIOCCTRL, 8), errno.EFAULT)
    refused(lambda: request(raw, facts.REGISTER, "vale0:a", register_body(), 8), errno.EFAULT)
    raw.close()


def test_before_registering(kernel: Kernel) -> None:
    raw = kernel.open()
    refused(lambda: raw.ioctl(facts.NIOCTXSYNC), errno.ENXIO)
    refused(lambda: raw.ioctl(facts.NIOCRXSYNC), errno.ENXIO)
    refused(lambda: raw.mmap(4096), errno.EINVAL)
    assert raw.poll(facts.POLLIN, 0) == facts.POLLERR
    raw.close()


GEOMETRY = [  # name, tx and rx slots, host rings, memory, first buffers of tx and rx
    ("vale0:a", 1024, 0, 42369024, 1026, 2),
    ("x{1", 1024, 0, 42369024, 1026, 2),
    ("x}1", 1024, 0, 42369024, 1026, 2),  # as recorded: whoever opens first gets its receive ring first
    ("NIC", 1024, 1, 343019520, 1026, 2),
]


@pytest.mark.parametrize(("name", "slots", "host", "memsize", "tx_buffer", "rx_buffer"), GEOMETRY)
def test_geometry(
    kernel: Kernel, ports: Ports, name: str, slots: int, host: int, memsize: int, tx_buffer: int, rx_buffer: int
) -> None:
    port = ports(kernel.nic if name == "NIC" else name)
    found = port.registered
    assert (found.tx_slots, found.rx_slots, found.tx_rings, found.rx_rings) == (slots, slots, 1, 1)
    assert (found.host_tx_rings, found.host_rx_rings, found.memsize) == (host, host, memsize)
    assert (found.mem_id == 1) == (name == "NIC")
    assert (port.word(port.record + 36), port.word(port.record + 40)) == (1, 1)
    assert port.word(port.record + 16) == 0  # ni_version
    assert port.word(port.record + 20) & 1 == (name != "NIC")
    assert port.ring_offsets[1] == port.ring_offsets[3] == 0
    for ring, direction, buffer in [(port.tx, 1, tx_buffer), (port.rx, 0, rx_buffer)]:
        assert port.word(ring + 12) == 2048
        assert (port.half(ring + 16), port.half(ring + 18)) == (0, direction)
        assert [port.slot(ring, at) for at in (0, slots - 1)] == [
            (buffer, 2048, 0, 0), (buffer + slots - 1, 2048, 0, 0)
        ]  # fmt: skip
    assert port.positions(port.tx) == (0, 0, slots - 1)
    assert port.positions(port.rx) == (0, 0, 0)
    assert port.map[port.record : port.record + 16].rstrip(b"\0").decode() == (kernel.nic if name == "NIC" else name)


def test_ring_offsets_of_a_switch_port(ports: Ports) -> None:
    port = ports("vale0:a")
    assert port.record == 0
    assert port.ring_offsets == (32768, 0, 12288, 0)
    assert port.buffer(port.tx, 0) == port.buffer(port.rx, 0) == 421888


def test_a_wish_for_too_many_extra_buffers_is_cut(kernel: Kernel, ports: Ports) -> None:
    if kernel.name != "simulation":
        pytest.skip("takes 1 GiB of the kernel's own memory on /dev/netmap; a guest of 2 GiB died of it")
    assert ports("vale0:b", extra_bufs=1000000).registered.extra_bufs == 524288


def test_private_memory_follows_the_wish(ports: Ports) -> None:
    assert ports("vale0:a", slots=(65, 100)).registered.memsize == 8814592
    clipped = ports("vale0:c", slots=(100000, 100000), rings=(99, 99)).registered
    assert (clipped.tx_slots, clipped.rx_slots, clipped.tx_rings, clipped.rx_rings) == (4096, 4096, 16, 16)


def test_memory_regions(kernel: Kernel, ports: Ports) -> None:
    a, b = ports("vale0:a"), ports("vale0:b")
    assert len({1, a.registered.mem_id, b.registered.mem_id}) == 3
    shared = ports("vale0:c", mem_id=a.registered.mem_id)
    assert shared.registered.mem_id == a.registered.mem_id
    ends = [ports("x{1"), ports("x}1"), ports("x")]
    assert len({end.registered.mem_id for end in ends}) == 1
    if kernel.name == "simulation":
        assert ports(kernel.nic).registered.mem_id == ports(kernel.peer).registered.mem_id == 1


def test_a_second_descriptor_gets_a_record_and_the_same_rings(ports: Ports) -> None:
    first, second = ports("vale0:a"), ports("vale0:a")
    assert second.record == first.record + 1024
    assert (second.tx, second.rx) == (first.tx, first.rx)
    other = ports("vale0:b")
    first.put(facts.frame(2, 1))
    second.tx_sync()
    assert len(other.receive()) == 1


def test_mapping_bounds(kernel: Kernel) -> None:
    raw = kernel.open()
    size = register(raw, "vale0:a").memsize
    raw.mmap(size).close()
    raw.mmap(4096, size - 4096).close()
    refused(lambda: raw.mmap(size + 4096), errno.EINVAL)
    refused(lambda: raw.mmap(8192, size - 4096), errno.EINVAL)
    raw.close()


@pytest.mark.parametrize(
    ("mode", "tx", "rx"),
    [(facts.ALL_NIC, [1, 0], [1, 0]), (facts.SW, [0, 1], [0, 1]), (facts.NIC_SW, [1, 1], [1, 1]),
     (facts.ONE_NIC, [1, 0], [1, 0]), (facts.ONE_SW, [0, 1], [0, 1])],
)  # fmt: skip
def test_modes_bind_rings(kernel: Kernel, ports: Ports, mode: int, tx: list[int], rx: list[int]) -> None:
    port = ports(kernel.nic, mode=mode)
    assert [bool(ring) for ring in port.tx_rings] == tx
    assert [bool(ring) for ring in port.rx_rings] == rx
    if mode == facts.NIC_SW:
        assert [port.half(ring + 16) for ring in port.tx_rings] == [0, 1]


@pytest.mark.parametrize(("flags", "bound"), [(facts.RX_ONLY, (0, 1)), (facts.TX_ONLY, (1, 0))])
def test_one_direction_only(ports: Ports, flags: int, bound: tuple[int, int]) -> None:
    port = ports("vale0:a", flags=flags)
    assert (bool(port.tx), bool(port.rx)) == tuple(map(bool, bound))


def test_busy(kernel: Kernel, ports: Ports) -> None:
    port = ports(kernel.nic)
    refused(lambda: register(port.raw, kernel.peer), errno.EBUSY)  # one port a descriptor
    raw = kernel.open()
    refused(lambda: register(raw, kernel.nic, flags=facts.EXCLUSIVE), errno.EBUSY)
    alone = ports(kernel.peer, flags=facts.EXCLUSIVE)
    refused(lambda: register(raw, kernel.peer), errno.EBUSY)
    alone.raw.close()
    refused(lambda: register(raw, kernel.peer), errno.EBUSY)  # the mapping alone keeps it
    alone.map.close()
    register(raw, kernel.peer)
    raw.close()


def test_mtu_and_taken_and_gone() -> None:
    kernel = facts.SimulatedKernel()
    raw = kernel.open()
    kernel.simulation.set_mtu(kernel.nic, 2049)
    refused(lambda: register(raw, kernel.nic), errno.EINVAL)
    kernel.simulation.set_mtu(kernel.nic, 2048)
    kernel.simulation.set_taken(kernel.nic, True)
    refused(lambda: register(raw, kernel.nic), errno.EBUSY)
    kernel.simulation.set_taken(kernel.nic, False)
    register(raw, kernel.nic)
    kernel.simulation.vanish(kernel.nic)
    refused(lambda: raw.ioctl(facts.NIOCTXSYNC), errno.EIO)
    assert raw.poll(facts.POLLIN | facts.POLLOUT, 1.0) == facts.POLLERR
    raw.close()
    other = kernel.open()
    refused(lambda: register(other, kernel.nic), errno.ENXIO)


def test_an_empty_allocator() -> None:
    kernel = facts.SimulatedKernel()
    raw = kernel.open()
    kernel.simulation.set_exhausted(1, True)
    refused(lambda: register(raw, kernel.nic), errno.ENOMEM)
    kernel.simulation.set_exhausted(1, False)
    assert register(raw, kernel.nic).mem_id == 1


def test_extra_buffers_are_a_list(ports: Ports) -> None:
    for name in ("x{1", "x{2"):
        ports(name)
    port = ports("x{3", extra_bufs=8)
    assert port.registered.extra_bufs == 8
    index, found = port.word(port.record + 32), []
    while index:
        found.append(index)
        index = port.word(port.buffer(port.tx, index))
    assert found == list(range(found[0], found[0] - 8, -1))
    assert found[0] == 6153
    assert len(set(found)) == 8


def test_information(kernel: Kernel) -> None:
    raw = kernel.open()
    info = "<QIIHHHHH6x"
    _, body = request(raw, facts.PORT_INFO_GET, "vale9:nothere", bytes(32))
    assert struct.unpack(info, body)[:5] == (42369024, 1024, 1024, 1, 1)
    _, body = request(raw, facts.PORT_INFO_GET, "", bytes(32))
    found = struct.unpack(info, body)
    assert (found[0], found[7]) == (343019520, 1)
    _, body = request(raw, facts.POOLS_INFO_GET, kernel.nic, bytes(64))
    assert struct.unpack("<QHxxxxxxQIIQIIQII", body) == (
        343019520, 1, 0, 100, 1024, 102400, 200, 36864, 7475200, 163840, 2048
    )  # fmt: skip
    _, body = request(raw, facts.POOLS_INFO_GET, "vale0:p", bytes(64))
    assert struct.unpack("<QHxxxxxxQIIQIIQII", body)[2:] == (
        0, 12, 1024, 12288, 20, 20480, 421888, 20482, 2048
    )  # fmt: skip
    raw.close()


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [(0, "vale0:a", errno.EINVAL), (6, "vale0:a", errno.EOPNOTSUPP), (1, "vale0:a", errno.EOPNOTSUPP)],
)
def test_options_that_are_refused(kernel: Kernel, kind: int, name: str, code: int) -> None:
    raw = kernel.open()
    option = memory(struct.pack("<QIiQ", 0, kind, 0, 0) + bytes(72))
    refused(lambda: register(raw, name, ctypes.addressof(option)), code)
    if kind:
        assert struct.unpack_from("<i", option.raw, 12)[0] == code
    raw.close()


OFFSETS = [
    ((256, 64, 0), 0xFFFFFFFFFFFFFFFF), ((256, 64, 16), 0xFFFF), ((256, 64, 32), 0xFFFFFFFF), ((2047, 0, 0), 2**64 - 1),
    ((256, 0, 8), None), ((256, 0, 70), None), ((3000, 0, 0), None), ((64, 65, 0), None),
]  # fmt: skip


@pytest.mark.parametrize("name", ["vale0:a", "NIC", "x{1"])
@pytest.mark.parametrize(("asked", "mask"), OFFSETS)
def test_offsets(kernel: Kernel, ports: Ports, name: str, asked: tuple[int, int, int], mask: int | None) -> None:
    option = offsets_option(*asked)
    name = kernel.nic if name == "NIC" else name
    if mask is None:
        raw = kernel.open()
        refused(lambda: register(raw, name, ctypes.addressof(option)), errno.EINVAL)
        raw.close()
        return
    port = ports(name, ctypes.addressof(option))
    for ring in (port.tx, port.rx):
        assert port.long(ring + 56) & 0xFFFFFFFFFFFFFFFF == mask
        assert {port.slot(ring, at)[3] for at in range(1024)} == {asked[1]}


LEGACY = "<16sIIIIIHHHHHHII4x"


def legacy(raw: facts.RawNetmap, call: int, name: str, *, version: int = 14, ring_id: int = 0, flags: int = 0,
           command: int = 0) -> tuple[Any, ...]:  # fmt: skip
    place = memory(struct.pack(LEGACY, name.encode(), version, 0, 0, 0, 0, 0, 0, ring_id, command, 0, 0, 0, flags))
    raw.ioctl(call, ctypes.addressof(place))
    return struct.unpack(LEGACY, place.raw)


@pytest.mark.parametrize(
    ("wish", "code"),
    [({}, 0), ({"version": 16}, 0), ({"version": 11}, errno.EINVAL), ({"command": 99}, errno.EINVAL),
     ({"command": 9}, errno.ENOMEM), ({"ring_id": 0x2000}, errno.EINVAL), ({"ring_id": 0x4000}, 0),
     ({"flags": 5, "ring_id": 3}, 0), ({"flags": 6, "ring_id": 3}, 0)],
)  # fmt: skip
def test_legacy_registration(kernel: Kernel, ports: Ports, wish: dict[str, int], code: int) -> None:
    raw = kernel.open()
    ports("vale0:other")  # the switch is there
    if code:
        refused(lambda: legacy(raw, facts.NIOCREGIF, "vale0:a", **wish), code)
    else:
        found = legacy(raw, facts.NIOCREGIF, "vale0:a", **wish)
        assert found[3] == 42369024
        assert found[4:8] == (1024, 1024, 1, 1)
        raw.ioctl(facts.NIOCTXSYNC)
    raw.close()


def test_legacy_information(kernel: Kernel) -> None:
    raw = kernel.open()
    found = legacy(raw, facts.NIOCGINFO, "")
    assert (found[3], found[11]) == (343019520, 1)
    raw.close()


def test_at_most_eight_switches(kernel: Kernel, ports: Ports) -> None:
    for number in range(8):
        ports(f"vale{number}:a", slots=(16, 16))
    raw = kernel.open()
    refused(lambda: register(raw, "vale8:a"), errno.ENOMEM)
    raw.close()


def test_buffers_come_back(kernel: Kernel) -> None:
    for _ in range(3):
        with Port(kernel, kernel.nic, extra_bufs=100) as port:
            assert port.slot(port.rx, 0)[0] == 2
            assert port.registered.extra_bufs == 100
