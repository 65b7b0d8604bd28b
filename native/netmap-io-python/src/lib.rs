//! `netmap_io._native`: converts, checks shapes and maps errors; the work is in the kernel crates.
mod buffer;
mod capture;
mod netmap_simulation;
mod payload;
mod rings;
mod rings_packet;
mod rings_xdp;
mod sockets;
mod sockets_shared;

use pyo3::prelude::*;

#[pymodule(name = "_native")]
mod native {
    #[pymodule_export]
    use crate::buffer::Column;
    #[pymodule_export]
    use crate::capture::{CaptureReader, CaptureWriter};
    #[pymodule_export]
    use crate::netmap_simulation::{NetmapDescriptor, NetmapOutlet, NetmapSimulation};
    #[pymodule_export]
    use crate::payload::{PayloadExtractor, udp_frames};
    #[pymodule_export]
    use crate::rings::RingMemory;
    #[pymodule_export]
    use crate::rings_packet::PacketRings;
    #[pymodule_export]
    use crate::rings_xdp::XdpRings;
    #[pymodule_export]
    use crate::sockets::{DatagramSocket, Gathered, RecordStream, TapDevice};
    #[pymodule_export]
    use crate::sockets_shared::{SharedOctets, SharedRings};
}
