"""Wrappers by address: `fault+trace+memory:?loss=0.01&seed=7`, the outermost first.

All options stand after the one question mark.  Each layer takes those that it knows; no wrapper has an option of the
same name as another wrapper or a driver of ours, and what nobody takes is an error before anything is opened.
"""

from __future__ import annotations

from collections.abc import Callable

from netmap_io.errors import PortAddressError
from netmap_io.port import LinkType, Options, Port, nearest

__all__ = ["WRAPPERS", "open_wrapped"]

Wrap = Callable[[Port], Port]


def _fault(options: Options) -> Wrap:
    """`fault+...?loss=0.01&bit_errors=1e-6&duplication=200ppm&seed=7`, also `receive_loss=`, `send_loss=` ..."""
    from netmap_io.wrappers.fault_injector import FaultInjector
    from netmap_io.wrappers.faults import Faults

    both = {name: _probability(options, name, 0.0) for name in ("loss", "bit_errors", "duplication", "reordering")}
    depth = options.integer("reordering_depth", 3, minimum=1, maximum=1 << 20)
    hold_ns = _milliseconds(options, "hold_ms", 10_000_000)
    delay_ns, jitter_ns = _milliseconds(options, "delay_ms", 0), _milliseconds(options, "jitter_ms", 0)

    def faults(direction: str) -> Faults:
        chances = {name: _probability(options, f"{direction}_{name}", each) for name, each in both.items()}
        return Faults(
            loss=chances["loss"],
            bit_errors=chances["bit_errors"],
            duplication=chances["duplication"],
            reordering=chances["reordering"],
            reordering_depth=depth,
            hold_ns=hold_ns,
            delay_ns=_milliseconds(options, f"{direction}_delay_ms", delay_ns),
            jitter_ns=_milliseconds(options, f"{direction}_jitter_ms", jitter_ns),
        )

    receive, send = faults("receive"), faults("send")
    seed = options.integer("seed", 0)
    return lambda port: FaultInjector(port, receive=receive, send=send, seed=seed)


def _rate(options: Options) -> Wrap:
    """`rate+...?frames_per_second=1000` or `bits_per_second=1000000`, of what is sent, or `rate_of=received|both`"""
    from netmap_io.wrappers.rate_limiter import RateLimit, RateLimiter

    names = ("frames_per_second", "bits_per_second", "burst_frames", "burst_bits")
    given = {name: options.integer(name, 0, maximum=10**15) or None for name in names}
    overhead = options.integer("overhead_octets", 0, maximum=65535)
    of = options.choice("rate_of", {"sent": "sent", "received": "received", "both": "both"}, "sent")
    if given["frames_per_second"] is None and given["bits_per_second"] is None:
        raise PortAddressError("rate: needs frames_per_second or bits_per_second")

    def wrap(port: Port) -> Port:
        def limit(direction: str) -> RateLimit | None:
            return RateLimit(**given, overhead_octets=overhead) if of in (direction, "both") else None

        return RateLimiter(port, send=limit("sent"), receive=limit("received"))

    return wrap


def _record(options: Options) -> Wrap:
    """`record+...?record_file=pass.pcapng&record=both|received|sent`"""
    from netmap_io.wrappers.recorder import Recorder

    path = options.text("record_file")
    directions = {"both": (True, True), "received": (True, False), "sent": (False, True)}
    incoming, outgoing = options.choice("record", directions, "both")
    if not path:
        raise PortAddressError("record: needs record_file=FILE")
    return lambda port: Recorder(port, path, incoming=incoming, outgoing=outgoing)


def _trace(options: Options) -> Wrap:
    """`trace+...?trace_octets=16&trace_file=FILE`, to standard error without a file"""
    from netmap_io.errors import CaptureUnreadableError
    from netmap_io.wrappers.tracer import Tracer

    octets = options.integer("trace_octets", 16, maximum=1 << 24)
    path = options.text("trace_file")

    def wrap(port: Port) -> Port:
        if not path:
            return Tracer(port, octets=octets)
        try:
            file = open(path, "w", encoding="ascii")  # noqa: SIM115 (the tracer closes it)
        except OSError as error:
            raise CaptureUnreadableError((error.strerror or str(error)).lower(), path=path) from None
        return Tracer(port, lambda line: file.write(line + "\n"), octets=octets, finish=file.close)

    return wrap


def _filter(options: Options) -> Wrap:
    """`filter+...?filter=udp port 5000`, or a program of `tcpdump -ddd`"""
    from netmap_io.burst import ETHERNET, RAW_OCTETS
    from netmap_io.wrappers.bpf import BpfError
    from netmap_io.wrappers.filter_language import compile_filter
    from netmap_io.wrappers.filter_port import Filter, by_filter

    expression = options.text("filter")
    if not expression:
        raise PortAddressError("filter: needs filter=EXPRESSION")
    try:
        match = by_filter(expression)
    except BpfError as error:
        raise PortAddressError(str(error)) from None

    def wrap(port: Port) -> Port:
        number = ETHERNET if port.capabilities.link_type is LinkType.ETHERNET else RAW_OCTETS
        try:
            compile_filter(expression, number)
        except BpfError as error:
            raise PortAddressError(str(error)) from None
        return Filter(port, match)

    return wrap


def _share(options: Options) -> Wrap:
    """`share+...?shares=4&share=0`, by flow, or by octets: `share_by=octets&share_offset=6&share_length=4`"""
    from netmap_io.wrappers.filter_port import Filter, by_share
    from netmap_io.wrappers.flow_hash import flow_hash, octets_hash

    shares = options.integer("shares", 1, minimum=1, maximum=1 << 16)
    share = options.integer("share", 0, maximum=shares - 1)
    by_octets = options.choice("share_by", {"flow": False, "octets": True}, "flow")
    offset = options.integer("share_offset", 0, maximum=1 << 24)
    length = options.integer("share_length", 4, minimum=1, maximum=1 << 16)
    hashes = (lambda burst: octets_hash(burst, offset, length)) if by_octets else flow_hash
    return lambda port: Filter(port, by_share(hashes, shares, share))


WRAPPERS: dict[str, Callable[[Options], Wrap]] = {
    "fault": _fault,
    "filter": _filter,
    "rate": _rate,
    "record": _record,
    "share": _share,
    "trace": _trace,
}


def open_wrapped(names: list[str], options: Options, open_inner: Callable[[], Port]) -> Port:
    """Wrap what `open_inner` opens, the last of `names` next to it.

    Raises: PortAddressError: no such wrapper or option; and what opening raises.
    """
    for name in names:
        if name not in WRAPPERS:
            raise PortAddressError(f"there is no wrapper {name!r}; {nearest(name, list(WRAPPERS))}")
    wraps = []
    driver = options.driver
    for name in names:
        options.driver = name
        wraps.append(WRAPPERS[name](options))
    options.driver = driver
    port = open_inner()
    for wrap in reversed(wraps):
        try:
            port = wrap(port)
        except BaseException:
            port.close()
            raise
    return port


def _probability(options: Options, name: str, default: float) -> float:
    """A number from 0 to 1, or so many in a million: `200ppm`."""
    text = options.text(name, repr(default)) or ""
    try:
        value = float(text.removesuffix("ppm")) / (1e6 if text.endswith("ppm") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise PortAddressError(f"{options.driver}: {name}={text} is not a probability: 0 to 1, or as in 200ppm")
    return value


def _milliseconds(options: Options, name: str, default_ns: int) -> int:
    text = options.text(name, repr(default_ns / 1e6)) or ""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 3.6e6:
        raise PortAddressError(f"{options.driver}: {name}={text} is not a number of milliseconds, at most an hour")
    return round(value * 1e6)
