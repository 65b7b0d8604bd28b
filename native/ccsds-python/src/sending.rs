//! Sending for Python: packets to frames, frames to channel access data units.

use ccsds_coding::randomizer::Sequence;
use ccsds_link::recycle;
use ccsds_link::sending::{self, Coder, FrameShape, Protocol, Refusal, Stream};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::buffer::{Input, Octets};
use crate::coding::ReedSolomon;

fn refuse(message: impl Into<String>) -> PyErr {
    PyValueError::new_err(message.into())
}

/// What makes channel access data units of frames.
#[pyclass(frozen, module = "ccsds._native")]
pub(crate) struct ChannelCoder(Coder);

#[pymethods]
impl ChannelCoder {
    #[new]
    fn new(
        frame_octets: usize,
        marker: Vec<u8>,
        interleaving_columns: usize,
        reed_solomon: Option<&Bound<'_, ReedSolomon>>,
        randomizer: Option<&str>,
    ) -> PyResult<Self> {
        let reed_solomon = reed_solomon.map(|code| code.get().code().clone());
        if reed_solomon.as_ref().is_some_and(|code| code.frame_octets() != frame_octets) {
            return Err(refuse("the Reed-Solomon code is for frames of another length"));
        }
        if frame_octets == 0 || interleaving_columns == 0 || !frame_octets.is_multiple_of(interleaving_columns) {
            return Err(refuse("interleaving_columns does not divide frame_octets"));
        }
        let randomizer = match randomizer {
            None => None,
            Some("short") => Some(Sequence::Short),
            Some("long") => Some(Sequence::Long),
            Some(other) => return Err(refuse(format!("sequence is 'short' or 'long', not {other:?}"))),
        };
        Ok(Self(Coder { marker, frame_octets, interleaving_columns, reed_solomon, randomizer }))
    }

    #[getter]
    fn unit_octets(&self) -> usize {
        self.0.unit_octets()
    }

    /// The units of frames that stand end to end.
    fn encode(&self, py: Python<'_>, frames: Input<'_>) -> PyResult<Octets> {
        let (coder, octets) = (&self.0, frames.octets());
        if !octets.len().is_multiple_of(coder.frame_octets) {
            return Err(refuse(format!("{} octets are no whole frames of {}", octets.len(), coder.frame_octets)));
        }
        Ok(Octets(py.detach(|| {
            let (unit_octets, at) = (coder.unit_octets(), coder.marker.len());
            let mut out = zeros(octets.len() / coder.frame_octets * unit_octets);
            let mut scratch = Vec::new();
            for (unit, frame) in out.chunks_exact_mut(unit_octets).zip(octets.chunks_exact(coder.frame_octets)) {
                unit[at..at + frame.len()].copy_from_slice(frame);
                coder.complete(unit, &mut scratch);
            }
            out
        })))
    }
}

fn zeros(octets: usize) -> Vec<u8> {
    let mut out = recycle::take(octets);
    out.resize(octets, 0);
    out
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct ShapeItems {
    aos: bool,
    wide_pointer: bool,
    header_error_control: bool,
    replay_flag: bool,
    frame_count_cycle: bool,
    frame_octets: usize,
    spacecraft_id: u16,
    virtual_channel_id: u8,
    secondary_header: Vec<u8>,
    control_field: Vec<u8>,
    insert_zones: Vec<u8>,
    insert_zone_octets: usize,
    frame_error_control: bool,
    master_channel_frame_count: u8,
    virtual_channel_frame_count: u32,
    frame_count_frozen: bool,
}

impl ShapeItems {
    fn build(self) -> FrameShape {
        let protocol = if self.aos {
            Protocol::Aos {
                wide_pointer: self.wide_pointer,
                header_error_control: self.header_error_control,
                replay_flag: self.replay_flag,
                frame_count_cycle: self.frame_count_cycle,
            }
        } else {
            Protocol::Tm
        };
        FrameShape {
            protocol,
            frame_octets: self.frame_octets,
            spacecraft_id: self.spacecraft_id,
            virtual_channel_id: self.virtual_channel_id,
            secondary_header: self.secondary_header,
            control_field: self.control_field,
            insert_zones: self.insert_zones,
            insert_zone_octets: self.insert_zone_octets,
            frame_error_control: self.frame_error_control,
            master_channel_frame_count: self.master_channel_frame_count,
            virtual_channel_frame_count: self.virtual_channel_frame_count,
            frame_count_frozen: self.frame_count_frozen,
        }
    }
}

fn offsets_of(py: Python<'_>, octets: &[u8], offsets: &PyBuffer<u64>) -> PyResult<Vec<u64>> {
    let offsets = offsets.to_vec(py)?;
    let rises = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    if offsets.is_empty() || !rises || offsets.last().is_some_and(|end| *end > octets.len() as u64) {
        return Err(refuse("offsets must rise, lie inside the octets, and be one more than the packets"));
    }
    Ok(offsets)
}

/// None, or the first packet that is not one: its number, and "version", "length" or "too long".
#[pyfunction]
pub(crate) fn check_packets(
    py: Python<'_>,
    octets: Input<'_>,
    offsets: PyBuffer<u64>,
    valid_versions: Vec<u8>,
    maximum_octets: u64,
) -> PyResult<Option<(usize, &'static str)>> {
    let octets = octets.octets();
    let offsets = offsets_of(py, octets, &offsets)?;
    let versions = valid_versions.iter().fold(0, |set, version| set | 1 << (version & 7));
    let checked = py.detach(|| sending::check_packets(octets, &offsets, versions, maximum_octets));
    Ok(checked.err().map(|refusal| match refusal {
        Refusal::Version(number) => (number, "version"),
        Refusal::Length(number) => (number, "length"),
        Refusal::TooLong(number) => (number, "too long"),
    }))
}

/// The whole frames that pending octets and packets fill, as they are or as channel access data units.
#[pyfunction]
pub(crate) fn packet_frames(
    py: Python<'_>,
    shape: ShapeItems,
    pending: Input<'_>,
    pending_starts: Vec<u64>,
    octets: Input<'_>,
    offsets: PyBuffer<u64>,
    coder: Option<&Bound<'_, ChannelCoder>>,
) -> PyResult<Octets> {
    let shape = shape.build();
    let (pending, octets) = (pending.octets(), octets.octets());
    let offsets = offsets_of(py, octets, &offsets)?;
    let Some(zone_octets) = shape.zone_octets() else {
        return Err(refuse("no room for packets in a frame"));
    };
    if shape.insert_zones.len() < shape.insert_zone_octets {
        return Err(refuse("insert_zones has not even one zone"));
    }
    let coder = coder.map(|coder| &coder.get().0);
    if coder.is_some_and(|coder| coder.frame_octets != shape.frame_octets) {
        return Err(refuse("the coder is for frames of another length"));
    }
    let total = pending.len() as u64 + offsets[offsets.len() - 1] - offsets[0];
    let frames = total as usize / zone_octets;
    let (unit_octets, at) = coder.map_or((shape.frame_octets, 0), |coder| (coder.unit_octets(), coder.marker.len()));
    let stream = Stream { pending, pending_starts: &pending_starts, packets: octets, offsets: &offsets };
    Ok(Octets(py.detach(|| {
        let mut out = zeros(frames * unit_octets);
        let mut scratch = Vec::new();
        shape.build(&stream, &mut out, unit_octets, at, |unit| {
            if let Some(coder) = coder {
                coder.complete(unit, &mut scratch);
            }
        });
        out
    })))
}
