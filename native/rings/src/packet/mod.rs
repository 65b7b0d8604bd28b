//! AF_PACKET.  Source: the kernel's include/uapi/linux/if_packet.h and Documentation/networking/packet_mmap.rst.
//!
//! `blocks` is the receive ring (TPACKET_V3), `finish` makes whole what the kernel left undone in a frame, `frames` is
//! the transmit ring (TPACKET_V2), `receiver` and `transmitter` are the sockets around them.
pub mod blocks;
pub mod finish;
pub mod frames;
pub mod receiver;
pub mod transmitter;

const SOL_PACKET: i32 = 263;
const PACKET_ADD_MEMBERSHIP: i32 = 1;
const PACKET_RX_RING: i32 = 5;
const PACKET_STATISTICS: i32 = 6;
const PACKET_VERSION: i32 = 10;
const PACKET_TX_RING: i32 = 13;
const PACKET_VNET_HDR: i32 = 15;
const PACKET_TIMESTAMP: i32 = 17;
const PACKET_FANOUT: i32 = 18;
const PACKET_QDISC_BYPASS: i32 = 20;
const PACKET_IGNORE_OUTGOING: i32 = 23;

const TPACKET_V2: u32 = 1;
const TPACKET_V3: u32 = 2;

/// `struct sockaddr_ll`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Address {
    family: u16,
    protocol: u16,
    interface: u32,
    hardware_type: u16,
    packet_type: u8,
    address_octets: u8,
    address: [u8; 8],
}

impl Address {
    fn of(interface: u32, protocol: u16) -> Self {
        Self {
            family: libc::AF_PACKET as u16,
            protocol: protocol.to_be(),
            interface,
            hardware_type: 0,
            packet_type: 0,
            address_octets: 0,
            address: [0; 8],
        }
    }
}
