"""tcp: records in a stream of octets, as client or as server.

Cutting and queueing are in `netmap_io._native`.  Nothing here waits but `receive`, `close` (for a bounded time) and the
opening of a client.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netmap_io import _native
from netmap_io.burst import Burst
from netmap_io.drivers.descriptor import LINK_TYPES, DescriptorPort, endpoint, refused, yes_or_no
from netmap_io.errors import PortAddressError, PortSystemError
from netmap_io.port import Capabilities, Counters, LinkType, Options

__all__ = ["Framing", "TcpClient", "TcpServer", "TcpSettings", "open_address"]

_PROBES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How records lie in the stream: "stream" (not at all), "fixed" (`octets` each), "length" (a field of `octets`)."""

    kind: str
    octets: int = 0
    inclusive: bool = False
    """Whether the length counts its own field."""

    def longest(self, maximum: int) -> int:
        """Octets of the longest record, where at most `maximum` are wanted."""
        if self.kind == "fixed":
            return self.octets
        if self.kind == "stream":
            return maximum
        return min(maximum, (1 << 8 * self.octets) - 1 - (self.octets if self.inclusive else 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSettings:
    """What a TCP port is to be.  Times in seconds.

    reconnects: a client's attempts in a row after a failure or a loss, `backoff_s` apart at first, twice as long each
    time, at most `longest_backoff_s`.  connect_s: how long opening may wait.  peers: connections that a server has at
    once; accepts: in all (0: any number).  queue_octets: held of what is sent, for each peer, before `send` is short.
    keep_alive_s: silence after which a peer is probed (0: never).  close_s: how long `close` may wait to hand on.
    """

    host: str
    port: int
    framing: Framing
    maximum_frame_octets: int
    link_type: LinkType
    connect_s: float = 10.0
    reconnects: int = 0
    backoff_s: float = 0.1
    longest_backoff_s: float = 10.0
    peers: int = 1
    accepts: int = 0
    queue_octets: int = 1 << 20
    keep_alive_s: int = 30
    no_delay: bool = True
    close_s: float = 1.0


class _Connection:
    """A connection and its account."""

    def __init__(self, opened: socket.socket, number: int, settings: TcpSettings) -> None:
        self.socket = opened
        self.number = number
        self.ended = False
        """The peer has said that it sends no more."""
        self.deaf = False
        """Writing to the peer has failed; what it sent before may still be there to read."""
        self.holds = False
        """Records are there that the socket no longer shows."""
        framing = settings.framing
        longest = framing.longest(settings.maximum_frame_octets)
        self.native = _native.RecordStream(
            framing.kind, framing.octets, framing.inclusive, longest, settings.queue_octets
        )
        _tune(opened, settings)


def _tune(opened: socket.socket, settings: TcpSettings) -> None:
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(settings.no_delay))
    if settings.keep_alive_s:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, settings.keep_alive_s)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, settings.keep_alive_s)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
        silence_ms = settings.keep_alive_s * (_PROBES + 1) * 1000
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silence_ms)


class _TcpPort(DescriptorPort):
    """What client and server share.  One lock: connections come and go while another thread sends."""

    def __init__(self, settings: TcpSettings) -> None:
        self.settings = settings
        super().__init__(
            Capabilities(
                link_type=settings.link_type,
                maximum_frame_octets=settings.framing.longest(settings.maximum_frame_octets),
                timestamp_source="system clock, when read",
            )
        )
        self._lock = threading.RLock()
        self._connections: list[_Connection] = []
        self._past: Counter[str] = Counter()
        self._opened = 0
        self.end_reason: str | None = None
        """Why the last connection ended; None before the first did."""

    @abstractmethod
    def _advance(self) -> None:
        """Accept, connect, connect again: whatever is due."""

    @abstractmethod
    def _ended(self, connection: _Connection, reason: str) -> None:
        """The peer sends no more; it may still listen."""

    @property
    def account(self) -> dict[str, int]:
        """All connections together, to the octet.

        Octets that came are received_octets + header_octets + refused_octets + partial_record_octets + held_octets.
        Frames that `send` took are sent_frames + queued_frames + lost_frames (for a server: of each peer).
        """
        with self._lock:
            total = Counter(self._past)
            for connection in self._connections:
                total.update(connection.native.account())
            total["connections"] = self._opened
            del total["refused_length"]
            return dict(total)

    @property
    def counters(self) -> Counters:
        """Sent is what the system has taken to the last octet; a server counts a frame once for each peer."""
        account = self.account
        self._counters.sent_frames = account.get("sent_frames", 0)
        self._counters.sent_octets = account.get("sent_octets", 0)
        self._counters.dropped_by_port = account.get("lost_frames", 0) + account.get("refused_lengths", 0)
        return self._counters

    def _take(self, max_frames: int) -> Burst:
        with self._lock:
            self._advance()
            gathered = _native.Gathered()
            for connection in list(self._connections):
                if len(gathered) >= max_frames:
                    break
                if not connection.ended:
                    self._read(connection, gathered, max_frames)
            if len(self._connections) > 1:  # whoever was first is last next time
                self._connections.append(self._connections.pop(0))
            self.readiness.hold(any(connection.holds for connection in self._connections))
            return Burst.of_native(gathered.take(), self.link_number)

    def _read(self, connection: _Connection, gathered: _native.Gathered, max_frames: int) -> None:
        native, descriptor = connection.native, connection.socket.fileno()
        state, error, connection.holds = native.read(descriptor, gathered, max_frames, connection.number)
        if state == "open":
            self._write(connection)
        elif state == "lost":
            self._drop(connection, os.strerror(error).lower())
        elif state == "refused":
            length = native.account()["refused_length"]
            self._drop(connection, f"the peer gave a record length of {length}, which none may have")
        elif state == "ended":
            native.finish()
            self._ended(connection, "the peer has closed the connection")

    def _add(self, opened: socket.socket) -> None:
        connection = _Connection(opened, self._opened, self.settings)
        self._opened += 1
        self.readiness.add(opened.fileno())
        self._connections.append(connection)

    def _drop(self, connection: _Connection, reason: str) -> None:
        """Take a connection out and put it into the account."""
        connection.native.finish()
        self._past["lost_frames"] += connection.native.drop_queued()
        self._past.update(connection.native.account())
        self._connections.remove(connection)
        self.readiness.remove(connection.socket.fileno())
        connection.socket.close()
        self.end_reason = reason

    def _check(self, burst: Burst) -> None:
        lengths = burst.lengths
        shortest, longest = int(lengths.min()), int(lengths.max())
        if self.settings.framing.kind == "fixed" and not shortest == longest == self.settings.framing.octets:
            raise ValueError(f"records have {self.settings.framing.octets} octets here, a frame has another length")

    def _put(self, burst: Burst) -> int:
        self._check(burst)
        with self._lock:
            self._advance()
            self._write_all()
            listening = [connection for connection in self._connections if not connection.deaf]
            if not listening:
                return self._nobody_listens()
            if not all(connection.native.has_room() for connection in listening):
                return 0
            taken, columns = 0, burst.columns()
            for index, connection in enumerate(listening):  # the others take what the first one took
                most = taken if index else len(burst)
                count, state, error = connection.native.send(connection.socket.fileno(), columns, most, index > 0)
                taken = taken if index else count
                self._wrote(connection, state, error)
            return taken

    def _nobody_listens(self) -> int:
        if self.exhausted:
            raise PortSystemError(f"cannot send: {self.end_reason}")
        return 0

    def flush(self) -> None:
        """Write what is queued as far as the system has room now; `account` tells how much waits."""
        self.require_open()
        with self._lock:
            self._advance()
            self._write_all()

    def _write_all(self) -> None:
        for connection in list(self._connections):
            if connection.deaf:
                self._look(connection)
            else:
                self._write(connection)

    def _write(self, connection: _Connection) -> None:
        if not connection.deaf:
            self._wrote(connection, *connection.native.write(connection.socket.fileno()))

    def _wrote(self, connection: _Connection, state: str, error: int) -> None:
        if state == "lost":  # reading goes on to its own end
            connection.deaf = True
            self._past["lost_frames"] += connection.native.drop_queued()
            self.end_reason = os.strerror(error).lower()
            self._look(connection)

    def _look(self, connection: _Connection) -> None:
        """Drop a deaf connection that has nothing left to read, for a caller who only sends."""
        if connection.holds:
            return
        try:
            over = connection.ended or not connection.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            over = False
        except OSError:
            over = True
        if over:
            self._drop(connection, self.end_reason or "the peer has gone")

    def _release_device(self) -> None:
        deadline = time.monotonic() + self.settings.close_s
        for connection in list(self._connections):
            self._hand_on(connection, deadline)
            with contextlib.suppress(OSError):  # gone already
                connection.socket.shutdown(socket.SHUT_WR)
            self._drop(connection, "this end has closed the connection")

    @staticmethod
    def _hand_on(connection: _Connection, deadline: float) -> None:
        """Write what is queued, until it is gone or time is over."""
        poll = select.poll()
        poll.register(connection.socket.fileno(), select.POLLOUT)
        while connection.native.account()["queued_octets"]:
            state, _ = connection.native.write(connection.socket.fileno())
            left = deadline - time.monotonic()
            if state != "open" or left <= 0:
                return
            poll.poll(left * 1000)


class TcpClient(_TcpPort):
    """Connects to `settings.host`; again, where it may, when the connection is lost."""

    def __init__(self, settings: TcpSettings) -> None:
        """Connect, waiting at most `connect_s`.

        Raises PortSystemError where that fails and no reconnects are left, or where time is over and there are none.
        """
        self._what = f"connect to tcp:{_written(settings.host, settings.port)}"
        self._address = _resolve(settings, self._what, passive=False)
        super().__init__(settings)
        self._connecting: socket.socket | None = None
        self._failures = 0
        self._backoff_s = settings.backoff_s
        self._due = time.monotonic()  # of the next attempt, or the end of the one under way
        self._over: PortSystemError | None = None
        try:
            self._open_first(time.monotonic() + settings.connect_s)
        except BaseException:
            self.close()
            raise

    def _open_first(self, deadline: float) -> None:
        while True:
            self._advance()
            if self._connections:
                return
            if self._over:
                raise self._over
            if not self._wait(deadline):
                break
        if not self.settings.reconnects and self.settings.connect_s:
            raise PortSystemError(f"cannot {self._what}: no answer within {self.settings.connect_s:g} s")

    @property
    def exhausted(self) -> bool:
        """The connection has ended and no reconnects are left."""
        if self._over is not None:
            return True
        return any(connection.ended and not connection.holds for connection in list(self._connections))

    @property
    def connected(self) -> bool:
        return bool(self._connections)

    def _advance(self) -> None:
        if self._connections or self._over or self.closed:
            return
        now = time.monotonic()
        if self._connecting is not None:
            self._finish_connecting(self._connecting, now)
        elif now >= self._due:
            self._start_connecting(now)

    def _start_connecting(self, now: float) -> None:
        family, address = self._address
        self._connecting = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._due = now + max(self.settings.connect_s, 1.0)
        self.readiness.add(self._connecting.fileno(), select.EPOLLOUT)
        error = self._connecting.connect_ex(address)
        self._finish_connecting(self._connecting, now, 0 if error == errno.EINPROGRESS else error)

    def _finish_connecting(self, opened: socket.socket, now: float, error: int = 0) -> None:
        poll = select.poll()
        poll.register(opened.fileno(), select.POLLOUT)
        ready = poll.poll(0)
        if not error and not ready and now < self._due:
            return
        if not error:
            error = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if ready else errno.ETIMEDOUT
        self.readiness.remove(opened.fileno())
        self._connecting = None
        if error:
            opened.close()
            self._failed(refused(self._what, OSError(error, "")))
        else:
            self._add(opened)

    def _failed(self, why: PortSystemError) -> None:
        """An attempt failed or a connection was lost: wait for the next one, or give up."""
        self.end_reason = str(why)
        self._failures += 1
        if self._failures > self.settings.reconnects:
            self._over = why
            self.readiness.hold(True)  # the end shows
            return
        self._due = time.monotonic() + self._backoff_s
        self._backoff_s = min(self._backoff_s * 2, self.settings.longest_backoff_s)

    def _wake_in(self) -> float | None:
        return None if self._connections else max(0.0, self._due - time.monotonic())

    def _ended(self, connection: _Connection, reason: str) -> None:
        if self.settings.reconnects:
            self._drop(connection, reason)
        else:
            connection.ended = True  # it may still listen
            self.end_reason = reason
            if connection.deaf:
                self._drop(connection, reason)

    def _take(self, max_frames: int) -> Burst:
        burst = super()._take(max_frames)
        if self._over:
            self.readiness.hold(True)
        return burst

    def _drop(self, connection: _Connection, reason: str) -> None:
        account = connection.native.account()
        if account["received_frames"] or account["sent_frames"]:  # it was of use: begin to count anew
            self._failures, self._backoff_s = 0, self.settings.backoff_s
        super()._drop(connection, reason)
        if not self.closed:
            self._failed(PortSystemError(reason))

    def _release_device(self) -> None:
        super()._release_device()
        if self._connecting is not None:
            self._connecting.close()


class TcpServer(_TcpPort):
    """Listens.  What is sent goes to every peer, the slowest sets the pace; `interfaces` numbers the connections."""

    def __init__(self, settings: TcpSettings) -> None:
        """Listen.  Raises PortSystemError with one sentence."""
        what = f"listen at tcp:{_written(settings.host, settings.port)}"
        family, address = _resolve(settings, what, passive=True)
        self._listener: socket.socket | None = socket.socket(
            family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(address)
            self._listener.listen(max(settings.peers, 16))
        except OSError as error:
            self._listener.close()
            raise refused(what, error) from None
        super().__init__(settings)
        self.local: tuple[str, int] = self._listener.getsockname()[:2]
        """Address and port that it listens at."""
        self._hears = True
        self.readiness.add(self._listener.fileno())

    @property
    def exhausted(self) -> bool:
        """As many peers as there may be have come and gone."""
        return self._listener is None and not self._connections

    @property
    def peers(self) -> int:
        """Connections now."""
        return len(self._connections)

    def _advance(self) -> None:
        for opened in self._accepted():
            self._add(opened)
            if 0 < self.settings.accepts <= self._opened and self._listener is not None:
                self.readiness.remove(self._listener.fileno())
                self._listener.close()
                self._listener = None
        self._listen(len(self._connections) < self.settings.peers)

    def _accepted(self) -> Iterator[socket.socket]:
        while self._listener is not None and len(self._connections) < self.settings.peers:
            try:
                opened, _ = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # gone before we came
            except OSError as error:
                raise refused("accept a connection", error) from None
            opened.setblocking(False)
            yield opened

    def _listen(self, wanted: bool) -> None:
        """Whether those who wait to be accepted show in the descriptor."""
        if self._listener is not None and wanted != self._hears:
            self._hears = wanted
            self.readiness.change(self._listener.fileno(), select.EPOLLIN if wanted else 0)

    def _ended(self, connection: _Connection, reason: str) -> None:
        self._write(connection)
        if connection in self._connections:
            self._drop(connection, reason)

    def _drop(self, connection: _Connection, reason: str) -> None:
        super()._drop(connection, reason)
        self._listen(True)
        if self.exhausted:
            self.readiness.hold(True)

    def _take(self, max_frames: int) -> Burst:
        burst = super()._take(max_frames)
        if self.exhausted:
            self.readiness.hold(True)
        return burst

    def _release_device(self) -> None:
        super()._release_device()
        if self._listener is not None:
            self._listener.close()


def _resolve(settings: TcpSettings, what: str, *, passive: bool) -> tuple[int, Any]:
    flags = socket.AI_PASSIVE if passive else 0
    if not settings.host and passive:
        return socket.AF_INET, ("0.0.0.0", settings.port)
    try:
        found = socket.getaddrinfo(settings.host or "localhost", settings.port, type=socket.SOCK_STREAM, flags=flags)
    except OSError as error:
        raise refused(what, error) from None
    except UnicodeError:
        raise refused(what, socket.gaierror(0, "not a name")) from None
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, address


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _framing(text: str, inclusive: bool) -> Framing:
    kind, colon, octets = text.partition(":")
    if kind == "fixed" and octets.isascii() and octets.isdigit() and 0 < int(octets[:20]) <= 1 << 30:
        return Framing(kind="fixed", octets=int(octets))
    lengths = {"length16": 2, "length32": 4}
    if kind in lengths and not colon:
        return Framing(kind="length", octets=lengths[kind], inclusive=inclusive)
    if text == "stream":
        return Framing(kind="stream")
    raise PortAddressError(f"tcp: framing={text} is not one of stream, length16, length32, fixed:N (N octets)")


def _seconds(options: Options, name: str, default_ms: int) -> float:
    return options.integer(name, default_ms, 0, 86_400_000) / 1000


def open_address(target: str, options: Options) -> TcpClient | TcpServer:
    """`tcp:host:port?mode=client|server&framing=stream|length16|length32|fixed:N&...`"""
    host, port = endpoint("tcp", target)
    server = options.choice("mode", {"client": False, "server": True}, "client")
    inclusive = options.choice("length_counts", {"record": False, "all": True}, "record")
    framing = _framing(options.text("framing", "stream") or "", inclusive)
    if inclusive and framing.kind != "length":
        raise PortAddressError("tcp: length_counts belongs to framing=length16 and framing=length32")
    maximum = options.integer("maximum_frame_octets", framing.longest(1 << 20), 1, 1 << 30)
    if framing.kind == "fixed" and maximum != framing.octets:
        raise PortAddressError("tcp: maximum_frame_octets is that of the records where framing=fixed")
    stream = "cadu_stream" if framing.kind == "stream" else "raw_octets"
    settings = TcpSettings(
        host=host,
        port=port,
        framing=framing,
        maximum_frame_octets=maximum,
        link_type=options.choice("link_type", LINK_TYPES, stream),
        connect_s=_seconds(options, "connect_ms", 10_000),
        reconnects=options.integer("reconnects", 0, 0, 1 << 31),
        backoff_s=_seconds(options, "backoff_ms", 100),
        longest_backoff_s=_seconds(options, "longest_backoff_ms", 10_000),
        peers=options.integer("peers", 1, 1, 4096),
        accepts=options.integer("accepts", 0, 0, 1 << 31),
        queue_octets=options.integer("queue_octets", 1 << 20, 1, 1 << 30),
        keep_alive_s=options.integer("keep_alive_seconds", 30, 0, 30_000),
        no_delay=yes_or_no(options, "no_delay", True),
        close_s=_seconds(options, "close_ms", 1000),
    )
    options.finish()
    return TcpServer(settings) if server else TcpClient(settings)
