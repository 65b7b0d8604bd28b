"""The contract of netmap_io.port, against every wrapper around the memory port.

The tests are those of tests/netmap_io/test_port_contract.py; here are the subjects.
"""

from __future__ import annotations

import importlib.util
import inspect
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netmap_io import Burst, Port, open_port
from netmap_io.drivers.memory import memory_pair
from netmap_io.errors import PortUnsupportedError
from netmap_io.wrappers.fault_injector import FaultInjector
from netmap_io.wrappers.faults import Faults
from netmap_io.wrappers.filter_port import Filter, by_filter
from netmap_io.wrappers.rate_limiter import RateLimit, RateLimiter
from netmap_io.wrappers.recorder import Recorder
from netmap_io.wrappers.splitter import Splitter, route_by_flow
from netmap_io.wrappers.tracer import Tracer

_spec = importlib.util.spec_from_file_location("port_contract", Path(__file__).parents[1] / "test_port_contract.py")
contract = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(contract)

OTHER_SUBJECTS = {"test_close_releases_the_port"}  # looks into the drivers; ours is below
FAST = {"frames_per_second": 10**9, "bits_per_second": 10**12, "burst_frames": 10**6, "burst_bits": 10**9}
WRAPS: dict[str, Callable[[Port, Path], Port]] = {
    "fault": lambda port, folder: FaultInjector(port, receive=Faults(), send=Faults()),
    "fault-duplicates": lambda port, folder: FaultInjector(port, receive=Faults(duplication=1e-12)),
    "filter": lambda port, folder: Filter(port, by_filter("greater 0")),
    "rate": lambda port, folder: RateLimiter(port, send=RateLimit(**FAST), receive=RateLimit(**FAST)),
    "record": lambda port, folder: Recorder(port, folder / f"{id(port)}.pcapng"),
    "split": lambda port, folder: Splitter(port, 1, route_by_flow(1)).ports[0],
    "trace": lambda port, folder: Tracer(port, lambda line: None),
    "all": lambda port, folder: Tracer(
        Filter(RateLimiter(FaultInjector(Recorder(port, folder / f"{id(port)}.pcapng"))), by_filter("greater 0"))
    ),
}


@contextmanager
def _loop(wrap, folder) -> Iterator[Callable[[Burst], Port]]:
    with wrap(open_port("memory:"), folder) as port:

        def carry(burst: Burst) -> Port:
            assert port.send(burst) == len(burst)
            return port

        yield carry


@contextmanager
def _pair(wrap, folder) -> Iterator[Callable[[Burst], Port]]:
    ends = memory_pair()
    near, far = (wrap(end, folder) for end in ends)

    def carry(burst: Burst) -> Port:
        assert near.send(burst) == len(burst)
        near.flush()
        near.close()
        assert (near.counters.sent_frames, near.counters.sent_octets) == (len(burst), burst.octets)
        return far

    yield carry
    far.close()


SUBJECTS = {f"{name}-{kind.__name__[1:]}": (kind, wrap) for name, wrap in WRAPS.items() for kind in (_loop, _pair)}
contract.ENDLESS |= {name for name in SUBJECTS if name.endswith("-loop")}


@pytest.fixture(params=SUBJECTS)
def subject(request, tmp_path):
    kind, wrap = SUBJECTS[request.param]
    with kind(wrap, tmp_path) as carry:
        carry.name = request.param
        yield carry


@pytest.fixture
def burst() -> Burst:
    frames = [bytes([index]) * (index % 70) for index in range(100)]
    return Burst.of(frames, [1_700_000_000_000_000_000 + index for index in range(100)])


for _name, _test in vars(contract).copy().items():
    if _name.startswith("test_") and "subject" in inspect.signature(_test).parameters and _name not in OTHER_SUBJECTS:
        globals()[_name] = _test


def test_the_contract_was_found():
    assert "test_lent_frames_raise_after_their_block" in globals()


def test_closing_a_wrapper_closes_what_it_wraps(subject, burst):
    port = subject(burst)
    try:
        descriptor = port.fileno()
    except PortUnsupportedError:
        descriptor = None
    inner = port._splitter.port if hasattr(port, "_splitter") else port.port
    port.close()
    assert inner.closed
    if descriptor is not None:
        with pytest.raises(OSError):
            select.select([descriptor], [], [], 0)


def test_frames_that_a_wrapper_holds_show_in_the_descriptor():
    port = FaultInjector(open_port("memory:"), receive=Faults(duplication=1))
    with port:
        descriptor = port.fileno()
        port.send(Burst.of([b"a", b"b"]))
        assert [bytes(frame) for frame in port.receive(1, 0)] == [b"a"]
        assert select.select([descriptor], [], [], 0)[0] == [descriptor]
        assert [bytes(frame) for frame in port.receive(9, 0)] == [b"a"]
        assert select.select([descriptor], [], [], 0)[0] == [descriptor]
        assert [bytes(frame) for frame in port.receive(9, 0)] == [b"b", b"b"]
        assert select.select([descriptor], [], [], 0)[0] == []


@pytest.mark.parametrize("waits", [{"delay_ns": 5}, {"jitter_ns": 5}, {"reordering": 0.1}])
def test_a_wrapper_that_waits_has_no_descriptor(waits):
    with (
        FaultInjector(open_port("memory:"), receive=Faults(**waits)) as port,
        pytest.raises(PortUnsupportedError, match="no file descriptor"),
    ):
        port.fileno()
