"""What is refused, and with which errno (facts 1, 3, 4, 5, 8, 10)."""

from __future__ import annotations

from ..transcript import Scenario
from .steps import Step, closed, opened, register, step


def _refused(kind: str, facts: str, *steps: Step) -> Scenario:
    return Scenario(f"errors: {kind}", facts, [step("open", fd="a"), *steps, step("close", fd="a")])


def _versions() -> Scenario:
    tries = [
        step("control", fd="a", request="PORT_INFO_GET", name="vale0:v", body={}, header={"version": version})
        for version in (0, 11, 13, 14, 15, 16)
    ]
    return _refused("versions of the new interface", "1: 14 and 15 only, and the version is not written back", *tries)


def _legacy_versions() -> Scenario:
    tries = [step("legacy", fd="a", call="information", fields={"version": v}) for v in (0, 11, 13, 14, 15, 16)]
    return _refused("versions of the legacy interface", "1: any from 14 on", *tries)


def _header() -> Scenario:
    return _refused(
        "header",
        "2.1, 10",
        step("control", fd="a", request="REGISTER", name="vale0:h", body={"mode": 1}, header={"reserved": 1}),
        step("control", fd="a", request="REGISTER", name="vale0:h", body="null"),
        step("control", fd="a", request="REGISTER", name="vale0:h", body="bad"),
        step("control", fd="a", request="REGISTER", name="vale0:h", body={"mode": 1}, bad_option=True),
        step("control", fd="a", request="PORT_INFO_GET", name="vale0:h", body="null"),
    )


def _request_types() -> Scenario:
    tries = [step("control", fd="a", request=number, name="vale0:t") for number in (0, 16, 17, 99, 65535)]
    return _refused("request types", "3.1: unknown types", *tries)


def _modes() -> Scenario:
    tries = [register("a", "vale0:m", mode) for mode in (0, 2, 3, 5, 6, 7, 8, 9, 100)]
    past = register("a", "vale0:m", 4, ringid=1)
    return _refused("modes", "3.2: refused on a VALE port", *tries, past, register("a", "vale0:m", 4, ringid=0))


def _flags() -> Scenario:
    return _refused("unknown flags", "3.3: silently accepted", register("a", "vale0:f", flags=0x100000))


NAMES = (
    "",
    "nodevice0",
    "netmap:eth0",
    "lo^",
    "lo-0",
    "lo/R",
    "lo@2",
    "vale",
    "vale0",
    "vale" + "s" * 40 + ":p",
    "x{",
    "averylongparent1{0",
    "vale77:none{1",
)


def _names() -> Scenario:
    return _refused("names", "4, 10", *[register("a", name) for name in NAMES])


def _literal_name() -> Scenario:
    return _refused("suffix on a VALE port", "4: creates a port of that literal name", register("a", "vale0:a/T"))


def _unregistered() -> Scenario:
    return _refused(
        "before registering",
        "1, 5, 8",
        step("txsync", fd="a"),
        step("rxsync", fd="a"),
        step("poll", fd="a", events="i", timeout_ms=20),
        step("poll", fd="a", events="o", timeout_ms=20),
        step("mmap", fd="a"),
        step("ioctl", fd="a", number=0x6999),
        step("ioctl", fd="a", number=0x5401),
    )


def _busy() -> Scenario:
    steps = [
        *opened("a", "vale0:busy"),
        register("a", "vale0:busy"),
        register("a", "vale0:other"),
        step("open", fd="b"),
        register("b", "vale0:busy", flags=0x800),
        register("b", "vale0:busy"),
        *closed("a"),
        step("close", fd="b"),
        *opened("c", "vale0:busy", flags=0x800),
        step("open", fd="d"),
        register("d", "vale0:busy"),
        *closed("c"),
        register("d", "vale0:busy"),
        step("close", fd="d"),
    ]
    return Scenario("errors: busy", "10: registered already, exclusive", steps)


def _held_by_mapping() -> Scenario:
    steps = [
        *opened("a", "vale0:held", flags=0x800),
        step("close", fd="a"),
        step("open", fd="b"),
        register("b", "vale0:held", flags=0x800),
        step("munmap", fd="a"),
        register("b", "vale0:held", flags=0x800),
        step("close", fd="b"),
    ]
    return Scenario("errors: a mapping holds the port", "11.3", steps)


def _memory() -> Scenario:
    return _refused(
        "memory map",
        "5: length and offset",
        register("a", "vale0:map"),
        step("mmap", fd="a", octets=4096),
        step("mmap", fd="a", octets=4096, offset=4096 * 3),
        step("mmap", fd="a", octets=42369024 + 4096),
        step("mmap", fd="a", octets=4096, offset=42369024),
        step("mmap", fd="a", octets=42369024),
    )


def _memory_ids() -> Scenario:
    steps = [
        *opened("a", "vale0:ida"),
        step("open", fd="b"),
        register("b", "vale0:idb", mem_id=77),
        register("b", "vale0:idb", mem_id="a"),
        step("mmap", fd="b"),
        step("open", fd="c"),
        register("c", "vale0:idc", mem_id=1),
        step("open", fd="d"),
        register("d", "vale0:ida", mem_id=1),
        step("close", fd="c"),
        step("close", fd="d"),
        *closed("b"),
        *closed("a"),
    ]
    return Scenario("errors: memory ids", "5, 10: unknown, another port's, the global one", steps)


def _options() -> Scenario:
    def with_option(**option: int | str) -> Step:
        return step("control", fd="a", request="REGISTER", name="vale0:o", body={"mode": 1}, options=[option])

    return _refused(
        "options",
        "2.8, 10, 12",
        with_option(type=0),
        with_option(type=6),
        with_option(type=99),
        with_option(type="EXTMEM"),
        with_option(type="OFFSETS", max_offset=3000, initial_offset=0),
        with_option(type="OFFSETS", max_offset=64, initial_offset=128),
        with_option(type="OFFSETS", max_offset=256, initial_offset=64, offset_bits=8),
        with_option(type="OFFSETS", max_offset=256, initial_offset=64, offset_bits=70),
        with_option(type="OFFSETS", max_offset=2047, initial_offset=0),
    )


def _legacy() -> Scenario:
    def legacy(name: str, **fields: int) -> Step:
        return step("legacy", fd="a", call="register", name=name, fields=fields)

    return _refused(
        "legacy requests",
        "2.9",
        step("legacy", fd="a", call="information"),
        legacy("vale0:l", version=13),
        legacy("vale0:l", cmd=99),
        legacy("vale0:l", ringid=0x2000),
        legacy("nodevice0"),
        legacy("vale0:l", version=16),
    )


def _legacy_pipe() -> Scenario:
    steps = [
        step("open", fd="a"),
        step("legacy", fd="a", call="register", name="lpipe", fields={"flags": 5, "ringid": 3}),
        step("mmap", fd="a"),
        *opened("b", "lpipe}3"),
        *closed("a"),
        *closed("b"),
    ]
    return Scenario("errors: a pipe by legacy flags", "2.9", steps)


def scenarios() -> list[Scenario]:
    return [
        _versions(),
        _legacy_versions(),
        _header(),
        _request_types(),
        _modes(),
        _flags(),
        _names(),
        _literal_name(),
        _unregistered(),
        _busy(),
        _held_by_mapping(),
        _memory(),
        _memory_ids(),
        _options(),
        _legacy(),
        _legacy_pipe(),
    ]
