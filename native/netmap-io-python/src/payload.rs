//! Payloads out of frames, and frames around payloads.
use std::sync::{Mutex, MutexGuard, PoisonError};

use netmap_io_capture::payload::extract::{Choice, Extractor, Protocol};
use netmap_io_capture::payload::udp_frames::{Ends, MAXIMUM_PAYLOAD, wrap};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::buffer::{Cells1, Columns, batch_to_python};

/// Takes payloads out of frames.  One thread at a time; others wait.
#[pyclass(frozen, module = "netmap_io._native")]
pub(crate) struct PayloadExtractor(Mutex<Extractor>);

impl PayloadExtractor {
    fn extractor(&self) -> MutexGuard<'_, Extractor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PayloadExtractor {
    #[new]
    fn new(protocol: &str, port: Option<u16>, offset: usize, length: Option<usize>) -> PyResult<Self> {
        let protocol = match protocol {
            "auto" => Protocol::Auto,
            "udp" => Protocol::Udp,
            "tcp" => Protocol::Tcp,
            "ethernet" => Protocol::Ethernet,
            "raw" => Protocol::Raw,
            _ => return Err(PyValueError::new_err("protocol")),
        };
        Ok(Self(Mutex::new(Extractor::new(Choice { protocol, port, offset, length }))))
    }

    fn feed<'py>(
        &self,
        py: Python<'py>,
        columns: Columns<'py>,
        link_types: Cells1<u16>,
        interfaces: Cells1<u32>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let frames = columns.frames()?;
        if link_types.0.len() != frames.len() || interfaces.0.len() != frames.len() {
            return Err(PyValueError::new_err("the columns differ in length"));
        }
        let batch = py.detach(|| self.extractor().feed(&frames, &link_types.0, &interfaces.0));
        batch_to_python(py, batch)
    }

    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let batch = py.detach(|| self.extractor().finish());
        batch_to_python(py, batch)
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = py.detach(|| self.extractor().counters());
        let tcp = counters.tcp;
        let all = PyDict::new(py);
        for (name, value) in [
            ("frames", counters.frames),
            ("payloads", counters.payloads),
            ("payload_octets", counters.payload_octets),
            ("other_protocol", counters.other_protocol),
            ("other_port", counters.other_port),
            ("other_link_type", counters.other_link_type),
            ("cut_by_snap_length", counters.cut_by_snap_length),
            ("malformed", counters.malformed),
            ("empty", counters.empty),
            ("checksum_not_looked_at", counters.checksum_not_looked_at),
            ("fragments", counters.fragments),
            ("fragments_lost", counters.fragments_lost),
            ("datagrams_reassembled", counters.datagrams_reassembled),
            ("tcp_gap_octets", tcp.gap_octets),
            ("tcp_gaps", tcp.gaps),
            ("tcp_retransmitted_segments", tcp.retransmitted_segments),
            ("tcp_overlap_octets", tcp.overlap_octets),
            ("tcp_out_of_order_segments", tcp.out_of_order_segments),
            ("tcp_streams_without_start", tcp.streams_without_start),
            ("tcp_streams_evicted", tcp.streams_evicted),
        ] {
            all.set_item(name, value)?;
        }
        Ok(all)
    }

    /// number -> (source address, source port, destination address, destination port), addresses as octets
    fn flows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for flow in py.detach(|| self.extractor().flows()) {
            let start = if flow.version_6 { 0 } else { 12 };
            let ends = (
                PyBytes::new(py, &flow.source[start..]),
                flow.source_port,
                PyBytes::new(py, &flow.destination[start..]),
                flow.destination_port,
            );
            all.set_item(flow.number, ends)?;
        }
        Ok(all)
    }
}

/// One Ethernet, IPv4 and UDP frame around each payload.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // the header fields, from keyword arguments of the Python face
pub(crate) fn udp_frames<'py>(
    py: Python<'py>,
    columns: Columns<'py>,
    source_mac: [u8; 6],
    destination_mac: [u8; 6],
    source: [u8; 4],
    destination: [u8; 4],
    source_port: u16,
    destination_port: u16,
    identification: u16,
) -> PyResult<Bound<'py, PyTuple>> {
    let ends = Ends { source_mac, destination_mac, source, destination, source_port, destination_port, identification };
    let frames = columns.frames()?;
    let batch = py.detach(|| wrap(&frames, &ends)).map_err(|index| {
        PyValueError::new_err(format!(
            "payload {index} has {} octets; one IPv4 packet carries {MAXIMUM_PAYLOAD} of UDP data",
            frames.frame(index).len()
        ))
    })?;
    batch_to_python(py, batch)
}
