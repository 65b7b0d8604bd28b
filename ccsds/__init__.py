"""CCSDS space link protocols.  Names load when they are first used, so that `import ccsds` costs nothing."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # what type checkers take for true; `typing` itself would be most of the import's time
__version__ = "0.1.0"

_HOME = {
    "CcsdsError": "ccsds.errors",
    "ConfigurationError": "ccsds.errors",
    "DecodeError": "ccsds.errors",
    "EncodeError": "ccsds.errors",
    "FieldError": "ccsds.errors",
    "IntegrityError": "ccsds.errors",
    "ProtocolError": "ccsds.errors",
    "TruncatedError": "ccsds.errors",
    "Field": "ccsds.layout",
    "Layout": "ccsds.layout",
    "PacketType": "ccsds.packets.space_packet",
    "SequenceFlags": "ccsds.packets.space_packet",
    "SpacePacket": "ccsds.packets.space_packet",
    "EncapsulationPacket": "ccsds.packets.encapsulation_packet",
    "InternetProtocolExtension": "ccsds.packets.ip_over_ccsds",
    "PusTelecommand": "ccsds.packets.pus",
    "PusTelemetry": "ccsds.packets.pus",
    "CdsTime": "ccsds.packets.time_codes",
    "CucTime": "ccsds.packets.time_codes",
    "AsciiTime": "ccsds.packets.time_codes_calendar",
    "AsciiTimeSubset": "ccsds.packets.time_codes_subset",
    "CcsTime": "ccsds.packets.time_codes_calendar",
    "DayTime": "ccsds.packets.time_codes_scale",
    "LeapSeconds": "ccsds.packets.time_codes_scale",
    "TmTransferFrame": "ccsds.frames.tm",
    "AosTransferFrame": "ccsds.frames.aos",
    "TcTransferFrame": "ccsds.frames.tc",
    "UslpTransferFrame": "ccsds.frames.uslp",
    "UslpTransferFrameDataField": "ccsds.frames.uslp_data_field",
    "Clcw": "ccsds.frames.operational_control_field",
    "ReedSolomonCode": "ccsds.coding.reed_solomon",
    "Cltu": "ccsds.coding.cltu_unit",
    "CltuEncoder": "ccsds.coding.cltu",
    "CltuDecoder": "ccsds.coding.cltu_decoder",
    "FrameDelimiter": "ccsds.procedures.frame_delimiting",
    "PhysicalLayerOperations": "ccsds.procedures.plop",
    "CommandCoding": "ccsds.link.command_coding",
    "CommandSession": "ccsds.link.commanding",
    "MasterChannel": "ccsds.link.managed_parameters",
    "Mission": "ccsds.link.managed_parameters",
    "PhysicalChannel": "ccsds.link.managed_parameters",
    "VirtualChannel": "ccsds.link.managed_parameters",
    "load_mission": "ccsds.link.missions",
    "mission_names": "ccsds.link.missions",
    "Account": "ccsds.link.account",
    "FrameBatch": "ccsds.link.frame_batch",
    "PacketBatch": "ccsds.link.packet_batch",
    "UnitBatch": "ccsds.link.unit_batch",
    "space_packets": "ccsds.link.packet_batch",
    "Batch": "ccsds.link.receiver",
    "Receiver": "ccsds.link.receiver",
    "Reception": "ccsds.link.receiver",
    "receive": "ccsds.link.receiver",
    "ChannelEvent": "ccsds.link.sender",
    "QueueFullError": "ccsds.link.sender",
    "Sender": "ccsds.link.sender",
    "SentFrame": "ccsds.link.sender",
    "UnitNotification": "ccsds.link.sender",
}

__all__ = [
    "Account",
    "AosTransferFrame",
    "AsciiTime",
    "AsciiTimeSubset",
    "Batch",
    "CcsTime",
    "CcsdsError",
    "CdsTime",
    "ChannelEvent",
    "Clcw",
    "Cltu",
    "CltuDecoder",
    "CltuEncoder",
    "CommandCoding",
    "CommandSession",
    "ConfigurationError",
    "CucTime",
    "DayTime",
    "DecodeError",
    "EncapsulationPacket",
    "EncodeError",
    "Field",
    "FieldError",
    "FrameBatch",
    "FrameDelimiter",
    "IntegrityError",
    "InternetProtocolExtension",
    "Layout",
    "LeapSeconds",
    "MasterChannel",
    "Mission",
    "PacketBatch",
    "PacketType",
    "PhysicalChannel",
    "PhysicalLayerOperations",
    "ProtocolError",
    "PusTelecommand",
    "PusTelemetry",
    "QueueFullError",
    "Receiver",
    "Reception",
    "ReedSolomonCode",
    "Sender",
    "SentFrame",
    "SequenceFlags",
    "SpacePacket",
    "TcTransferFrame",
    "TmTransferFrame",
    "TruncatedError",
    "UnitBatch",
    "UnitNotification",
    "UslpTransferFrame",
    "UslpTransferFrameDataField",
    "VirtualChannel",
    "__version__",
    "load_mission",
    "mission_names",
    "receive",
    "space_packets",
]

if TYPE_CHECKING:
    from ccsds.coding.cltu import CltuEncoder
    from ccsds.coding.cltu_decoder import CltuDecoder
    from ccsds.coding.cltu_unit import Cltu
    from ccsds.coding.reed_solomon import ReedSolomonCode
    from ccsds.errors import (
        CcsdsError,
        ConfigurationError,
        DecodeError,
        EncodeError,
        FieldError,
        IntegrityError,
        ProtocolError,
        TruncatedError,
    )
    from ccsds.frames.aos import AosTransferFrame
    from ccsds.frames.operational_control_field import Clcw
    from ccsds.frames.tc import TcTransferFrame
    from ccsds.frames.tm import TmTransferFrame
    from ccsds.frames.uslp import UslpTransferFrame
    from ccsds.frames.uslp_data_field import UslpTransferFrameDataField
    from ccsds.layout import Field, Layout
    from ccsds.link.account import Account
    from ccsds.link.command_coding import CommandCoding
    from ccsds.link.commanding import CommandSession
    from ccsds.link.frame_batch import FrameBatch
    from ccsds.link.managed_parameters import MasterChannel, Mission, PhysicalChannel, VirtualChannel
    from ccsds.link.missions import load_mission, mission_names
    from ccsds.link.packet_batch import PacketBatch, space_packets
    from ccsds.link.receiver import Batch, Receiver, Reception, receive
    from ccsds.link.sender import ChannelEvent, QueueFullError, Sender, SentFrame, UnitNotification
    from ccsds.link.unit_batch import UnitBatch
    from ccsds.packets.encapsulation_packet import EncapsulationPacket
    from ccsds.packets.ip_over_ccsds import InternetProtocolExtension
    from ccsds.packets.pus import PusTelecommand, PusTelemetry
    from ccsds.packets.space_packet import PacketType, SequenceFlags, SpacePacket
    from ccsds.packets.time_codes import CdsTime, CucTime
    from ccsds.packets.time_codes_calendar import AsciiTime, CcsTime
    from ccsds.packets.time_codes_scale import DayTime, LeapSeconds
    from ccsds.packets.time_codes_subset import AsciiTimeSubset
    from ccsds.procedures.frame_delimiting import FrameDelimiter
    from ccsds.procedures.plop import PhysicalLayerOperations


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'ccsds' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
