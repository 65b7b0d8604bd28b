//! AF_XDP.
use std::os::fd::AsRawFd;
use std::time::Duration;

use netmap_io_rings::xdp::port::{Options, Outcome, Receiver, Transmitter, open};
use netmap_io_rings::xdp::program::Hook;
use netmap_io_rings::xdp::socket::{Buffers, Shape};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::buffer::{Columns, batch_to_python};
use crate::rings::{Half, RingMemory, raise, slots_to_python};

/// The rings of an AF_XDP port over one queue or several.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct XdpRings {
    receiver: Half<Receiver>,
    transmitter: Half<Transmitter>,
    outcome: Outcome,
}

#[pymethods]
impl XdpRings {
    #[new]
    #[allow(clippy::too_many_arguments)] // the options, from keyword arguments of the Python face
    fn new(
        py: Python<'_>,
        interface: &str,
        queues: Vec<u32>,
        hook: &str,
        buffers: &str,
        chunk_octets: u32,
        headroom: u32,
        receive_chunks: u32,
        transmit_chunks: u32,
        retry_ms: u64,
    ) -> PyResult<Self> {
        let hook = match hook {
            "auto" => None,
            "driver" => Some(Hook::Driver),
            "generic" => Some(Hook::Generic),
            _ => return Err(PyValueError::new_err("hook")),
        };
        let buffers = match buffers {
            "auto" => Buffers::Auto,
            "zero_copy" => Buffers::ZeroCopy,
            "copy" => Buffers::Copy,
            _ => return Err(PyValueError::new_err("buffers")),
        };
        let shape = Shape { chunk_octets, headroom, receive_chunks, transmit_chunks };
        let options = Options { queues, hook, buffers, shape, retry: Duration::from_millis(retry_ms) };
        let opened = py.detach(|| open(interface, &options));
        let (receiver, transmitter, outcome) = opened.map_err(|error| raise(py, &error))?;
        Ok(Self { receiver: Half::new(receiver), transmitter: Half::new(transmitter), outcome })
    }

    /// (Ethernet address, MTU) as they were when the port was opened.
    fn interface(&self) -> ([u8; 6], usize) {
        (self.outcome.interface.mac, self.outcome.interface.mtu)
    }

    /// (whether the hook is the driver's, why it is not, whether the card moves the frames, octets of a chunk)
    fn outcome(&self) -> (bool, Option<String>, bool, u32) {
        let Outcome { hook, driver_refusal, zero_copy, chunk_octets, .. } = &self.outcome;
        (*hook == Hook::Driver, driver_refusal.clone(), *zero_copy, *chunk_octets)
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

    /// Let the kernel send what it has not looked at.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.transmitter.with(py, Transmitter::flush)?.map_err(|error| raise(py, &error))
    }

    /// Raise where the interface is down or gone.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.receiver.with(py, |receiver| receiver.check())?.map_err(|error| raise(py, &error))
    }

    fn account<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (counted, kernel) = self.receiver.with(py, |receiver| (receiver.account(), receiver.statistics()))?;
        let (waiting, refused, invalid) = self.transmitter.with(py, |transmitter| {
            (transmitter.waiting(), transmitter.device_drops(), transmitter.invalid_completions())
        })?;
        let all = PyDict::new(py);
        for (name, value) in [
            ("invalid_descriptors", counted.invalid_descriptors),
            ("pieces_of_long_frames", counted.pieces_of_long_frames),
            ("inconsistent_counters", counted.inconsistent_counters),
            ("invalid_completions", invalid),
            ("waiting_to_be_sent", u64::from(waiting)),
            ("refused_by_device", refused),
            ("kernel_dropped", kernel.dropped),
            ("kernel_receive_ring_full", kernel.ring_full),
            ("kernel_fill_ring_empty", kernel.fill_empty),
            ("kernel_invalid_receive", kernel.invalid_receive),
            ("kernel_invalid_transmit", kernel.invalid_transmit),
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
