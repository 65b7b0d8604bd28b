//! netmap: the rings of a port, over the kernel's module or the simulated one.
use std::os::fd::AsRawFd;
use std::time::Duration;

use netmap_io_netmap::device::{CharacterDevice, Opener};
use netmap_io_netmap::forward::{forward, shares_memory};
use netmap_io_netmap::port::{Options, Outcome, PortKind, Wish, open};
use netmap_io_netmap::{Mode, Receiver, Transmitter, flag};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::buffer::{Columns, batch_to_python};
use crate::netmap_device::SimulatedOpener;
use crate::netmap_simulation::NetmapSimulation;
use crate::rings::{Half, RingMemory, raise, slots_to_python};

/// The rings of a netmap port.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct NetmapRings {
    receiver: Half<Receiver>,
    transmitter: Half<Transmitter>,
    outcome: Outcome,
}

fn mode(name: &str, ring: u16) -> PyResult<Mode> {
    Ok(match name {
        "hardware" => Mode::Hardware,
        "host" => Mode::Host,
        "hardware_and_host" => Mode::HardwareAndHost,
        "one_hardware" => Mode::OneHardware(ring),
        "one_host" => Mode::OneHost(ring),
        _ => return Err(PyValueError::new_err("mode")),
    })
}

fn flags(names: &[String]) -> PyResult<u64> {
    let number = |name: &String| match name.as_str() {
        "exclusive" => Ok(flag::EXCLUSIVE),
        "receive_only" => Ok(flag::RECEIVE_ONLY),
        "transmit_only" => Ok(flag::TRANSMIT_ONLY),
        "monitor_sent" => Ok(flag::MONITOR_SENT),
        "monitor_received" => Ok(flag::MONITOR_RECEIVED),
        "monitor_zero_copy" => Ok(flag::MONITOR_ZERO_COPY),
        _ => Err(PyValueError::new_err("flags")),
    };
    names.iter().try_fold(0, |all, name| Ok(all | number(name)?))
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(Duration::MAX)
}

#[pymethods]
impl NetmapRings {
    /// `device` is the path of the module's device, or a simulated one.
    #[new]
    #[allow(clippy::too_many_arguments)] // the options, from keyword arguments of the Python face
    fn new(
        py: Python<'_>,
        name: &str,
        device: &Bound<'_, PyAny>,
        modes: Vec<(String, u16)>,
        flag_names: Vec<String>,
        slots: (u32, u32),
        rings: (u16, u16),
        memory_id: u16,
        extra_buffers: u32,
        timestamps: bool,
        send_ring: usize,
    ) -> PyResult<Self> {
        let modes = modes.iter().map(|(name, ring)| mode(name, *ring)).collect::<PyResult<_>>()?;
        let wish = Wish { flags: flags(&flag_names)?, slots, rings, memory_id, extra_buffers };
        let options = Options { modes, wish, timestamps, send_ring };
        let opener: Box<dyn Opener> = match device.cast::<NetmapSimulation>() {
            Ok(simulated) => Box::new(SimulatedOpener(simulated.get().simulation())),
            Err(_) => Box::new(CharacterDevice { path: device.extract()? }),
        };
        let opened = py.detach(|| open(opener.as_ref(), name, &options));
        let (receiver, transmitter, outcome) = opened.map_err(|error| raise(py, &error))?;
        Ok(Self { receiver: Half::new(receiver), transmitter: Half::new(transmitter), outcome })
    }

    /// (Ethernet address, MTU) of the network device as they were when the port was opened; None for a pipe or a switch.
    fn interface(&self) -> Option<([u8; 6], usize)> {
        self.outcome.interface.as_ref().map(|interface| (interface.mac, interface.mtu))
    }

    fn outcome<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        let kind = match self.outcome.kind {
            PortKind::Network => "network device",
            PortKind::Vale => "VALE port",
            PortKind::Pipe => "pipe",
        };
        all.set_item("kind", kind)?;
        all.set_item("longest", self.outcome.longest)?;
        all.set_item("buffer_octets", self.outcome.buffer_octets)?;
        all.set_item("transmit_slots", &self.outcome.transmit_slots)?;
        all.set_item("receive_slots", &self.outcome.receive_slots)?;
        all.set_item("memory_id", self.outcome.memory_id)?;
        all.set_item("extra_buffers", self.outcome.extra_buffers)?;
        all.set_item("sends", self.transmitter.with(py, |transmitter| transmitter.sends())?)?;
        Ok(all)
    }

    fn memory(&self, py: Python<'_>) -> PyResult<RingMemory> {
        self.receiver.with(py, |receiver| RingMemory::of(receiver.memory()))
    }

    /// What polls readable when there are frames, or news of the network device.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        let descriptor = self.receiver.with(py, |receiver| receiver.descriptor().map(|one| one.as_raw_fd()))?;
        descriptor.map_err(|error| raise(py, &error))
    }

    /// Wait for frames, at first turning round for `busy_s`: (there may be some, look at rings and device)
    fn wait(&self, py: Python<'_>, timeout_s: f64, busy_s: f64) -> PyResult<(bool, bool)> {
        let (timeout, busy) = (seconds(timeout_s), seconds(busy_s));
        let wake = self.receiver.with(py, |receiver| receiver.wait(timeout, busy))?;
        wake.map(|wake| (wake.frames, wake.look)).map_err(|error| raise(py, &error))
    }

    fn receive<'py>(&self, py: Python<'py>, max_frames: usize) -> PyResult<Bound<'py, PyTuple>> {
        let batch = self.receiver.with(py, |receiver| receiver.receive(max_frames))?;
        batch_to_python(py, batch.map_err(|error| raise(py, &error))?)
    }

    fn lend<'py>(&self, py: Python<'py>, max_frames: usize) -> PyResult<Bound<'py, PyTuple>> {
        let slots = self.receiver.with(py, |receiver| receiver.lend(max_frames))?;
        slots_to_python(py, &slots.map_err(|error| raise(py, &error))?)
    }

    /// Whether the last `lend` stopped before a frame in several slots, which `receive` puts together.
    fn fragmented(&self, py: Python<'_>) -> PyResult<bool> {
        self.receiver.with(py, |receiver| receiver.fragmented())
    }

    fn take_back(&self, py: Python<'_>) -> PyResult<()> {
        self.receiver.with(py, Receiver::take_back)
    }

    fn send(&self, py: Python<'_>, columns: Columns<'_>) -> PyResult<usize> {
        let frames = columns.frames()?;
        let sent = self.transmitter.with(py, |transmitter| transmitter.send(&frames))?;
        sent.map_err(|error| raise(py, &error))
    }

    /// Whether there is a free slot to send with, waiting for one at most `timeout_s`; false also at other news.
    fn wait_for_room(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = seconds(timeout_s);
        let room = self.transmitter.with(py, |transmitter| transmitter.wait_for_room(timeout))?;
        room.map_err(|error| raise(py, &error))
    }

    /// Let the kernel look at what is in the ring.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.transmitter.with(py, Transmitter::flush)?.map_err(|error| raise(py, &error))
    }

    /// Whether `forward` to `target` swaps buffers.
    fn shares_memory(&self, py: Python<'_>, target: &Bound<'_, Self>) -> PyResult<bool> {
        Half::with_both(py, &self.receiver, &target.get().transmitter, |from, to| shares_memory(from, to))
    }

    /// (frames, octets, frames that the target does not take by their length, their octets, whether the target is full)
    fn forward(
        &self,
        py: Python<'_>,
        target: &Bound<'_, Self>,
        max_frames: usize,
    ) -> PyResult<(u64, u64, u64, u64, bool)> {
        let done =
            Half::with_both(py, &self.receiver, &target.get().transmitter, |from, to| forward(from, to, max_frames))?;
        let done = done.map_err(|error| raise(py, &error))?;
        Ok((done.frames, done.octets, done.dropped - done.damaged, done.dropped_octets, done.full))
    }

    /// Raise where the network device is down or gone.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.receiver.with(py, |receiver| receiver.check())?.map_err(|error| raise(py, &error))
    }

    fn account<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (received, mut trouble) = self.receiver.with(py, |receiver| (receiver.account(), receiver.trouble()))?;
        let (sent, waiting, other) = self
            .transmitter
            .with(py, |transmitter| (transmitter.account(), transmitter.waiting(), transmitter.trouble()))?;
        trouble += other;
        let all = PyDict::new(py);
        for (name, value) in [
            ("damaged_frames", received.damaged_frames),
            ("endless_frames", received.endless_frames),
            ("waiting_in_ring", u64::from(waiting)),
            ("buffers_replaced", sent.buffers_replaced),
            ("words_changed", trouble.words_changed),
            ("wrong_tails", trouble.wrong_tails),
            ("positions_lost", trouble.positions_lost),
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
