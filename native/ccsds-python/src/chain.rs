//! The receiving chain for Python: parameters in as a mapping, batches out as columns.

use std::collections::HashMap;

use ccsds_coding::randomizer::Sequence;
use ccsds_coding::reed_solomon::{Basis, Code, ErrorCorrection};
use ccsds_link::account::{Account, Source};
use ccsds_link::batch::{self, Batch};
use ccsds_link::chain;
use ccsds_link::header;
use ccsds_link::map_account::{MapAccount, SequenceAccount};
use ccsds_link::packet_stream;
use ccsds_link::parameters::{
    FrameType, HeaderErrorControl, Map, MasterChannel, PhysicalChannel, Service, VirtualChannel,
};
use ccsds_link::synchronizer;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::buffer::{Input, Octets};

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct MapItems {
    service: String,
    valid_packet_versions: Vec<u8>,
    maximum_packet_octets: usize,
    deliver_incomplete_packets: bool,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct VirtualChannelItems {
    service: String,
    segment_header: bool,
    truncated_frame_octets: Option<usize>,
    maps: HashMap<u8, MapItems>,
    secondary_header_octets: Option<usize>,
    operational_control_field: bool,
    valid_packet_versions: Vec<u8>,
    maximum_packet_octets: usize,
    deliver_incomplete_packets: bool,
    remove_repeated_frames: bool,
    frame_count_frozen: bool,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct MasterChannelItems {
    default: VirtualChannelItems,
    virtual_channels: HashMap<u8, VirtualChannelItems>,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct SynchronizationItems {
    marker: u64,
    marker_bits: u32,
    tolerated_errors: u32,
    flywheel_frames: u32,
    maximum_slip_bits: u32,
    accept_inverted: bool,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct ReedSolomonItems {
    error_correction: u32,
    interleaving_depth: usize,
    virtual_fill: usize,
    basis: String,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct PhysicalChannelItems {
    frame_type: String,
    frame_octets: usize,
    variable_frame_length: bool,
    synchronization: Option<SynchronizationItems>,
    randomizer: Option<String>,
    reed_solomon: Option<ReedSolomonItems>,
    deinterleaving_depth: usize,
    frame_error_control: bool,
    frame_error_control_octets: usize,
    header_error_control: Option<String>,
    insert_zone_octets: usize,
    issue_5: bool,
    late_frame_window: u32,
    master_channels: HashMap<u16, MasterChannelItems>,
    any_master_channel: MasterChannelItems,
    deliver_idle_packets: bool,
    digest: bool,
}

fn refuse(message: impl Into<String>) -> PyErr {
    PyValueError::new_err(message.into())
}

fn choose<T: Copy>(name: &str, given: &str, choices: &[(&str, T)]) -> PyResult<T> {
    choices
        .iter()
        .find(|(choice, _)| *choice == given)
        .map(|(_, value)| *value)
        .ok_or_else(|| refuse(format!("{name} is {given:?}")))
}

const SERVICES: [(&str, Service); 4] = [
    ("packets", Service::Packets),
    ("access", Service::Access),
    ("bitstream", Service::Bitstream),
    ("octet_stream", Service::OctetStream),
];

fn version_set(versions: &[u8]) -> u8 {
    versions.iter().fold(0, |set, version| set | 1 << (version & 7))
}

impl MapItems {
    fn build(self) -> PyResult<Map> {
        Ok(Map {
            service: choose("service", &self.service, &SERVICES)?,
            valid_packet_versions: version_set(&self.valid_packet_versions),
            maximum_packet_octets: self.maximum_packet_octets,
            deliver_incomplete_packets: self.deliver_incomplete_packets,
        })
    }
}

impl VirtualChannelItems {
    fn build(self) -> PyResult<VirtualChannel> {
        Ok(VirtualChannel {
            service: choose("service", &self.service, &SERVICES)?,
            secondary_header_octets: self.secondary_header_octets,
            operational_control_field: self.operational_control_field,
            valid_packet_versions: version_set(&self.valid_packet_versions),
            maximum_packet_octets: self.maximum_packet_octets,
            deliver_incomplete_packets: self.deliver_incomplete_packets,
            remove_repeated_frames: self.remove_repeated_frames,
            frame_count_frozen: self.frame_count_frozen,
            segment_header: self.segment_header,
            truncated_frame_octets: self.truncated_frame_octets,
            maps: self.maps.into_iter().map(|(id, items)| Ok((id, items.build()?))).collect::<PyResult<_>>()?,
        })
    }
}

impl MasterChannelItems {
    fn build(self) -> PyResult<MasterChannel> {
        let virtual_channels =
            self.virtual_channels.into_iter().map(|(id, items)| Ok((id, items.build()?))).collect::<PyResult<_>>()?;
        Ok(MasterChannel { default: self.default.build()?, virtual_channels })
    }
}

impl ReedSolomonItems {
    fn build(self) -> PyResult<Code> {
        let error_correction = match self.error_correction {
            16 => ErrorCorrection::E16,
            8 => ErrorCorrection::E8,
            other => return Err(refuse(format!("error_correction is {other}, not 16 or 8"))),
        };
        let basis = choose("basis", &self.basis, &[("dual", Basis::Dual), ("conventional", Basis::Conventional)])?;
        Code::new(error_correction, self.interleaving_depth, self.virtual_fill, basis)
            .map_err(|error| refuse(error.to_string()))
    }
}

const FRAME_TYPES: [(&str, FrameType); 4] =
    [("TM", FrameType::Tm), ("AOS", FrameType::Aos), ("TC", FrameType::Tc), ("USLP", FrameType::Uslp)];

impl PhysicalChannelItems {
    fn build(self) -> PyResult<PhysicalChannel> {
        let reed_solomon = self.reed_solomon.map(ReedSolomonItems::build).transpose()?;
        let block_octets = reed_solomon.as_ref().map_or(self.frame_octets, Code::block_octets);
        let randomizers = [("short", Sequence::Short), ("long", Sequence::Long)];
        let checks = [("check", HeaderErrorControl::Check), ("correct", HeaderErrorControl::Correct)];
        Ok(PhysicalChannel {
            frame_type: choose("frame_type", &self.frame_type, &FRAME_TYPES)?,
            frame_octets: self.frame_octets,
            variable_frame_length: self.variable_frame_length,
            synchronizer: self.synchronization.map(|items| synchronizer::Parameters {
                marker: items.marker,
                marker_bits: items.marker_bits,
                block_octets,
                tolerated_errors: items.tolerated_errors,
                flywheel_frames: items.flywheel_frames,
                maximum_slip_bits: items.maximum_slip_bits,
                accept_inverted: items.accept_inverted,
            }),
            randomizer: self.randomizer.map(|name| choose("randomizer", &name, &randomizers)).transpose()?,
            reed_solomon,
            deinterleaving_depth: self.deinterleaving_depth,
            frame_error_control: self.frame_error_control,
            frame_error_control_octets: self.frame_error_control_octets,
            header_error_control: self
                .header_error_control
                .map(|name| choose("header_error_control", &name, &checks))
                .transpose()?,
            insert_zone_octets: self.insert_zone_octets,
            issue_5: self.issue_5,
            late_frame_window: self.late_frame_window,
            master_channels: self
                .master_channels
                .into_iter()
                .map(|(id, items)| Ok((id, items.build()?)))
                .collect::<PyResult<_>>()?,
            any_master_channel: self.any_master_channel.build()?,
            deliver_idle_packets: self.deliver_idle_packets,
            digest: self.digest,
        })
    }
}

/// Rows and table of frames, frame octets, rows and table of packets, packet octets; what TC and USLP frames have
/// beside, where it is not empty.
type Tables = (usize, Octets, Octets, usize, Octets, Octets, Option<MapTables>);

/// More columns of frames, more columns of packets, rows and table of units, unit octets.
type MapTables = (Octets, Octets, usize, Octets, Octets);

fn tables(batch: Batch) -> Tables {
    let (frames, packets) = (batch.frames.into_table(), batch.packets.into_table());
    let (map_frames, map_packets) = (batch.map_frames.into_table(), batch.map_packets.into_table());
    let units = batch.units.into_table();
    let with_maps = map_frames.rows + map_packets.rows + units.rows > 0;
    let map_tables = with_maps.then(|| {
        (
            Octets(map_frames.octets),
            Octets(map_packets.octets),
            units.rows,
            Octets(units.octets),
            Octets(batch.unit_octets),
        )
    });
    (
        frames.rows,
        Octets(frames.octets),
        Octets(batch.frame_octets),
        packets.rows,
        Octets(packets.octets),
        Octets(batch.packet_octets),
        map_tables,
    )
}

type ColumnNames = Vec<(&'static str, &'static str)>;

/// Name and type (in numpy's letters) of the columns of the tables (frames, packets, what TC and USLP frames add to both,
/// units), and the alignment of a column in octets.
#[pyfunction]
pub(crate) fn batch_columns() -> (Vec<ColumnNames>, usize) {
    let tables = [
        batch::FrameColumns::NAMES,
        batch::PacketColumns::NAMES,
        batch::MapFrameColumns::NAMES,
        batch::MapPacketColumns::NAMES,
        batch::UnitColumns::NAMES,
    ];
    (tables.iter().map(|names| names.to_vec()).collect(), batch::ALIGNMENT)
}

macro_rules! dictionary {
    ($py:expr, $from:expr, $($name:ident),* $(,)?) => {{
        let dictionary = PyDict::new($py);
        $(dictionary.set_item(stringify!($name), $from.$name)?;)*
        dictionary
    }};
}

/// The receiving chain of one physical channel.  Not for two threads at once.
#[pyclass(module = "ccsds._native")]
pub(crate) struct ReceivingChain(chain::ReceivingChain);

#[pymethods]
impl ReceivingChain {
    #[new]
    fn new(parameters: PhysicalChannelItems) -> PyResult<Self> {
        let channel = parameters.build()?;
        chain::ReceivingChain::new(channel).map(Self).map_err(refuse)
    }

    fn feed(&mut self, py: Python<'_>, octets: Input<'_>, reception_time_ns: i64) -> Tables {
        let octets = octets.octets();
        let chain = &mut self.0;
        tables(py.detach(|| chain.feed(octets, reception_time_ns)))
    }

    fn feed_bits(&mut self, py: Python<'_>, bits: Input<'_>, reception_time_ns: i64) -> PyResult<Tables> {
        let bits = bits.octets();
        let chain = &mut self.0;
        py.detach(|| chain.feed_bits(bits, reception_time_ns)).map(tables).map_err(refuse)
    }

    fn feed_records(
        &mut self,
        py: Python<'_>,
        octets: Input<'_>,
        offsets: PyBuffer<u64>,
        reception_times_ns: PyBuffer<i64>,
    ) -> PyResult<Tables> {
        let octets = octets.octets();
        let records = Records::new(py, octets, &offsets, &reception_times_ns)?;
        let chain = &mut self.0;
        Ok(tables(py.detach(|| {
            chain.reserve(octets.len());
            records.each(|record, time| chain.feed_record(record, time));
            chain.take_batch()
        })))
    }

    fn finish(&mut self, py: Python<'_>) -> Tables {
        let chain = &mut self.0;
        tables(py.detach(|| chain.finish()))
    }

    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let totals = self.0.totals();
        Ok(dictionary!(
            py,
            totals,
            records,
            wrong_length_records,
            foreign_frames,
            surplus_channel_frames,
            fecf_errors,
            header_error_control_errors,
            corrected_header_symbols,
            corrected_symbols,
            uncorrectable_codeblocks,
            uncorrectable_codewords,
            resynchronizations,
            skipped_octets,
            fill_octets,
            trailing_octets,
        ))
    }

    fn synchronization<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(statistics) = self.0.synchronization() else {
            return Ok(None);
        };
        Ok(Some(dictionary!(
            py,
            statistics,
            blocks,
            flywheel_blocks,
            inverted_blocks,
            unconfirmed_blocks,
            rejected_markers,
            marker_bit_errors,
            bit_slips,
            lock_losses,
            skipped_bits,
            trailing_bits,
        )))
    }

    fn virtual_channels<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        self.0.accounts().map(|(key, account)| account_dictionary(py, Some(key), account)).collect()
    }

    fn master_channels<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let row = |(spacecraft_id, account): (u16, &chain::MasterAccount)| {
            let row = dictionary!(py, account, counter_gaps, lost_frames);
            row.set_item("spacecraft_id", spacecraft_id)?;
            Ok(row)
        };
        self.0.master_accounts().map(row).collect()
    }

    fn sequences<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let row = |(key, expedited, account): (chain::ChannelKey, bool, SequenceAccount)| {
            let row = dictionary!(
                py,
                account,
                frames,
                repeated_frames,
                control_command_frames,
                truncated_frames,
                counter_gaps,
                lost_frames,
                late_frames,
                counter_resets,
            );
            row.set_item("spacecraft_id", key.0)?;
            row.set_item("virtual_channel_id", key.1)?;
            row.set_item("bypass_flag", u8::from(expedited))?;
            Ok(row)
        };
        self.0.sequence_accounts().map(row).collect()
    }

    fn maps<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let row = |(key, map_id, account): (chain::ChannelKey, Option<u8>, MapAccount)| {
            let row = dictionary!(
                py,
                account,
                frames,
                segments,
                packets,
                packet_octets,
                access_units,
                access_unit_octets,
                octet_stream_octets,
                discarded_no_first,
                discarded_no_last,
                discarded_gap,
                discarded_oversize,
                discarded_end,
                discarded_octets,
                incomplete_units,
                broken_blocks,
            );
            row.set_item("spacecraft_id", key.0)?;
            row.set_item("virtual_channel_id", key.1)?;
            row.set_item("map_id", map_id)?;
            Ok(row)
        };
        self.0.map_accounts().map(row).collect()
    }

    fn aliases(&self) -> bool {
        self.0.aliases()
    }
}

fn account_dictionary<'py>(
    py: Python<'py>,
    key: Option<chain::ChannelKey>,
    account: &Account,
) -> PyResult<Bound<'py, PyDict>> {
    let row = dictionary!(
        py,
        account,
        frames,
        repeated_frames,
        counter_gaps,
        lost_frames,
        late_frames,
        counter_resets,
        only_idle_data_frames,
        frames_without_packet_start,
        invalid_frames,
        pointer_matches,
        pointer_mismatches,
        pointers_invalid,
        unknown_packet_versions,
        invalid_packets,
        oversize_packets,
        packets_dropped_by_gap,
        packets_dropped_by_mismatch,
        packets_unfinished,
        dropped_octets,
        incomplete_packets,
        packets,
        packet_octets,
        idle_packets,
        idle_octets,
    );
    row.set_item("spacecraft_id", key.map(|key| key.0))?;
    row.set_item("virtual_channel_id", key.map(|key| key.1))?;
    row.set_item("replay", key.is_some_and(|key| key.2))?;
    row.set_item("sha256", account.hexdigest())?;
    let source = |source: &Source| (source.packets, source.octets, source.sequence_gaps, source.missing_packets);
    let mut processes: Vec<_> =
        account.application_processes.rows().iter().map(|(id, counts)| (*id, source(counts))).collect();
    processes.sort_unstable();
    row.set_item("application_processes", processes)?;
    let protocols: Vec<_> = account
        .protocols
        .iter()
        .enumerate()
        .filter(|(_, counts)| counts.packets > 0)
        .map(|(id, counts)| (id, counts.packets, counts.octets))
        .collect();
    row.set_item("encapsulation", protocols)?;
    Ok(row)
}

/// Packets back to back, without frames.
#[pyclass(module = "ccsds._native")]
pub(crate) struct PacketStream(packet_stream::PacketStream);

#[pymethods]
impl PacketStream {
    #[new]
    fn new(parameters: VirtualChannelItems, deliver_idle_packets: bool, digest: bool) -> PyResult<Self> {
        Ok(Self(packet_stream::PacketStream::new(parameters.build()?, deliver_idle_packets, digest)))
    }

    fn feed(&mut self, py: Python<'_>, octets: Input<'_>, reception_time_ns: i64) -> Tables {
        let octets = octets.octets();
        let stream = &mut self.0;
        tables(py.detach(|| stream.feed(octets, reception_time_ns)))
    }

    fn feed_records(
        &mut self,
        py: Python<'_>,
        octets: Input<'_>,
        offsets: PyBuffer<u64>,
        reception_times_ns: PyBuffer<i64>,
    ) -> PyResult<Tables> {
        let octets = octets.octets();
        let records = Records::new(py, octets, &offsets, &reception_times_ns)?;
        let stream = &mut self.0;
        Ok(tables(py.detach(|| {
            records.each(|record, time| stream.feed_record(record, time));
            stream.take_batch()
        })))
    }

    fn finish(&mut self) -> Tables {
        tables(self.0.finish())
    }

    fn virtual_channel<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        account_dictionary(py, None, self.0.account())
    }

    /// Octets behind the last complete packet; and whether no packet starts there.
    fn trailing(&self) -> (u64, bool) {
        (self.0.trailing_octets(), self.0.stopped())
    }
}

/// The octets of many pieces, one after the other.
#[pyfunction]
pub(crate) fn gather(
    py: Python<'_>,
    octets: &Bound<'_, Octets>,
    starts: PyBuffer<u64>,
    lengths: PyBuffer<u64>,
) -> PyResult<Octets> {
    let (starts, lengths) = (starts.to_vec(py)?, lengths.to_vec(py)?);
    let octets = &octets.get().0;
    let mut gathered = Vec::new();
    for (start, length) in starts.into_iter().zip(lengths) {
        let end = start.checked_add(length).filter(|end| *end <= octets.len() as u64);
        let end = end.ok_or_else(|| refuse("a piece ends behind the octets"))?;
        gathered.extend_from_slice(&octets[start as usize..end as usize]);
    }
    Ok(Octets(gathered))
}

/// Buffers of ours, one after the other.
#[pyfunction]
pub(crate) fn concatenate(pieces: Vec<Bound<'_, Octets>>) -> Octets {
    let mut whole = Vec::with_capacity(pieces.iter().map(|piece| piece.get().0.len()).sum());
    pieces.iter().for_each(|piece| whole.extend_from_slice(&piece.get().0));
    Octets(whole)
}

/// (offset, bits) of the fields that the kernels cut, to hold them equal to the codecs' layouts.
#[pyfunction]
pub(crate) fn header_tables() -> Vec<(&'static str, Vec<(u32, u32)>)> {
    let rows = |table: &[header::Field]| table.iter().map(|field| (field.offset, field.bits)).collect();
    vec![
        ("tm", rows(&header::tm::TABLE)),
        ("aos", rows(&header::aos::TABLE)),
        ("tc", rows(&header::tc::TABLE)),
        ("uslp", rows(&header::uslp::TABLE)),
        ("space_packet", rows(&header::space_packet::TABLE)),
    ]
}

/// Names of the status values and of the quality bits, in order.
#[pyfunction]
pub(crate) fn frame_names() -> (Vec<&'static str>, Vec<&'static str>) {
    (batch::STATUS_NAMES.to_vec(), batch::QUALITY_NAMES.to_vec())
}

/// Records in one buffer, each with its reception time; checked.
struct Records<'a> {
    octets: &'a [u8],
    offsets: Vec<u64>,
    times_ns: Vec<i64>,
}

impl<'a> Records<'a> {
    fn new(py: Python<'_>, octets: &'a [u8], offsets: &PyBuffer<u64>, times_ns: &PyBuffer<i64>) -> PyResult<Self> {
        let (offsets, times_ns) = (offsets.to_vec(py)?, times_ns.to_vec(py)?);
        let whole = offsets.windows(2).all(|pair| pair[0] <= pair[1])
            && offsets.last().is_none_or(|end| *end <= octets.len() as u64);
        if !whole || offsets.len() != times_ns.len() + 1 {
            return Err(refuse("offsets must rise, lie inside the octets, and be one more than the times"));
        }
        Ok(Self { octets, offsets, times_ns })
    }

    fn each(&self, mut take: impl FnMut(&[u8], i64)) {
        for (pair, time_ns) in self.offsets.windows(2).zip(&self.times_ns) {
            take(&self.octets[pair[0] as usize..pair[1] as usize], *time_ns);
        }
    }
}
