//! Datagram and stream sockets, and tap devices.
use std::sync::{Mutex, MutexGuard, PoisonError};

use netmap_io_capture::batch::Batch;
use netmap_io_sockets::SystemError;
use netmap_io_sockets::datagrams::{Receiver, Sender, Sent};
use netmap_io_sockets::device::{DeviceReader, write as write_device};
use netmap_io_sockets::records::{Cutter, Framing, Queue};
use netmap_io_sockets::stream::{State, read as read_stream, write as write_stream};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::buffer::{Columns, batch_to_python};

/// Receiving and sending are guarded apart: one thread may receive while another sends.
fn hold<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `OSError(errno)`, which is what `open_port`'s callers map to a sentence.
fn raise(error: SystemError) -> PyErr {
    PyOSError::new_err((error, std::io::Error::from_raw_os_error(error).to_string()))
}

/// (frames taken, frames sent, octets sent)
type SentTuple = (usize, usize, u64);

fn sent_tuple(sent: Sent) -> SentTuple {
    (sent.taken, sent.frames, sent.octets)
}

/// Both halves of a datagram socket.  The descriptor stays the caller's.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct DatagramSocket {
    receiver: Mutex<Receiver>,
    sender: Mutex<Sender>,
}

#[pymethods]
impl DatagramSocket {
    #[new]
    fn new(slots: usize, maximum_frame_octets: usize, joined: bool, joining: bool) -> Self {
        Self {
            receiver: Mutex::new(Receiver::new(slots, maximum_frame_octets, joined)),
            sender: Mutex::new(Sender::new(joining)),
        }
    }

    /// The batch, and whether frames are held that the socket no longer shows.
    fn receive<'py>(
        &self,
        py: Python<'py>,
        descriptor: i32,
        max_frames: usize,
    ) -> PyResult<(Bound<'py, PyTuple>, bool)> {
        let (batch, holds) = py.detach(|| {
            let mut receiver = hold(&self.receiver);
            (receiver.receive(descriptor, max_frames), receiver.holds())
        });
        Ok((batch_to_python(py, batch.map_err(raise)?)?, holds))
    }

    fn send(&self, py: Python<'_>, descriptor: i32, columns: Columns<'_>, destination: Vec<u8>) -> PyResult<SentTuple> {
        let frames = columns.frames()?;
        let sent = py.detach(|| hold(&self.sender).send(descriptor, &frames, &destination));
        sent.map(sent_tuple).map_err(raise)
    }

    /// The address of who sent the last frame, as the system writes it.
    fn last_sender<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let address = py.detach(|| hold(&self.receiver).last_sender().to_vec());
        PyBytes::new(py, &address)
    }

    fn account<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (inward, outward) = py.detach(|| (hold(&self.receiver).account(), hold(&self.sender).account()));
        let all = PyDict::new(py);
        all.set_item("truncated", inward.truncated)?;
        all.set_item("dropped_by_kernel", inward.dropped_by_kernel)?;
        all.set_item("received_joined", inward.joined)?;
        all.set_item("network_errors", inward.network_errors + outward.network_errors)?;
        all.set_item("sent_joined", outward.joined)?;
        all.set_item("joining_refused", outward.joining_refused)?;
        all.set_item("too_long", outward.too_long)?;
        all.set_item("last_network_error", inward.last_network_error.max(outward.last_network_error))?;
        Ok(all)
    }
}

fn framing(kind: &str, octets: usize, inclusive: bool) -> PyResult<Framing> {
    match (kind, octets) {
        ("stream", _) => Ok(Framing::Stream),
        ("fixed", 1..) => Ok(Framing::Fixed(octets)),
        ("length", 2 | 4) => Ok(Framing::Prefixed { octets, inclusive }),
        _ => Err(PyValueError::new_err("framing")),
    }
}

/// Frames that one `receive` of several connections gathers.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct Gathered(Mutex<Batch>);

#[pymethods]
impl Gathered {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(Batch::with_capacity(0, 0)))
    }

    fn __len__(&self) -> usize {
        hold(&self.0).len()
    }

    /// The batch; nothing is left.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let batch = std::mem::replace(&mut *hold(&self.0), Batch::with_capacity(0, 0));
        batch_to_python(py, batch)
    }
}

/// Both halves of a connection.  The descriptor stays the caller's.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct RecordStream {
    cutter: Mutex<Cutter>,
    queue: Mutex<Queue>,
}

/// ("open" | "ended" | "refused" | "lost", errno or 0)
fn state_tuple(state: State) -> (&'static str, SystemError) {
    match state {
        State::Open => ("open", 0),
        State::Ended => ("ended", 0),
        State::Refused => ("refused", 0),
        State::Lost(error) => ("lost", error),
    }
}

#[pymethods]
impl RecordStream {
    #[new]
    fn new(kind: &str, octets: usize, inclusive: bool, maximum: usize, limit: usize) -> PyResult<Self> {
        let framing = framing(kind, octets, inclusive)?;
        Ok(Self { cutter: Mutex::new(Cutter::new(framing, maximum)), queue: Mutex::new(Queue::new(framing, limit)) })
    }

    /// Add what is there to `into`, until that has `max_frames`; where the stream stands, and whether a record is held.
    fn read(
        &self,
        py: Python<'_>,
        descriptor: i32,
        into: &Gathered,
        max_frames: usize,
        interface: u32,
    ) -> (&'static str, SystemError, bool) {
        let (state, holds) = py.detach(|| {
            let mut cutter = hold(&self.cutter);
            let state = read_stream(descriptor, &mut cutter, &mut hold(&into.0), max_frames, interface);
            (state, cutter.holds())
        });
        let (name, error) = state_tuple(state);
        (name, error, holds)
    }

    /// Say what is wrong with frames of these lengths, if anything.
    fn check(&self, shortest: usize, longest: usize) -> PyResult<()> {
        let queue = hold(&self.queue);
        queue.check(shortest).and_then(|()| queue.check(longest)).map_err(PyValueError::new_err)
    }

    /// Queue frames from the front (`force`: room or not) and write; frames taken, and where the stream stands.
    fn send(
        &self,
        py: Python<'_>,
        descriptor: i32,
        columns: Columns<'_>,
        max_frames: usize,
        force: bool,
    ) -> PyResult<(usize, &'static str, SystemError)> {
        let frames = columns.frames()?;
        let (taken, state) = py.detach(|| {
            let mut queue = hold(&self.queue);
            let mut taken = 0;
            loop {
                let count = queue.put(&frames, taken, max_frames - taken, force);
                taken += count;
                let state = write_stream(descriptor, &mut queue);
                if count == 0 || state != State::Open {
                    return (taken, state);
                }
            }
        });
        let (name, error) = state_tuple(state);
        Ok((taken, name, error))
    }

    /// Whether `send` would take a frame.
    fn has_room(&self) -> bool {
        hold(&self.queue).has_room()
    }

    fn write(&self, py: Python<'_>, descriptor: i32) -> (&'static str, SystemError) {
        state_tuple(py.detach(|| write_stream(descriptor, &mut hold(&self.queue))))
    }

    /// The stream has ended on the way in.
    fn finish(&self) {
        hold(&self.cutter).finish();
    }

    /// The stream is gone: frames that were queued and did not go.
    fn drop_queued(&self) -> usize {
        hold(&self.queue).drop_all()
    }

    fn account<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (account, held) = {
            let cutter = hold(&self.cutter);
            (cutter.account(), cutter.held_octets())
        };
        let queue = hold(&self.queue);
        let (sent_frames, sent_octets) = queue.sent();
        let all = PyDict::new(py);
        all.set_item("received_frames", account.records)?;
        all.set_item("received_octets", account.record_octets)?;
        all.set_item("header_octets", account.header_octets)?;
        all.set_item("refused_lengths", account.refused_lengths)?;
        all.set_item("refused_length", account.refused_length)?;
        all.set_item("refused_octets", account.refused_octets)?;
        all.set_item("partial_record_octets", account.partial_octets)?;
        all.set_item("held_octets", held)?;
        all.set_item("sent_frames", sent_frames)?;
        all.set_item("sent_octets", sent_octets)?;
        all.set_item("queued_frames", queue.records())?;
        all.set_item("queued_octets", queue.octets())?;
        Ok(all)
    }
}

/// The receiving half of a tap device, and its way to write.  The descriptor stays the caller's.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct TapDevice {
    reader: Mutex<DeviceReader>,
    offload_header: bool,
}

#[pymethods]
impl TapDevice {
    #[new]
    fn new(offload_header: bool) -> Self {
        Self { reader: Mutex::new(DeviceReader::new(offload_header)), offload_header }
    }

    /// The batch, and the errno that ended it (0: none).
    fn read<'py>(
        &self,
        py: Python<'py>,
        descriptor: i32,
        max_frames: usize,
    ) -> PyResult<(Bound<'py, PyTuple>, SystemError)> {
        let (batch, error) = py.detach(|| hold(&self.reader).read(descriptor, max_frames));
        Ok((batch_to_python(py, batch)?, error.unwrap_or(0)))
    }

    /// Frames taken, sent, octets; and the errno that ended it (0: none).
    fn write(&self, py: Python<'_>, descriptor: i32, columns: Columns<'_>) -> PyResult<(SentTuple, SystemError)> {
        let frames = columns.frames()?;
        let (sent, error) = py.detach(|| write_device(descriptor, &frames, self.offload_header));
        Ok((sent_tuple(sent), error.unwrap_or(0)))
    }

    fn account<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let account = py.detach(|| hold(&self.reader).account());
        let all = PyDict::new(py);
        all.set_item("completed_checksums", account.completed_checksums)?;
        all.set_item("malformed", account.malformed)?;
        Ok(all)
    }
}
