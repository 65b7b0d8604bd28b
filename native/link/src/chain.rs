//! The receiving chain: octets to frames to packets, with an account.
//!
//! Order (DESIGN.md 4): synchronise, derandomise, Reed-Solomon, de-interleave, header and frame error
//! control, version and spacecraft, repeated frames, counters, only idle data, extraction.

use std::collections::{BTreeMap, VecDeque};

use ccsds_coding::{crc, header_error_control, randomizer};

use crate::account::Account;
use crate::batch::{Batch, Status, quality};
use crate::counter::{FrameCounter, Step};
use crate::extraction::{Extractor, Origin, Packet};
use crate::frame::{Header, Zone, read_aos, read_tm, read_zone};
use crate::header::{cut, read48, tm};
use crate::parameters::{FrameType, HeaderErrorControl, PhysicalChannel, VirtualChannel};
use crate::synchronizer::{self, Source, Synchronizer};

/// Counts of the physical channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records: frames and codeblocks, good or not.
    pub records: u64,
    /// Records of another length than the frame's.
    pub wrong_length_records: u64,
    /// Frames of another version or spacecraft.
    pub foreign_frames: u64,
    /// Frames of virtual channels past the number that is kept account of, where any spacecraft is taken.
    pub surplus_channel_frames: u64,
    /// Frames whose frame error control field does not verify.
    pub fecf_errors: u64,
    /// Frames whose header error control does not verify.
    pub header_error_control_errors: u64,
    /// Header symbols (of four bits) corrected.
    pub corrected_header_symbols: u64,
    /// Symbols corrected by the code.
    pub corrected_symbols: u64,
    /// Codeblocks with a codeword past correction.
    pub uncorrectable_codeblocks: u64,
    /// Codewords past correction.
    pub uncorrectable_codewords: u64,
    /// Octets behind the last whole record.
    pub trailing_octets: u64,
}

/// Counts of a master channel (TM).
#[derive(Debug, Clone, Default)]
pub struct MasterAccount {
    /// Places where the counter jumps.
    pub counter_gaps: u64,
    /// Frames missing by the counter, modulo 256 each time.
    pub lost_frames: u64,
    counter: FrameCounter,
}

/// Key of a virtual channel: spacecraft, virtual channel, replay.
pub type ChannelKey = (u16, u8, bool);

/// A virtual channel at work.
struct Channel {
    parameters: VirtualChannel,
    counter: FrameCounter,
    extractor: Extractor,
    account: Account,
    last_frame: Vec<u8>,
}

/// What is known of a record before it is read.
#[derive(Clone, Copy)]
struct Reception {
    bit_position: u64,
    time_ns: i64,
    quality: u8,
    corrected: i32,
}

/// The receiving chain of one physical channel; see the module.
pub struct ReceivingChain {
    parameters: PhysicalChannel,
    synchronizer: Option<Synchronizer>,
    /// Octets of a record that is not whole yet, where there is no marker.
    pending: Vec<u8>,
    octets_in: u64,
    /// Stream position from which on a reception time holds.
    times: VecDeque<(u64, i64)>,
    channels: BTreeMap<ChannelKey, Channel>,
    masters: BTreeMap<u16, MasterAccount>,
    totals: Totals,
    batch: Batch,
    scratch: Vec<u8>,
}

impl ReceivingChain {
    /// A chain; errors name the parameter.
    pub fn new(parameters: PhysicalChannel) -> Result<Self, String> {
        parameters.check()?;
        let synchronizer = parameters.synchronizer.clone().map(Synchronizer::new).transpose()?;
        Ok(Self {
            parameters,
            synchronizer,
            pending: Vec::new(),
            octets_in: 0,
            times: VecDeque::new(),
            channels: BTreeMap::new(),
            masters: BTreeMap::new(),
            totals: Totals::default(),
            batch: Batch::default(),
            scratch: Vec::new(),
        })
    }

    /// Take in octets of the stream, received at `time_ns` (-1: unknown).
    pub fn feed(&mut self, octets: &[u8], time_ns: i64) -> Batch {
        self.note_time(time_ns);
        self.reserve(octets.len());
        self.feed_stream(octets);
        self.take_batch()
    }

    /// Make room for what that many octets can give.
    pub fn reserve(&mut self, octets: usize) {
        self.batch.reserve(octets, self.parameters.block_octets());
    }

    /// Take in bits, one per octet.  An error where there are no markers: records are whole octets.
    pub fn feed_bits(&mut self, bits: &[u8], time_ns: i64) -> Result<Batch, String> {
        self.note_time(time_ns);
        let Some(mut synchronizer) = self.synchronizer.take() else {
            return Err("bits need a synchronisation marker to be cut by".into());
        };
        synchronizer.feed_bits(bits, &mut |block, source| self.synchronized(block, &source));
        self.synchronizer = Some(synchronizer);
        Ok(std::mem::take(&mut self.batch))
    }

    /// Take in one record as it was received: a frame or codeblock, or where there are markers, a piece of the stream.
    pub fn feed_record(&mut self, record: &[u8], time_ns: i64) {
        if self.synchronizer.is_some() {
            self.note_time(time_ns);
            self.feed_stream(record);
            return;
        }
        let bit_position = self.octets_in * 8;
        self.octets_in += record.len() as u64;
        if record.len() != self.parameters.block_octets() {
            self.totals.records += 1;
            self.totals.wrong_length_records += 1;
            return;
        }
        let reception = Reception { bit_position, time_ns, quality: 0, corrected: 0 };
        self.record(reception, |out| out.extend_from_slice(record));
    }

    /// What `feed_record` has gathered.
    pub fn take_batch(&mut self) -> Batch {
        std::mem::take(&mut self.batch).trimmed()
    }

    /// The stream ends: decide what is left, end the packets in progress.
    pub fn finish(&mut self) -> Batch {
        if let Some(mut synchronizer) = self.synchronizer.take() {
            synchronizer.finish(&mut |block, source| self.synchronized(block, &source));
            self.totals.trailing_octets = synchronizer.statistics().trailing_bits.div_ceil(8);
            self.synchronizer = Some(synchronizer);
        }
        self.totals.trailing_octets += self.pending.len() as u64;
        self.pending.clear();
        let batch = &mut self.batch;
        for (key, channel) in &mut self.channels {
            let Channel { parameters, extractor, account, .. } = channel;
            extractor.finish(parameters, account, &mut |packet| deliver(batch, *key, &packet, false));
        }
        self.take_batch()
    }

    /// Counts of the physical channel.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Counts of the synchroniser, where there is one.
    pub fn synchronization(&self) -> Option<synchronizer::Statistics> {
        self.synchronizer.as_ref().map(Synchronizer::statistics)
    }

    /// Accounts of the virtual channels, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (ChannelKey, &Account)> {
        self.channels.iter().map(|(key, channel)| (*key, &channel.account))
    }

    /// Accounts of the TM master channels, in order.
    pub fn master_accounts(&self) -> impl Iterator<Item = (u16, &MasterAccount)> {
        self.masters.iter().map(|(spacecraft, account)| (*spacecraft, account))
    }

    fn feed_stream(&mut self, octets: &[u8]) {
        match self.synchronizer.take() {
            Some(mut synchronizer) => {
                synchronizer.feed(octets, &mut |block, source| self.synchronized(block, &source));
                self.synchronizer = Some(synchronizer);
            }
            None => self.feed_records(octets),
        }
        self.octets_in += octets.len() as u64;
    }

    fn note_time(&mut self, time_ns: i64) {
        let (position, oldest) = match &self.synchronizer {
            Some(synchronizer) => (synchronizer.position(), synchronizer.oldest()),
            None => (self.octets_in * 8, (self.octets_in - self.pending.len() as u64) * 8),
        };
        while self.times.get(1).is_some_and(|(from, _)| *from <= oldest) {
            self.times.pop_front();
        }
        if self.times.back().is_none_or(|(_, last)| *last != time_ns) {
            self.times.push_back((position, time_ns));
        }
    }

    fn time_at(&self, bit_position: u64) -> i64 {
        let after = self.times.partition_point(|(from, _)| *from <= bit_position);
        self.times.get(after.saturating_sub(1)).map_or(-1, |(_, time)| *time)
    }

    fn feed_records(&mut self, octets: &[u8]) {
        let block = self.parameters.block_octets();
        let mut at = (self.octets_in - self.pending.len() as u64) * 8;
        let mut octets = octets;
        if !self.pending.is_empty() {
            let take = (block - self.pending.len()).min(octets.len());
            self.pending.extend_from_slice(&octets[..take]);
            octets = &octets[take..];
            if self.pending.len() < block {
                return;
            }
            let pending = std::mem::take(&mut self.pending);
            self.timed_record(at, &pending);
            at += block as u64 * 8;
        }
        let mut records = octets.chunks_exact(block);
        for record in &mut records {
            self.timed_record(at, record);
            at += block as u64 * 8;
        }
        self.pending.extend_from_slice(records.remainder());
    }

    fn timed_record(&mut self, bit_position: u64, record: &[u8]) {
        let time_ns = self.time_at(bit_position);
        let reception = Reception { bit_position, time_ns, quality: 0, corrected: 0 };
        self.record(reception, |out| out.extend_from_slice(record));
    }

    fn synchronized(&mut self, block: synchronizer::Block, source: &Source<'_>) {
        let mut flags = 0;
        for (is, flag) in [
            (block.inverted, quality::INVERTED),
            (block.flywheel, quality::FLYWHEEL),
            (block.unconfirmed, quality::UNCONFIRMED),
        ] {
            flags |= if is { flag } else { 0 };
        }
        let time_ns = self.time_at(block.bit_position);
        let reception = Reception { bit_position: block.bit_position, time_ns, quality: flags, corrected: 0 };
        let block_octets = self.parameters.block_octets();
        self.record(reception, |out| source.append_to(out, block_octets));
    }

    /// A record becomes a row of the batch: append its octets, decode them in place, then read them.
    fn record(&mut self, mut reception: Reception, append: impl FnOnce(&mut Vec<u8>)) {
        let mut octets = std::mem::take(&mut self.batch.frame_octets);
        let start = octets.len();
        append(&mut octets);
        let block = &mut octets[start..];
        self.totals.records += 1;
        if let Some(sequence) = self.parameters.randomizer {
            randomizer::apply(sequence, block);
        }
        let decodable = self.decode(block, &mut reception);
        octets.truncate(start + self.parameters.frame_octets);
        self.deinterleave(&mut octets[start..]);
        let checked = decodable.and_then(|()| self.check(&mut octets[start..]));
        self.read(&octets[start..], reception, checked);
        self.batch.frame_octets = octets;
    }

    fn decode(&mut self, block: &mut [u8], reception: &mut Reception) -> Result<(), Status> {
        let Some(code) = &self.parameters.reed_solomon else {
            return Ok(());
        };
        let Ok(outcome) = code.decode(block) else {
            return Err(Status::Invalid);
        };
        self.totals.corrected_symbols += u64::from(outcome.corrected_symbols);
        if outcome.uncorrectable_codewords == 0 {
            reception.corrected = outcome.corrected_symbols as i32;
            return Ok(());
        }
        reception.corrected = -1;
        self.totals.uncorrectable_codeblocks += 1;
        self.totals.uncorrectable_codewords += u64::from(outcome.uncorrectable_codewords);
        Err(Status::Uncorrectable)
    }

    fn deinterleave(&mut self, frame: &mut [u8]) {
        let columns = self.parameters.deinterleaving_depth;
        if columns == 1 {
            return;
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(frame);
        let rows = frame.len() / columns;
        for (at, octet) in frame.iter_mut().enumerate() {
            *octet = self.scratch[at % rows * columns + at / rows];
        }
    }

    /// Header and frame error control.
    fn check(&mut self, frame: &mut [u8]) -> Result<(), Status> {
        if let Some(action) = self.parameters.header_error_control {
            let corrected = frame.first_chunk_mut().map(header_error_control::correct);
            match corrected.flatten() {
                Some(0) => {}
                Some(symbols) if action == HeaderErrorControl::Correct => {
                    self.totals.corrected_header_symbols += u64::from(symbols);
                }
                _ => {
                    self.totals.header_error_control_errors += 1;
                    return Err(Status::HeaderErrorControl);
                }
            }
        }
        if self.parameters.frame_error_control && crc::remainder(frame) != 0 {
            self.totals.fecf_errors += 1;
            return Err(Status::FrameErrorControl);
        }
        Ok(())
    }

    /// A decoded frame: account for it, extract from it, write its row.
    fn read(&mut self, frame: &[u8], reception: Reception, checked: Result<(), Status>) {
        let frame_index = self.totals.records - 1;
        let mut row = Row { reception, frame_index, ..Row::default() };
        row.status = match checked.and_then(|()| self.identify(frame, &mut row)) {
            Ok(header) => self.receive(frame, &header, &mut row),
            Err(status) => status,
        };
        row.push(&mut self.batch);
    }

    /// Version and spacecraft; counts foreign frames.
    fn identify(&mut self, frame: &[u8], row: &mut Row) -> Result<Header, Status> {
        let word = read48(frame);
        let (header, version) = match self.parameters.frame_type {
            FrameType::Tm => (read_tm(word), 0),
            FrameType::Aos => (read_aos(word, self.parameters.issue_5), 1),
        };
        let named = self.parameters.virtual_channel(header.spacecraft_id, header.virtual_channel_id);
        if cut(word, tm::VERSION) != version || named.is_none() {
            self.totals.foreign_frames += 1;
            return Err(Status::Foreign);
        }
        row.spacecraft_id = header.spacecraft_id;
        row.virtual_channel_id = header.virtual_channel_id;
        row.count = header.count;
        row.reception.quality |= if header.replay { quality::REPLAY } else { 0 };
        Ok(header)
    }

    fn receive(&mut self, frame: &[u8], header: &Header, row: &mut Row) -> Status {
        let key = (header.spacecraft_id, header.virtual_channel_id, header.replay);
        let Self { parameters, channels, masters, batch, .. } = self;
        if channels.len() >= parameters.maximum_channels() && !channels.contains_key(&key) {
            self.totals.surplus_channel_frames += 1;
            return Status::Surplus;
        }
        let channel = channels.entry(key).or_insert_with(|| Channel::new(parameters, key));
        channel.account.frames += 1;
        if channel.parameters.remove_repeated_frames && channel.last_frame == frame {
            channel.account.repeated_frames += 1;
            return Status::Repeated;
        }
        channel.last_frame.clear();
        channel.last_frame.extend_from_slice(frame);
        if let Some(count) = header.master_count {
            masters.entry(header.spacecraft_id).or_default().count(count);
        }
        let deliver_idle = parameters.deliver_idle_packets;
        let mut give = |packet: Packet<'_>| deliver(batch, key, &packet, deliver_idle);
        let step = channel.count(header, parameters.late_frame_window, row, &mut give);
        let Some(zone) = read_zone(frame, header, parameters, &channel.parameters) else {
            channel.account.invalid_frames += 1;
            let Channel { parameters, extractor, account, .. } = channel;
            extractor.gap(0, parameters, account, &mut give);
            return Status::Invalid;
        };
        channel.zone(frame, &zone, step, row, &mut give);
        Status::Accepted
    }
}

impl MasterAccount {
    fn count(&mut self, count: u32) {
        if let Step::Gap(lost) = self.counter.step(count, 8, 0) {
            self.counter_gaps += 1;
            self.lost_frames += u64::from(lost);
        }
    }
}

impl Channel {
    fn new(parameters: &PhysicalChannel, key: ChannelKey) -> Self {
        let account = Account { digest: parameters.digest.then(Default::default), ..Account::default() };
        Self {
            parameters: parameters.virtual_channel(key.0, key.1).cloned().unwrap_or_default(),
            counter: FrameCounter::default(),
            extractor: Extractor::default(),
            account,
            last_frame: Vec::new(),
        }
    }

    /// Account for the counter; a loss ends the packet in progress.
    fn count(&mut self, header: &Header, late_window: u32, row: &mut Row, give: &mut impl FnMut(Packet<'_>)) -> Step {
        if self.parameters.frame_count_frozen {
            return Step::InSequence;
        }
        let step = self.counter.step(header.count, header.count_bits, late_window);
        let lost = match step {
            Step::InSequence => return step,
            Step::Late => {
                self.account.late_frames += 1;
                row.reception.quality |= quality::LATE;
                return step;
            }
            Step::Gap(lost) => {
                self.account.counter_gaps += 1;
                self.account.lost_frames += u64::from(lost);
                lost
            }
            Step::Reset => {
                self.account.counter_resets += 1;
                row.reception.quality |= quality::COUNTER_RESET;
                0
            }
        };
        row.lost_before = lost;
        self.extractor.gap(lost, &self.parameters, &mut self.account, give);
        step
    }

    fn zone(&mut self, frame: &[u8], zone: &Zone, step: Step, row: &mut Row, give: &mut impl FnMut(Packet<'_>)) {
        row.zone_offset = zone.start as u32;
        row.zone_octets = (zone.end - zone.start) as u32;
        row.pointer = zone.pointer;
        for (is, flag) in [
            (zone.only_idle_data, quality::ONLY_IDLE_DATA),
            (zone.operational_control_field, quality::OPERATIONAL_CONTROL_FIELD),
        ] {
            row.reception.quality |= if is { flag } else { 0 };
        }
        if zone.only_idle_data {
            self.account.only_idle_data_frames += 1;
        } else if zone.packets {
            let origin = row.origin();
            let octets = &frame[zone.start..zone.end];
            let Self { parameters, extractor, account, .. } = self;
            match step {
                Step::Late => extractor.late_zone(octets, zone.packet_start, origin, parameters, account, give),
                _ => extractor.zone(octets, zone.packet_start, origin, parameters, account, give),
            }
        }
    }
}

/// A row of the frame columns while it is made.
struct Row {
    frame_index: u64,
    reception: Reception,
    status: Status,
    spacecraft_id: u16,
    virtual_channel_id: u8,
    count: u32,
    lost_before: u32,
    pointer: u16,
    zone_offset: u32,
    zone_octets: u32,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            frame_index: 0,
            reception: Reception { bit_position: 0, time_ns: -1, quality: 0, corrected: 0 },
            status: Status::Accepted,
            spacecraft_id: 0,
            virtual_channel_id: 0,
            count: 0,
            lost_before: 0,
            pointer: 0,
            zone_offset: 0,
            zone_octets: 0,
        }
    }
}

impl Row {
    fn origin(&self) -> Origin {
        Origin {
            frame_index: self.frame_index,
            reception_time_ns: self.reception.time_ns,
            corrected_symbols: self.reception.corrected.max(0) as u32,
            lost_frames_before: 0,
        }
    }

    fn push(self, batch: &mut Batch) {
        let columns = &mut batch.frames;
        columns.frame_index.push(self.frame_index);
        columns.bit_position.push(self.reception.bit_position);
        columns.reception_time_ns.push(self.reception.time_ns);
        columns.status.push(self.status as u8);
        columns.quality.push(self.reception.quality);
        columns.corrected_symbols.push(self.reception.corrected);
        columns.spacecraft_id.push(self.spacecraft_id);
        columns.virtual_channel_id.push(self.virtual_channel_id);
        columns.virtual_channel_frame_count.push(self.count);
        columns.lost_frames_before.push(self.lost_before);
        columns.pointer.push(self.pointer);
        columns.zone_offset.push(self.zone_offset);
        columns.zone_octets.push(self.zone_octets);
    }
}

pub(crate) fn deliver(batch: &mut Batch, key: ChannelKey, packet: &Packet<'_>, deliver_idle: bool) {
    if packet.idle && !deliver_idle {
        return;
    }
    let columns = &mut batch.packets;
    columns.start.push(batch.packet_octets.len() as u64);
    columns.length.push(packet.octets.len() as u32);
    columns.frame_index.push(packet.origin.frame_index);
    columns.reception_time_ns.push(packet.origin.reception_time_ns);
    columns.spacecraft_id.push(key.0);
    columns.virtual_channel_id.push(key.1);
    columns.replay.push(u8::from(key.2));
    columns.complete.push(u8::from(packet.complete));
    columns.corrected_symbols.push(packet.origin.corrected_symbols);
    columns.lost_frames_before.push(packet.origin.lost_frames_before);
    batch.packet_octets.extend_from_slice(packet.octets);
}
