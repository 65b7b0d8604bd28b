"""What is wanted of a physical function's virtual functions, as a frozen tree; every error names the key.

    physical_function = "enp1s0f0"
    number = 2

    [defaults]                    # of each virtual function
    spoof_check = true

    [[virtual_function]]
    index = 0
    mac = "02:00:00:00:00:10"
    vlan = 100

What is left out stays as it is.
"""

from __future__ import annotations

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from netmap_io.sriov.errors import SriovRequestError

__all__ = ["NO_DRIVER", "Request", "Settings", "VirtualFunction", "request_from_dict", "request_from_toml"]

NO_DRIVER = "none"
"""In place of a driver's name: the virtual function is bound to none."""
NO_ADDRESS = "00:00:00:00:00:00"

Mac = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$")]
Rate = Annotated[int, Meta(ge=0, le=0xFFFF_FFFE)]
Name = Annotated[str, Meta(pattern=r"^(?!\.{1,2}$)[^/\s]{1,255}$")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one virtual function; None: as it is.

    mac: the address that the physical function gives it.
    vlan: tag that the card puts on its frames and takes off again; 0: none.  qos: priority in that tag.
    spoof_check: the card drops frames from other addresses.  trust: it may become promiscuous.
    link_state: auto follows the cable; enable, disable do not.
    minimum_rate_mbit_s, maximum_rate_mbit_s: of what it sends; 0: no limit.
    queues: channels of its interface.
    driver: the one to bind to; "none": no driver; left out: whichever the kernel finds.
    namespace: a name in /run/netns that its interface is moved to.
    up: its interface is set up; left out: if it has one.
    """

    mac: Mac | None = None
    vlan: Annotated[int, Meta(ge=0, le=4094)] | None = None
    qos: Annotated[int, Meta(ge=0, le=7)] | None = None
    vlan_protocol: Literal["802.1Q", "802.1ad"] | None = None
    spoof_check: bool | None = None
    trust: bool | None = None
    link_state: Literal["auto", "enable", "disable"] | None = None
    minimum_rate_mbit_s: Rate | None = None
    maximum_rate_mbit_s: Rate | None = None
    queues: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    driver: Name | None = None
    namespace: Name | None = None
    up: bool | None = None

    def given(self) -> dict[str, Any]:
        """What is not left out."""
        pairs = ((name, getattr(self, name)) for name in Settings.__struct_fields__)
        return {name: value for name, value in pairs if value is not None}


class VirtualFunction(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the virtual function with this index, over the defaults."""

    index: Annotated[int, Meta(ge=0, le=65_535)]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wanted.

    physical_function: its interface, or its PCI address.
    number: of virtual functions.  replace: where there are others, remove them first.
    queues: channels of the physical function's interface.
    carrier_timeout_s: how long to wait for carrier; 0: not at all.  require_carrier: without one the request fails.
    """

    physical_function: Name
    number: Annotated[int, Meta(ge=0, le=65_535)]
    queues: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    replace: bool = False
    carrier_timeout_s: Annotated[float, Meta(ge=0, le=3600)] = 20.0
    require_carrier: bool = False
    defaults: Settings = Settings()
    virtual_function: tuple[VirtualFunction, ...] = ()

    def settings(self, index: int) -> Settings:
        """Those of one virtual function, the defaults' where it has none of its own."""
        own = next((each for each in self.virtual_function if each.index == index), None)
        return Settings(**{**self.defaults.given(), **(own.given() if own else {})})

    def __post_init__(self) -> None:
        for place, each in enumerate(self.virtual_function):
            key = f"virtual_function[{place}].index"
            if each.index >= self.number:
                _refuse(key, f"{each.index} is not below number = {self.number}")
            if any(each.index == other.index for other in self.virtual_function[:place]):
                _refuse(key, f"virtual function {each.index} is given twice")
        if self.defaults.mac is not None and self.number > 1:
            _refuse("defaults.mac", "several virtual functions cannot have one address")
        _check(self.defaults, "defaults", alone=False)
        for place, each in enumerate(self.virtual_function):
            _check(self.settings(each.index), f"virtual_function[{place}]")
        self._check_addresses()

    def _check_addresses(self) -> None:
        owners: dict[str, int] = {}
        for place, each in enumerate(self.virtual_function):
            if each.mac is not None and owners.setdefault(each.mac.lower(), each.index) != each.index:
                other = owners[each.mac.lower()]
                _refuse(f"virtual_function[{place}].mac", f"{each.mac} is virtual function {other}'s already")


def _check(settings: Settings, place: str, *, alone: bool = True) -> None:
    """What a field's own kind cannot say.  alone: all that holds for the virtual function is in these settings."""
    if settings.mac is not None:
        if int(settings.mac[:2], 16) & 1:
            _refuse(f"{place}.mac", f"{settings.mac} is a multicast address")
        if settings.mac == NO_ADDRESS:
            _refuse(f"{place}.mac", "this is no address; leave the key out for the card's own choice")
    if alone:
        for name in ("qos", "vlan_protocol"):
            if getattr(settings, name) not in (None, 0) and not settings.vlan:
                _refuse(f"{place}.{name}", "needs a vlan")
    low, high = settings.minimum_rate_mbit_s, settings.maximum_rate_mbit_s
    if low and high and low > high:
        _refuse(f"{place}.minimum_rate_mbit_s", f"{low} is over maximum_rate_mbit_s = {high}")
    if settings.driver == NO_DRIVER:
        for name in ("queues", "namespace", "up"):
            if getattr(settings, name) not in (None, False):
                _refuse(f"{place}.{name}", 'a virtual function with driver = "none" has no interface')


def _refuse(key: str, reason: str) -> None:
    raise SriovRequestError(f"{key}: {reason}")


def read_toml(source: str | Path) -> dict[str, Any]:
    """A TOML file as it is, unchecked.  Raises SriovRequestError, OSError."""
    path = Path(source)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SriovRequestError(f"{path} is not a TOML file: {error}") from error


def request_from_toml(source: str | Path) -> Request:
    """Read a request.  Raises SriovRequestError, OSError."""
    return request_from_dict(read_toml(source), source=source)


def request_from_dict(content: dict[str, Any], *, strict: bool = True, source: str | Path | None = None) -> Request:
    """Check a request.  Raises SriovRequestError.

    strict=False takes numbers and truth values as text too.  source: where it comes from, for error messages.
    """
    begin = "" if source is None else f"{source}: "
    try:
        return msgspec.convert(content, Request, strict=strict)
    except SriovRequestError as error:
        raise SriovRequestError(f"{begin}{error}") from None
    except msgspec.ValidationError as error:
        cause = error.__cause__
        reason = str(cause) if isinstance(cause, SriovRequestError) else _sentence(str(error))
        raise SriovRequestError(f"{begin}{reason}") from None


def _sentence(message: str) -> str:
    """msgspec's message with the key before it, and a near one where the key is not known."""
    reason, _, path = message.replace(" | null", "").partition(" - at `$")
    key = path.rstrip("`").lstrip(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", reason)
    if unknown:
        kind = VirtualFunction if key.startswith("virtual_function") else Settings if key else Request
        near = get_close_matches(unknown[1], kind.__struct_fields__, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(kind.__struct_fields__)}"
        return f"{f'{key}.' if key else ''}{unknown[1]}: there is no such key{hint}"
    missing = re.fullmatch(r"Object missing required field `(.*)`", reason)
    if missing:
        return f"{f'{key}.' if key else ''}{missing[1]}: is needed"
    if "matching regex" in reason:
        what = "six octets in hexadecimal, as in 02:00:00:00:00:10" if key.endswith("mac") else "a name"
        return f"{key}: must be {what}"
    return f"{key}: {reason[:1].lower()}{reason[1:]}" if key else reason[:1].lower() + reason[1:]
