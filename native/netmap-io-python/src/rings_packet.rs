//! AF_PACKET.
use std::os::fd::AsRawFd;

use netmap_io_rings::packet::receiver::{Options, Receiver};
use netmap_io_rings::packet::transmitter::Transmitter;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::buffer::{Columns, batch_to_python};
use crate::rings::{Half, RingMemory, raise, slots_to_python};

/// The rings of a packet port: one socket receives, another sends.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct PacketRings {
    receiver: Half<Receiver>,
    transmitter: Half<Transmitter>,
}

#[pymethods]
impl PacketRings {
    #[new]
    #[allow(clippy::too_many_arguments)] // the options, from keyword arguments of the Python face
    fn new(
        py: Python<'_>,
        interface: &str,
        block_octets: u32,
        blocks: u32,
        block_timeout_ms: u32,
        fanout: Option<(u16, u16)>,
        promiscuous: bool,
        hardware_timestamps: bool,
        transmit_ring: usize,
        bypass_queueing: bool,
    ) -> PyResult<Self> {
        let options = Options { block_octets, blocks, block_timeout_ms, fanout, promiscuous, hardware_timestamps };
        let opened = py.detach(|| {
            let receiver = Receiver::open(interface, &options)?;
            let transmitter = Transmitter::open(interface, transmit_ring, bypass_queueing)?;
            Ok((receiver, transmitter))
        });
        let (receiver, transmitter) = opened.map_err(|error| raise(py, &error))?;
        Ok(Self { receiver: Half::new(receiver), transmitter: Half::new(transmitter) })
    }

    /// (Ethernet address, MTU) as they were when the port was opened.
    fn interface(&self, py: Python<'_>) -> PyResult<([u8; 6], usize)> {
        self.receiver.with(py, |receiver| (receiver.interface().mac, receiver.interface().mtu))
    }

    fn memory(&self, py: Python<'_>) -> PyResult<RingMemory> {
        self.receiver.with(py, |receiver| RingMemory::of(receiver.memory()))
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.receiver.with(py, |receiver| receiver.descriptor().as_raw_fd())
    }

    fn receive<'py>(&self, py: Python<'py>, max_frames: usize) -> PyResult<Bound<'py, PyTuple>> {
        let batch = self.receiver.with(py, |receiver| receiver.receive(max_frames))?;
        batch_to_python(py, batch)
    }

    fn lend<'py>(&self, py: Python<'py>, max_frames: usize) -> PyResult<Bound<'py, PyTuple>> {
        let slots = self.receiver.with(py, |receiver| receiver.lend(max_frames))?;
        slots_to_python(py, &slots)
    }

    fn take_back(&self, py: Python<'_>) -> PyResult<()> {
        self.receiver.with(py, Receiver::take_back)
    }

    fn send(&self, py: Python<'_>, columns: Columns<'_>) -> PyResult<usize> {
        let frames = columns.frames()?;
        let sent = self.transmitter.with(py, |transmitter| transmitter.send(&frames))?;
        sent.map_err(|error| raise(py, &error))
    }

    /// Nothing is left to do: `send` keeps nothing back.
    #[expect(clippy::unused_self, reason = "the same face as the other rings")]
    fn flush(&self) {}

    /// Raise what waits on the receiving socket, and where the interface is down or gone.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.receiver.with(py, |receiver| receiver.take_error().and_then(|()| receiver.check_up()))?;
        state.map_err(|error| raise(py, &error))
    }

    fn account<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (counted, drops) = self.receiver.with(py, |receiver| (*receiver.account(), receiver.kernel_drops()))?;
        let all = PyDict::new(py);
        for (name, value) in [
            ("checksums_finished", counted.checksums_finished),
            ("checksums_unfinished", counted.checksums_unfinished),
            ("vlan_tags_restored", counted.vlan_tags_restored),
            ("frames_over_mtu", counted.frames_over_mtu),
            ("frames_cut", counted.frames_cut),
            ("damaged_slots", counted.damaged_slots),
            ("dropped_by_kernel", drops),
        ] {
            all.set_item(name, value)?;
        }
        Ok(all)
    }

    fn close(&self, py: Python<'_>) {
        self.receiver.close(py);
        self.transmitter.close(py);
    }
}
