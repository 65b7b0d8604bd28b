"""The filter language: a part of pcap-filter(7), compiled to classic BPF.

    expression = factor { (and | or) factor };  factor = [not] ( "(" expression ")" | test )
    test = [ether|ip|ip6|arp|tcp|udp] [src|dst] [host|net|port|portrange|proto] value
         | ip | ip6 | arp | rarp | tcp | udp | sctp | icmp | icmp6 | ether broadcast | ether multicast
         | less N | greater N | (len | where[offset:size]) [& MASK] (= != < > <= >=) N
    where = octets (of the frame, any link type) | ether | ip | ip6 | tcp | udp | icmp

`&&`, `||` and `!` stand for and, or and not.  As in pcap-filter, and and or have one rank and go from left to right.
VLAN tags are not skipped: a tagged frame is neither ip nor ip6.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from netmap_io.burst import ETHERNET
from netmap_io.wrappers import bpf
from netmap_io.wrappers.bpf import BpfError, BpfProgram
from netmap_io.wrappers.filter_code import All, Any, Compare, Load, Node, Not, assemble

__all__ = ["compile_filter"]

_TOKEN = re.compile(
    r"\s*(?:(?P<field>octets|ether|ip6?|tcp|udp|icmp)\s*\[\s*(?P<offset>\w+)\s*(?::\s*(?P<size>\w+)\s*)?\]"
    r"|\\?(?P<word>[\w.:/-]+)|(?P<sign>&&|\|\||==|!=|<=|>=|[()!&<>=]))"
)
_SIGNS = {"&&": "and", "||": "or", "!": "not", "==": "="}
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132}
_ETHERTYPES = {"ip": 0x0800, "arp": 0x0806, "rarp": 0x8035, "ip6": 0x86DD}
_WITH_PORTS = ("tcp", "udp", "sctp")
_QUALIFIERS = ("ether", "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6")
_KINDS = ("host", "net", "port", "portrange", "proto")
_WORDS = (*_QUALIFIERS, *_KINDS, "src", "dst", "and", "or", "not", "less", "greater", "len", "octets", "broadcast")
_NETWORK = 14
_IP6_TRANSPORT = _NETWORK + 40
_FRAGMENT_HEADER = 44
_LARGEST = 0xFFFFFFFF
_MOST_TOKENS = 600
_DEEPEST = 40


class _Token:
    def __init__(self, match: re.Match[str], at: int) -> None:
        self.at = at
        self.field: str | None = match["field"]
        self.offset: str = match["offset"] or ""
        self.size: str = match["size"] or "1"
        text = match["word"] or match["sign"] or match[0].strip()
        self.text = _SIGNS.get(text, text)


@lru_cache(maxsize=64)
def compile_filter(text: str, link_type: int = ETHERNET) -> BpfProgram:
    """The program of an expression, or of what `tcpdump -ddd` prints.

    link_type: LINKTYPE number of the frames; but for Ethernet there are only `len`, `less`, `greater` and `octets`.
    Raises: BpfError: neither of them, with the place.
    """
    if re.fullmatch(r"[\d\s,]+", text):
        return BpfProgram.of_text(text)
    return assemble(_Parser(text, link_type).whole())


class _Parser:
    def __init__(self, text: str, link_type: int) -> None:
        self.text = text
        self.link_type = link_type
        self.tokens: list[_Token] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                raise BpfError(f"filter {text!r}, character {at}: {text[at]!r} means nothing here")
            self.tokens.append(_Token(found, at + len(found[0]) - len(found[0].lstrip())))
            at = found.end()
        if len(self.tokens) > _MOST_TOKENS:
            raise BpfError(f"the filter has {len(self.tokens)} words; {_MOST_TOKENS} fit; put a filter around a filter")
        self.next = 0
        self.depth = 0

    def whole(self) -> Node:
        node = self.expression()
        if self.next < len(self.tokens):
            raise self.wrong("'and', 'or' or the end")
        return node

    def expression(self) -> Node:
        node = self.factor()
        while True:
            if self.accept("and"):
                node = All((node, self.factor()))
            elif self.accept("or"):
                node = Any((node, self.factor()))
            else:
                return node

    def factor(self) -> Node:
        negations = 0
        while self.accept("not"):
            negations += 1
        if self.accept("("):
            self.depth += 1
            if self.depth > _DEEPEST:
                raise self.wrong(f"no more than {_DEEPEST} brackets within each other")
            node = self.expression()
            self.depth -= 1
            self.expect(")")
        else:
            node = self.test()
        return Not(node) if negations % 2 else node

    def test(self) -> Node:
        token = self.peek()
        if token is None:
            raise self.wrong("a test")
        if token.field:
            self.next += 1
            return self.relation(*self.field(token))
        for word, comparison in (("less", bpf.JGT), ("greater", bpf.JGE)):
            if self.accept(word):
                compare = Compare(Load(0, 0), comparison, self.number("a length"))
                return Not(compare) if word == "less" else compare
        if self.accept("len"):
            return self.relation(Load(0, 0), ())
        return self.primitive()

    def field(self, token: _Token) -> tuple[Load, tuple[Node, ...]]:
        """The load of `where[offset:size]`, and what must hold before it means anything."""
        offset, size = self.integer(token.offset, token, "an offset"), self.integer(token.size, token, "a size")
        if size not in (1, 2, 4):
            raise self.wrong("a size of 1, 2 or 4 octets", token)
        where = token.field or ""
        if where != "octets":
            self.need_ethernet(token)
        if where in ("octets", "ether"):
            return Load(offset, size), ()
        if offset > _LARGEST - 256:
            raise self.wrong("an offset within a frame", token)
        if where in ("ip", "ip6"):
            return Load(_NETWORK + offset, size), (_ethertype(where),)
        before = (_ethertype("ip"), _protocol_4(_PROTOCOLS[where]), _NOT_A_LATER_FRAGMENT)
        return Load(_NETWORK + offset, size, header=_NETWORK), before

    def relation(self, load: Load, before: tuple[Node, ...]) -> Node:
        if self.accept("&"):
            load = Load(load.offset, load.size, self.number("a mask"), load.header)
        for sign, (comparison, negated) in _RELATIONS.items():
            if self.accept(sign):
                compare = Compare(load, comparison, self.number("a number"))
                return _all(*before, Not(compare) if negated else compare)
        raise self.wrong("a comparison (= != < > <= >=)")

    def primitive(self) -> Node:
        token = self.peek()
        self.need_ethernet(token)
        qualifier = self.one_of(_QUALIFIERS)
        direction = self.one_of(("src", "dst"))
        kind = self.one_of(_KINDS)
        if qualifier == "ether" and not direction and not kind:
            if self.accept("broadcast"):
                return _mac(0, b"\xff" * 6)
            if self.accept("multicast"):
                return Compare(Load(0, 1), bpf.JSET, 1)
        if qualifier and qualifier != "ether" and not direction and not kind:
            return _protocol(qualifier)
        if not (qualifier or direction or kind):
            raise self.wrong("a test")
        value = self.peek()
        if value is None or value.field:
            raise self.wrong("a value")
        self.next += 1
        return self.qualified(qualifier, direction, kind or "host", value)

    def qualified(self, qualifier: str, direction: str, kind: str, value: _Token) -> Node:
        makers: dict[str, Callable[[str, str, str, _Token], Node]] = {
            "host": self.host,
            "net": self.net,
            "port": self.ports,
            "portrange": self.ports,
            "proto": self.protocol,
        }
        return makers[kind](qualifier, direction, kind, value)

    def host(self, qualifier: str, direction: str, kind: str, value: _Token) -> Node:
        if qualifier == "ether":
            if not re.fullmatch(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}", value.text):
                raise self.wrong("a MAC address", value)
            octets = bytes.fromhex(re.sub("[:-]", "", value.text))
            return _either(direction, lambda source: _mac(6 if source else 0, octets))
        return self.net(qualifier, direction, kind, value)

    def net(self, qualifier: str, direction: str, kind: str, value: _Token) -> Node:
        try:
            network = ip_network(value.text)
        except ValueError:
            network = None
        if network is None or (kind == "host" and network.num_addresses != 1):
            raise self.wrong("an address" if kind == "host" else "a network, its other bits zero", value)
        if qualifier not in ("", "ip6" if network.version == 6 else "ip", "arp"):
            raise self.wrong(f"no IPv{network.version} address with {qualifier}", value)
        if isinstance(network, IPv6Network):
            return _all(_ethertype("ip6"), _either(direction, lambda source: _address_6(network, source)))
        return _net_4(network, qualifier, direction)

    def ports(self, qualifier: str, direction: str, kind: str, value: _Token) -> Node:
        texts = value.text.split("-") if kind == "portrange" else [value.text]
        numbers = [self.integer(text, value, "a port") for text in texts]
        if len(numbers) != 1 + (kind == "portrange") or max(numbers) > 0xFFFF or numbers[0] > numbers[-1]:
            raise self.wrong("a port from 0 to 65535" if kind == "port" else "ports as FIRST-LAST", value)
        if qualifier not in ("", *_WITH_PORTS):
            raise self.wrong(f"no ports with {qualifier}", value)
        protocols = [_PROTOCOLS[name] for name in _WITH_PORTS if qualifier in ("", name)]
        four = _all(
            _ethertype("ip"),
            _any(*map(_protocol_4, protocols)),
            _NOT_A_LATER_FRAGMENT,
            _either(direction, lambda source: _between(Load(_NETWORK + 2 * (not source), 2, header=_NETWORK), numbers)),
        )
        six = _all(
            _ethertype("ip6"),
            _any(*(Compare(Load(_NETWORK + 6, 1), bpf.JEQ, number) for number in protocols)),
            _either(direction, lambda source: _between(Load(_IP6_TRANSPORT + 2 * (not source), 2), numbers)),
        )
        return _any(four, six)

    def protocol(self, qualifier: str, direction: str, kind: str, value: _Token) -> Node:
        names = _ETHERTYPES if qualifier == "ether" else _PROTOCOLS
        number = names[value.text] if value.text in names else self.integer(value.text, value, "a protocol")
        if direction or qualifier not in ("ether", "ip", "ip6"):
            raise self.wrong("ether proto, ip proto or ip6 proto", value)
        if qualifier == "ether":
            if not 0x600 <= number <= 0xFFFF:
                raise self.wrong("an Ethernet type from 0x600 to 0xffff", value)
            return Compare(Load(12, 2), bpf.JEQ, number)
        if number > 0xFF:
            raise self.wrong("a protocol from 0 to 255", value)
        return _all(_ethertype("ip"), _protocol_4(number)) if qualifier == "ip" else _protocol_6(number)

    def need_ethernet(self, token: _Token | None) -> None:
        if token is not None and self.link_type != ETHERNET and (token.field or token.text in _WORDS):
            raise BpfError(
                f"filter {self.text!r}, character {token.at}: {token.text!r} needs Ethernet frames; these are of link "
                f"type {self.link_type}, where there is octets[...], len, less and greater"
            )

    def one_of(self, words: tuple[str, ...]) -> str:
        token = self.peek()
        if token is None or token.field or token.text not in words:
            return ""
        self.next += 1
        return token.text

    def number(self, wanted: str) -> int:
        token = self.peek()
        if token is None or token.field:
            raise self.wrong(wanted)
        self.next += 1
        return self.integer(token.text, token, wanted)

    def integer(self, text: str, token: _Token, wanted: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}|0[xX][0-9a-fA-F]{1,8}", text):
            raise self.wrong(wanted, token)
        value = int(text, 16 if text[:2].lower() == "0x" else 10)
        if value > _LARGEST:
            raise self.wrong(f"{wanted} of 32 bits", token)
        return value

    def peek(self) -> _Token | None:
        return self.tokens[self.next] if self.next < len(self.tokens) else None

    def accept(self, text: str) -> bool:
        token = self.peek()
        if token is None or token.field or token.text != text:
            return False
        self.next += 1
        return True

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.wrong(f"'{text}'")

    def wrong(self, wanted: str, token: _Token | None = None) -> BpfError:
        token = token or self.peek()
        if token is None:
            return BpfError(f"filter {self.text!r}: {wanted} is missing at its end")
        near = get_close_matches(token.text, _WORDS, n=1) if token.text not in _WORDS else []
        hint = f" (did you mean {near[0]}?)" if near else ""
        return BpfError(f"filter {self.text!r}, character {token.at}: {wanted} is needed, not {token.text!r}{hint}")


_RELATIONS = {
    "=": (bpf.JEQ, False),
    "!=": (bpf.JEQ, True),
    ">=": (bpf.JGE, False),
    "<=": (bpf.JGT, True),
    ">": (bpf.JGT, False),
    "<": (bpf.JGE, True),
}
_NOT_A_LATER_FRAGMENT = Not(Compare(Load(_NETWORK + 6, 2), bpf.JSET, 0x1FFF))


def _all(*nodes: Node) -> Node:
    return nodes[0] if len(nodes) == 1 else All(nodes)


def _any(*nodes: Node) -> Node:
    return nodes[0] if len(nodes) == 1 else Any(nodes)


def _either(direction: str, make: Callable[[bool], Node]) -> Node:
    """The test on the source, on the destination, or on either."""
    return make(direction == "src") if direction else Any((make(True), make(False)))


def _ethertype(name: str) -> Node:
    return Compare(Load(12, 2), bpf.JEQ, _ETHERTYPES[name])


def _protocol_4(number: int) -> Node:
    return Compare(Load(_NETWORK + 9, 1), bpf.JEQ, number)


def _protocol_6(number: int) -> Node:
    """The next header, past a fragment header too."""
    following = Load(_NETWORK + 6, 1)
    fragment = All((Compare(following, bpf.JEQ, _FRAGMENT_HEADER), Compare(Load(_IP6_TRANSPORT, 1), bpf.JEQ, number)))
    return All((_ethertype("ip6"), Any((Compare(following, bpf.JEQ, number), fragment))))


def _protocol(name: str) -> Node:
    if name in _ETHERTYPES:
        return _ethertype(name)
    number = _PROTOCOLS[name]
    four = All((_ethertype("ip"), _protocol_4(number)))
    if name == "icmp":
        return four
    return _protocol_6(number) if name == "icmp6" else Any((four, _protocol_6(number)))


def _mac(offset: int, octets: bytes) -> Node:
    low, high = int.from_bytes(octets[2:]), int.from_bytes(octets[:2])
    return All((Compare(Load(offset + 2, 4), bpf.JEQ, low), Compare(Load(offset, 2), bpf.JEQ, high)))


def _masked(offset: int, value: int, mask: int) -> Node:
    return Compare(Load(offset, 4, None if mask == _LARGEST else mask), bpf.JEQ, value)


def _net_4(network: IPv4Network, qualifier: str, direction: str) -> Node:
    """IPv4's addresses, and those that ARP and RARP speak of."""
    value, mask = int(network.network_address), int(network.netmask)
    places = {"ip": (26, 30), "arp": (28, 38), "rarp": (28, 38)}
    chosen = [name for name in places if qualifier in ("", name)]

    def within(name: str) -> Node:
        source, destination = places[name]
        return All(
            (
                _ethertype(name),
                _either(direction, lambda is_source: _masked(source if is_source else destination, value, mask)),
            )
        )

    return _any(*map(within, chosen))


def _address_6(network: IPv6Network, source: bool) -> Node:
    value, mask = network.network_address.packed, network.netmask.packed
    offset = _NETWORK + (8 if source else 24)
    words = [
        _masked(offset + at, int.from_bytes(value[at : at + 4]), int.from_bytes(mask[at : at + 4]))
        for at in range(0, 16, 4)
        if any(mask[at : at + 4])
    ]
    return _all(*words) if words else Compare(Load(0, 0), bpf.JGE, 0)


def _between(load: Load, numbers: list[int]) -> Node:
    first, last = numbers[0], numbers[-1]
    if first == last:
        return Compare(load, bpf.JEQ, first)
    return All((Compare(load, bpf.JGE, first), Not(Compare(load, bpf.JGT, last))))
