//! The simulated kernel side of netmap.
use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use netmap_simulation::{CorruptWord, Descriptor, Errno, Interface, Outlet, RingName, Side, Simulation};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::buffer::Column;

/// OSError, or its subclass for the code, with `errno` set.
fn raise(error: Errno) -> PyErr {
    let text = error.to_string();
    PyOSError::new_err((error.0, text.split(" (os error").next().unwrap_or_default().to_owned()))
}

fn seconds(timeout: Option<f64>) -> PyResult<Option<Duration>> {
    let convert =
        |timeout| Duration::try_from_secs_f64(timeout).map_err(|error| PyValueError::new_err(error.to_string()));
    timeout.map(convert).transpose()
}

/// A copy of a descriptor of this process.
#[allow(unsafe_code)]
fn copy_of(file: i32) -> PyResult<OwnedFd> {
    if file < 0 {
        return Err(raise(Errno(BAD_DESCRIPTOR)));
    }
    // SAFETY: it is not negative; whether it is open the system tells when it is copied, which is all that is done.
    let borrowed = unsafe { BorrowedFd::borrow_raw(file) };
    Ok(borrowed.try_clone_to_owned()?)
}

/// EBADF.
const BAD_DESCRIPTOR: i32 = 9;

fn side(host: bool) -> Side {
    if host { Side::Host } else { Side::Wire }
}

/// A simulated kernel: shared memory that processes attach to.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct NetmapSimulation(Simulation);

#[pymethods]
impl NetmapSimulation {
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Self(Simulation::create()?))
    }

    /// Make an empty file on tmpfs one that can be attached to.
    #[staticmethod]
    fn initialise(file: i32) -> PyResult<()> {
        Ok(Simulation::initialise(&copy_of(file)?)?)
    }

    /// The one whose file this is.
    #[staticmethod]
    fn attach(file: i32) -> PyResult<Self> {
        Ok(Self(Simulation::attach(copy_of(file)?)?))
    }

    fn fileno(&self) -> i32 {
        self.0.file().as_raw_fd()
    }

    /// As open("/dev/netmap").
    fn open(&self) -> PyResult<NetmapDescriptor> {
        Ok(NetmapDescriptor(std::sync::RwLock::new(Some(self.0.open().map_err(raise)?))))
    }

    #[pyo3(signature = (name, *, rings = 1, slots = 1024, mtu = 1500, shortest = 0))]
    fn add_interface(&self, name: &str, rings: u32, slots: u32, mtu: u32, shortest: u32) -> PyResult<()> {
        self.0.add_interface(name, Interface { rings, slots, mtu, shortest }).map_err(raise)
    }

    #[pyo3(signature = (near, far, *, host = false))]
    fn connect(&self, near: &str, far: &str, host: bool) -> PyResult<()> {
        self.0.connect(near, side(host), far).map_err(raise)
    }

    #[pyo3(signature = (name, *, host = false))]
    fn outlet(&self, name: &str, host: bool) -> PyResult<NetmapOutlet> {
        Ok(NetmapOutlet(Outlet::plug(&self.0, name, side(host)).map_err(raise)?))
    }

    fn set_up(&self, name: &str, up: bool) -> PyResult<()> {
        self.0.set_up(name, up).map_err(raise)
    }

    fn vanish(&self, name: &str) -> PyResult<()> {
        self.0.vanish(name).map_err(raise)
    }

    fn set_exhausted(&self, memory_id: u16, exhausted: bool) -> PyResult<()> {
        self.0.set_exhausted(memory_id, exhausted).map_err(raise)
    }

    fn set_taken(&self, name: &str, taken: bool) -> PyResult<()> {
        self.0.set_taken(name, taken).map_err(raise)
    }

    fn set_mtu(&self, name: &str, mtu: u32) -> PyResult<()> {
        self.0.set_mtu(name, mtu).map_err(raise)
    }

    #[pyo3(signature = (port, *, transmit, number, after_syncs, offset, value))]
    fn corrupt(
        &self,
        port: &str,
        transmit: bool,
        number: usize,
        after_syncs: u32,
        offset: u32,
        value: u32,
    ) -> PyResult<()> {
        let word = CorruptWord { after_syncs, offset, value };
        self.0.corrupt(RingName { port, transmit, number }, word).map_err(raise)
    }

    fn inject(&self, name: &str, frame: &[u8]) -> PyResult<()> {
        self.0.inject(name, frame).map_err(raise)
    }

    fn dropped(&self, name: &str) -> PyResult<(u64, u64)> {
        self.0.dropped(name).map_err(raise)
    }
}

/// An open /dev/netmap of the simulation.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct NetmapDescriptor(std::sync::RwLock<Option<Descriptor>>);

impl NetmapDescriptor {
    fn with<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&Descriptor) -> Result<R, Errno> + Send) -> PyResult<R> {
        py.detach(|| {
            let held = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            held.as_ref().ok_or(Errno(BAD_DESCRIPTOR)).and_then(work)
        })
        .map_err(raise)
    }
}

#[pymethods]
impl NetmapDescriptor {
    /// The file to map, and to hand to other processes.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.with(py, |descriptor| Ok(descriptor.file().as_raw_fd()))
    }

    /// As ioctl(2); `argument` is an address.
    #[pyo3(signature = (request, argument = 0))]
    #[allow(unsafe_code)]
    fn ioctl(&self, py: Python<'_>, request: u64, argument: usize) -> PyResult<i32> {
        // SAFETY: as with ctypes, the caller answers for the addresses; those where nothing is mapped give EFAULT.
        self.with(py, |descriptor| unsafe {
            descriptor.ioctl(request, std::ptr::with_exposed_provenance_mut::<c_void>(argument))
        })
    }

    /// What is to be mapped of the file: offset, octets.
    fn mapping(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        self.with(py, |descriptor| descriptor.mapping().map(|mapping| (mapping.offset, mapping.octets)))
    }

    /// As poll(2) on this descriptor alone; seconds, None for ever.
    #[pyo3(signature = (events, timeout = None))]
    fn poll(&self, py: Python<'_>, events: i16, timeout: Option<f64>) -> PyResult<i16> {
        let timeout = seconds(timeout)?;
        self.with(py, |descriptor| descriptor.poll(events, timeout))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner).take()));
    }
}

/// The outside end of a device's cable.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct NetmapOutlet(Outlet);

#[pymethods]
impl NetmapOutlet {
    /// Frames that the device sent: octets back to back, and u32 lengths.
    #[pyo3(signature = (max_frames, timeout = None))]
    fn receive(&self, py: Python<'_>, max_frames: usize, timeout: Option<f64>) -> PyResult<(Column, Column)> {
        let timeout = seconds(timeout)?;
        let (octets, lengths) = py.detach(|| self.0.receive(max_frames, timeout)).map_err(raise)?;
        let lengths = lengths.into_iter().flat_map(u32::to_ne_bytes).collect();
        Ok((Column::of_octets(octets), Column::of_octets(lengths)))
    }

    /// Let frames arrive at the device; how many there was room for.
    fn send(&self, py: Python<'_>, octets: &[u8], lengths: Vec<u32>) -> PyResult<usize> {
        py.detach(|| self.0.send(octets, &lengths)).map_err(raise)
    }
}
