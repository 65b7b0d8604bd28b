//! Numbers and structures of netmap's control interface, API 14.  Integers have the machine's own order.
use std::mem::offset_of;

/// The version that we speak.
pub(crate) const API: u16 = 14;
/// ioctl: a request header.
pub(crate) const CONTROL: u64 = 0xC058_6997;
/// ioctl: look at the transmit rings.
pub(crate) const TRANSMIT_SYNC: u64 = 0x0000_6994;
/// ioctl: look at the receive rings.
pub(crate) const RECEIVE_SYNC: u64 = 0x0000_6995;
/// Octets of a port name, the terminating NUL included.
pub(crate) const NAME_OCTETS: usize = 64;

/// Request types.
pub(crate) const REGISTER: u16 = 1;
pub(crate) const POOLS_INFO_GET: u16 = 12;

/// What a descriptor is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All hardware rings.
    Hardware,
    /// The rings between the device and the host's stack.
    Host,
    /// Both.
    HardwareAndHost,
    /// One pair of hardware rings.
    OneHardware(u16),
    /// One pair of host rings.
    OneHost(u16),
}

impl Mode {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Hardware => 1,
            Self::Host => 2,
            Self::HardwareAndHost => 3,
            Self::OneHardware(_) => 4,
            Self::OneHost(_) => 8,
        }
    }

    pub(crate) fn ring(self) -> u16 {
        match self {
            Self::OneHardware(ring) | Self::OneHost(ring) => ring,
            _ => 0,
        }
    }
}

/// Flags of a registration.
pub mod flag {
    /// See what another descriptor of the port sends.
    pub const MONITOR_SENT: u64 = 0x100;
    /// See what another descriptor of the port receives.
    pub const MONITOR_RECEIVED: u64 = 0x200;
    /// A monitor in the port's own memory region.
    pub const MONITOR_ZERO_COPY: u64 = 0x400;
    /// Nobody else may have the port.
    pub const EXCLUSIVE: u64 = 0x800;
    /// Bind receive rings only.
    pub const RECEIVE_ONLY: u64 = 0x2000;
    /// Bind transmit rings only.
    pub const TRANSMIT_ONLY: u64 = 0x4000;
    /// Waiting for frames does not send.
    pub const NO_TRANSMIT_IN_POLL: u64 = 0x2_0000;
}

/// Slot flags.
pub(crate) const BUFFER_CHANGED: u16 = 0x0001;
pub(crate) const MORE_FRAGMENTS: u16 = 0x0020;
/// Ring flag: stamp at each sync.
pub(crate) const RING_TIMESTAMP: u32 = 0x2;

#[repr(C)]
pub(crate) struct RequestHeader {
    pub(crate) version: u16,
    pub(crate) request: u16,
    pub(crate) reserved: u32,
    pub(crate) name: [u8; NAME_OCTETS],
    pub(crate) options: u64,
    pub(crate) body: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RegisterBody {
    pub(crate) offset: u64,
    pub(crate) memory_octets: u64,
    pub(crate) transmit_slots: u32,
    pub(crate) receive_slots: u32,
    pub(crate) transmit_rings: u16,
    pub(crate) receive_rings: u16,
    pub(crate) host_transmit_rings: u16,
    pub(crate) host_receive_rings: u16,
    pub(crate) memory_id: u16,
    pub(crate) ring: u16,
    pub(crate) mode: u32,
    pub(crate) extra_buffers: u32,
    pub(crate) padding: u32,
    pub(crate) flags: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PoolsInfoBody {
    pub(crate) memory_octets: u64,
    pub(crate) memory_id: u16,
    pub(crate) padding: [u16; 3],
    pub(crate) interface_offset: u64,
    pub(crate) interface_total: u32,
    pub(crate) interface_octets: u32,
    pub(crate) ring_offset: u64,
    pub(crate) ring_total: u32,
    pub(crate) ring_octets: u32,
    pub(crate) buffer_offset: u64,
    pub(crate) buffer_total: u32,
    pub(crate) buffer_octets: u32,
}

const _: () = {
    assert!(size_of::<RequestHeader>() == 88 && offset_of!(RequestHeader, options) == 72);
    assert!(size_of::<RegisterBody>() == 56 && offset_of!(RegisterBody, mode) == 36);
    assert!(offset_of!(RegisterBody, memory_id) == 32 && offset_of!(RegisterBody, flags) == 48);
    assert!(size_of::<PoolsInfoBody>() == 64 && offset_of!(PoolsInfoBody, buffer_total) == 56);
};

/// The interface record, octets from its start.
pub(crate) mod interface {
    pub(crate) const TRANSMIT_RINGS: usize = 24;
    pub(crate) const RECEIVE_RINGS: usize = 28;
    pub(crate) const FIRST_EXTRA_BUFFER: usize = 32;
    pub(crate) const HOST_TRANSMIT_RINGS: usize = 36;
    pub(crate) const HOST_RECEIVE_RINGS: usize = 40;
    pub(crate) const RING_OFFSETS: usize = 56;
}

/// The ring header, octets from its start.
pub(crate) mod ring {
    pub(crate) const BUFFER_OFFSET: usize = 0;
    pub(crate) const SLOTS: usize = 8;
    pub(crate) const BUFFER_OCTETS: usize = 12;
    pub(crate) const HEAD: usize = 20;
    pub(crate) const CUR: usize = 24;
    pub(crate) const TAIL: usize = 28;
    pub(crate) const FLAGS: usize = 32;
    pub(crate) const SECONDS: usize = 40;
    pub(crate) const MICROSECONDS: usize = 48;
    pub(crate) const OFFSET_MASK: usize = 56;
    pub(crate) const HEADER_OCTETS: usize = 256;
    pub(crate) const SLOT_OCTETS: usize = 16;
}
