//! The numbers of the interface, API 14, 64-bit little-endian user space.
#![allow(dead_code)] // a table is whole, whatever of it is used

/// `ioctl` requests.
pub(crate) mod call {
    pub(crate) const CONTROL: u64 = 0xC058_6997;
    pub(crate) const TX_SYNC: u64 = 0x6994;
    pub(crate) const RX_SYNC: u64 = 0x6995;
    pub(crate) const LEGACY_REGISTER: u64 = 0xC03C_6992;
    pub(crate) const LEGACY_INFO: u64 = 0xC03C_6991;
}

/// Versions that the control request takes; the legacy calls take any from `OLDEST` on.
pub(crate) const OLDEST_VERSION: u32 = 14;
pub(crate) const NEWEST_VERSION: u32 = 15;

/// Request header.
pub(crate) mod header {
    pub(crate) const OCTETS: usize = 88;
    pub(crate) const VERSION: usize = 0;
    pub(crate) const TYPE: usize = 2;
    pub(crate) const RESERVED: usize = 4;
    pub(crate) const NAME: usize = 8;
    pub(crate) const OPTIONS: usize = 72;
    pub(crate) const BODY: usize = 80;
}

pub(crate) const NAME_OCTETS: usize = 64;
/// Octets of a network device's name and of ni_name, terminator included.
pub(crate) const DEVICE_NAME_OCTETS: usize = 16;

/// A request with its options is no longer than this.
pub(crate) const REQUEST_OCTETS_MAX: usize = 4096;

/// Request types.
pub(crate) mod request {
    pub(crate) const REGISTER: u16 = 1;
    pub(crate) const PORT_INFO_GET: u16 = 2;
    pub(crate) const VALE_ATTACH: u16 = 3;
    pub(crate) const VALE_DETACH: u16 = 4;
    pub(crate) const VALE_LIST: u16 = 5;
    pub(crate) const PORT_HDR_SET: u16 = 6;
    pub(crate) const PORT_HDR_GET: u16 = 7;
    pub(crate) const VALE_NEWIF: u16 = 8;
    pub(crate) const VALE_DELIF: u16 = 9;
    pub(crate) const VALE_POLLING_ENABLE: u16 = 10;
    pub(crate) const VALE_POLLING_DISABLE: u16 = 11;
    pub(crate) const POOLS_INFO_GET: u16 = 12;
    pub(crate) const SYNC_KLOOP_START: u16 = 13;
    pub(crate) const SYNC_KLOOP_STOP: u16 = 14;
    pub(crate) const CSB_ENABLE: u16 = 15;
}

/// Body of REGISTER.
pub(crate) mod register {
    pub(crate) const OCTETS: usize = 56;
    pub(crate) const OFFSET: usize = 0;
    pub(crate) const MEMSIZE: usize = 8;
    pub(crate) const TX_SLOTS: usize = 16;
    pub(crate) const RX_SLOTS: usize = 20;
    pub(crate) const TX_RINGS: usize = 24;
    pub(crate) const RX_RINGS: usize = 26;
    pub(crate) const HOST_TX_RINGS: usize = 28;
    pub(crate) const HOST_RX_RINGS: usize = 30;
    pub(crate) const MEM_ID: usize = 32;
    pub(crate) const RING_ID: usize = 34;
    pub(crate) const MODE: usize = 36;
    pub(crate) const EXTRA_BUFS: usize = 40;
    pub(crate) const FLAGS: usize = 48;
}

/// Register modes.
pub(crate) mod mode {
    pub(crate) const DEFAULT: u32 = 0;
    pub(crate) const ALL_NIC: u32 = 1;
    pub(crate) const SW: u32 = 2;
    pub(crate) const NIC_SW: u32 = 3;
    pub(crate) const ONE_NIC: u32 = 4;
    pub(crate) const PIPE_MASTER: u32 = 5;
    pub(crate) const PIPE_SLAVE: u32 = 6;
    pub(crate) const NULL: u32 = 7;
    pub(crate) const ONE_SW: u32 = 8;
}

/// Register flags.
pub(crate) mod register_flag {
    pub(crate) const MONITOR_TX: u64 = 0x100;
    pub(crate) const MONITOR_RX: u64 = 0x200;
    pub(crate) const ZERO_COPY_MONITOR: u64 = 0x400;
    pub(crate) const EXCLUSIVE: u64 = 0x800;
    pub(crate) const RX_RINGS_ONLY: u64 = 0x2000;
    pub(crate) const TX_RINGS_ONLY: u64 = 0x4000;
    pub(crate) const ACCEPT_HEADER: u64 = 0x8000;
    pub(crate) const DO_RX_POLL: u64 = 0x10000;
    pub(crate) const NO_TX_POLL: u64 = 0x20000;
}

/// Interface record.
pub(crate) mod record {
    pub(crate) const NAME: u64 = 0;
    pub(crate) const FLAGS: u64 = 20;
    pub(crate) const TX_RINGS: u64 = 24;
    pub(crate) const RX_RINGS: u64 = 28;
    pub(crate) const BUFS_HEAD: u64 = 32;
    pub(crate) const HOST_TX_RINGS: u64 = 36;
    pub(crate) const HOST_RX_RINGS: u64 = 40;
    pub(crate) const RING_OFFSETS: u64 = 56;
    pub(crate) const PRIVATE_MEMORY: u32 = 1;
}

/// Ring header.
pub(crate) mod ring {
    pub(crate) const BUF_OFS: u64 = 0;
    pub(crate) const NUM_SLOTS: u64 = 8;
    pub(crate) const BUF_SIZE: u64 = 12;
    pub(crate) const RING_ID_AND_DIRECTION: u64 = 16;
    pub(crate) const HEAD: u64 = 20;
    pub(crate) const CUR: u64 = 24;
    pub(crate) const TAIL: u64 = 28;
    pub(crate) const FLAGS: u64 = 32;
    pub(crate) const SECONDS: u64 = 40;
    pub(crate) const MICROSECONDS: u64 = 48;
    pub(crate) const OFFSET_MASK: u64 = 56;
    pub(crate) const SLOTS: u64 = 256;
    pub(crate) const SLOT_OCTETS: u64 = 16;
    /// What `dir` holds: the interface's own comment says the opposite.
    pub(crate) const DIRECTION_TX: u32 = 1;
    pub(crate) const DIRECTION_RX: u32 = 0;
}

/// Slot flags.
pub(crate) mod slot_flag {
    pub(crate) const BUF_CHANGED: u16 = 0x0001;
    pub(crate) const REPORT: u16 = 0x0002;
    pub(crate) const INDIRECT: u16 = 0x0010;
    pub(crate) const MORE_FRAGMENTS: u16 = 0x0020;
    pub(crate) const TX_MONITOR: u16 = 0x0040;
}

/// Options.
pub(crate) mod option {
    pub(crate) const HEAD_OCTETS: usize = 24;
    pub(crate) const NEXT: usize = 0;
    pub(crate) const TYPE: usize = 8;
    pub(crate) const STATUS: usize = 12;
    pub(crate) const SIZE: usize = 16;
    pub(crate) const EXTMEM: u32 = 1;
    pub(crate) const KLOOP_EVENTFDS: u32 = 2;
    pub(crate) const CSB: u32 = 3;
    pub(crate) const KLOOP_MODE: u32 = 4;
    pub(crate) const OFFSETS: u32 = 5;
    pub(crate) const EXTMEM_OCTETS: usize = 96;
    pub(crate) const CSB_OCTETS: usize = 40;
    pub(crate) const KLOOP_MODE_OCTETS: usize = 32;
    pub(crate) const OFFSETS_OCTETS: usize = 56;
}

/// Legacy request.
pub(crate) mod legacy {
    pub(crate) const OCTETS: usize = 60;
    pub(crate) const NAME: usize = 0;
    pub(crate) const VERSION: usize = 16;
    pub(crate) const OFFSET: usize = 20;
    pub(crate) const MEMSIZE: usize = 24;
    pub(crate) const TX_SLOTS: usize = 28;
    pub(crate) const RX_SLOTS: usize = 32;
    pub(crate) const TX_RINGS: usize = 36;
    pub(crate) const RX_RINGS: usize = 38;
    pub(crate) const RING_ID: usize = 40;
    pub(crate) const COMMAND: usize = 42;
    pub(crate) const ARGUMENT_1: usize = 44;
    pub(crate) const ARGUMENT_2: usize = 46;
    pub(crate) const ARGUMENT_3: usize = 48;
    pub(crate) const FLAGS: usize = 52;
    pub(crate) const RING_ID_NIC: u16 = 0x4000;
    pub(crate) const RING_ID_HOST: u16 = 0x2000;
    pub(crate) const RING_ID_NO_TX_POLL: u16 = 0x1000;
    pub(crate) const RING_ID_DO_RX_POLL: u16 = 0x8000;
    pub(crate) const RING_ID_MASK: u16 = 0x0fff;
    pub(crate) const MODE_MASK: u32 = 0xf;
    /// Commands: to register, and two that the module knows and no longer does.
    pub(crate) const REGISTER: u16 = 0;
    pub(crate) const HOST_PASS_THROUGH_BEGIN: u16 = 8;
    pub(crate) const HOST_PASS_THROUGH_END: u16 = 9;
}

/// Sizes of memory and limits of ports.
pub(crate) mod limit {
    pub(crate) const PAGE: u64 = 4096;
    pub(crate) const BUFFER_OCTETS: u32 = 2048;
    pub(crate) const INTERFACE_OCTETS: u32 = 1024;
    pub(crate) const SLOTS: u32 = 4096;
    pub(crate) const RINGS: u32 = 16;
    pub(crate) const DEFAULT_SLOTS: u32 = 1024;
    pub(crate) const EXTRA_BUFS: u32 = 524_288;
    /// Indexes below are never handed out.
    pub(crate) const FIRST_BUFFER: u32 = 2;
    pub(crate) const SWITCHES: usize = 8;
    pub(crate) const SHORTEST_FRAME: u32 = 14;
    pub(crate) const LINK_HEADER: u32 = 14;
    /// Linux's devices let so much more pass, tag or not.
    pub(crate) const VLAN_TAG: u32 = 4;
    pub(crate) const MTU: u32 = 2048;
    pub(crate) const OFFSET: u64 = 2047;
    pub(crate) const SYSTEM_MEMORY_ID: u16 = 1;
}
