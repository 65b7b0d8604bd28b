//! The receiving chain: octets to frames to packets, with an account.
//!
//! Order (DESIGN.md 4): synchronise, derandomise, Reed-Solomon, de-interleave, header and frame error
//! control, version and spacecraft, repeated frames, counters, only idle data, extraction.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use ccsds_coding::{header_error_control, randomizer};

use crate::account::Account;
use crate::batch::{Batch, Status, quality};
use crate::channel::Channel;
pub use crate::channel::{ChannelKey, MasterAccount};
use crate::delimiter::Delimiter;
use crate::extraction::Packet;
use crate::frame::{Header, read_aos, read_tm, read_zone};
use crate::header::{cut, read48, tm};
use crate::map_account::{MapAccount, SequenceAccount};
use crate::map_channel::{MapChannel, Sink};
use crate::map_frame::{read_head, read_map_frame};
use crate::parameters::{FrameType, HeaderErrorControl, PhysicalChannel};
use crate::row::{MapRow, Reception, Row, deliver};
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
    /// Places where no frame of variable length could start, up to the next one that is found.
    pub resynchronizations: u64,
    /// Octets passed over there.
    pub skipped_octets: u64,
    /// Octets of records behind the frame of variable length that they hold.
    pub fill_octets: u64,
    /// Octets behind the last whole record.
    pub trailing_octets: u64,
}

/// The receiving chain of one physical channel; see the module.
pub struct ReceivingChain {
    parameters: PhysicalChannel,
    synchronizer: Option<Synchronizer>,
    /// Octets of a record that is not whole yet, where there is no marker.
    pending: Vec<u8>,
    /// The same where frames are of variable length.
    delimiter: Delimiter,
    octets_in: u64,
    /// Stream position from which on a reception time holds.
    times: VecDeque<(u64, i64)>,
    channels: BTreeMap<ChannelKey, Channel>,
    masters: BTreeMap<u16, MasterAccount>,
    map_channels: BTreeMap<ChannelKey, MapChannel>,
    /// Virtual channels and MAPs among them.
    maps: usize,
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
            delimiter: Delimiter::default(),
            octets_in: 0,
            times: VecDeque::new(),
            channels: BTreeMap::new(),
            masters: BTreeMap::new(),
            map_channels: BTreeMap::new(),
            maps: 0,
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
        let Some(octets) = self.frame_of_record(record) else {
            self.totals.records += 1;
            self.totals.wrong_length_records += 1;
            return;
        };
        self.totals.fill_octets += (record.len() - octets) as u64;
        let record = &record[..octets];
        let reception = Reception { bit_position, time_ns, quality: 0, corrected: 0, verified: false };
        self.record(reception, |out| out.extend_from_slice(record));
    }

    /// Octets of the frame or codeblock that a record begins with; nothing where it is no such.  Behind a frame of
    /// variable length there may be fill (232.0-B-4 §4.4).
    fn frame_of_record(&self, record: &[u8]) -> Option<usize> {
        if !self.parameters.is_variable() {
            return (record.len() == self.parameters.block_octets()).then_some(record.len());
        }
        let head = read_head(record, &self.parameters)?;
        if !head.version_valid {
            return (record.len() <= self.parameters.frame_octets).then_some(record.len()); // a foreign frame
        }
        head.believable(&self.parameters).filter(|octets| *octets <= record.len())
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
        self.cut_frames(true);
        self.totals.trailing_octets += self.pending.len() as u64 + self.delimiter.finish();
        self.pending.clear();
        let batch = &mut self.batch;
        for (key, channel) in &mut self.channels {
            let Channel { parameters, extractor, account, .. } = channel;
            extractor.finish(parameters, account, &mut |packet| deliver(batch, *key, &packet, false));
        }
        for (key, channel) in &mut self.map_channels {
            channel.finish(&mut Sink { batch, key: *key, deliver_idle: false });
        }
        self.take_batch()
    }

    /// Counts of the physical channel.
    pub fn totals(&self) -> Totals {
        let Delimiter { resynchronizations, skipped_octets, .. } = self.delimiter;
        Totals { resynchronizations, skipped_octets, ..self.totals }
    }

    /// Counts of the synchroniser, where there is one.
    pub fn synchronization(&self) -> Option<synchronizer::Statistics> {
        self.synchronizer.as_ref().map(Synchronizer::statistics)
    }

    /// Accounts of the virtual channels, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (ChannelKey, &Account)> {
        let with_maps = self.map_channels.iter().map(|(key, channel)| (*key, &channel.account));
        self.channels.iter().map(|(key, channel)| (*key, &channel.account)).chain(with_maps)
    }

    /// Accounts of the sequences of TC and USLP virtual channels, of expedited frames where the flag says so.
    pub fn sequence_accounts(&self) -> impl Iterator<Item = (ChannelKey, bool, SequenceAccount)> {
        let of = |(key, channel): (&ChannelKey, &MapChannel)| {
            let [controlled, expedited] = channel.sequence_accounts();
            [(*key, false, controlled), (*key, true, expedited)]
        };
        self.map_channels.iter().flat_map(of).filter(|(_, _, account)| account.frames > 0)
    }

    /// Accounts of the MAPs of TC and USLP virtual channels.
    pub fn map_accounts(&self) -> impl Iterator<Item = (ChannelKey, Option<u8>, MapAccount)> {
        let of = |(key, channel): (&ChannelKey, &MapChannel)| {
            channel.map_accounts().map(|(map, account)| (*key, map, account)).collect::<Vec<_>>()
        };
        self.map_channels.iter().flat_map(of)
    }

    /// Lost frames are at least as many as are counted, because a count of eight bits comes around.
    pub fn aliases(&self) -> bool {
        match self.parameters.frame_type {
            FrameType::Tm | FrameType::Tc => true,
            FrameType::Aos => false,
            FrameType::Uslp => self.map_channels.values().any(MapChannel::aliases),
        }
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
            None if self.parameters.is_variable() => {
                self.delimiter.append(octets);
                self.octets_in += octets.len() as u64;
                self.cut_frames(false);
                return;
            }
            None => self.feed_records(octets),
        }
        self.octets_in += octets.len() as u64;
    }

    /// Frames of variable length among the pending octets.
    fn cut_frames(&mut self, ended: bool) {
        let mut delimiter = std::mem::take(&mut self.delimiter);
        while let Some((range, verified)) = delimiter.next(&self.parameters, ended) {
            let bit_position = (self.octets_in - (delimiter.pending_octets() + range.len()) as u64) * 8;
            let time_ns = self.time_at(bit_position);
            let reception = Reception { bit_position, time_ns, quality: 0, corrected: 0, verified };
            self.record(reception, |out| out.extend_from_slice(delimiter.octets(range)));
        }
        self.delimiter = delimiter;
    }

    fn note_time(&mut self, time_ns: i64) {
        let (position, oldest) = match &self.synchronizer {
            Some(synchronizer) => (synchronizer.position(), synchronizer.oldest()),
            None => (
                self.octets_in * 8,
                (self.octets_in - (self.pending.len() + self.delimiter.pending_octets()) as u64) * 8,
            ),
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
        let reception = Reception { bit_position, time_ns, quality: 0, corrected: 0, verified: false };
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
        let reception =
            Reception { bit_position: block.bit_position, time_ns, quality: flags, corrected: 0, verified: false };
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
        if !self.parameters.is_variable() {
            octets.truncate(start + self.parameters.frame_octets);
        }
        self.deinterleave(&mut octets[start..]);
        let verified = reception.verified;
        let checked = decodable.and_then(|()| if verified { Ok(()) } else { self.check(&mut octets[start..]) });
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
        if self.parameters.frame_error_control && !self.is_truncated(frame) && !self.parameters.verifies(frame) {
            self.totals.fecf_errors += 1;
            return Err(Status::FrameErrorControl);
        }
        Ok(())
    }

    /// A truncated USLP frame of the length agreed upon, which has no frame error control.
    fn is_truncated(&self, frame: &[u8]) -> bool {
        self.parameters.frame_type == FrameType::Uslp
            && read_head(frame, &self.parameters)
                .is_some_and(|head| head.truncated && head.version_valid && head.octets == Some(frame.len()))
    }

    /// A decoded frame: account for it, extract from it, write its row.
    fn read(&mut self, frame: &[u8], reception: Reception, checked: Result<(), Status>) {
        let frame_index = self.totals.records - 1;
        let mut row = Row { reception, frame_index, ..Row::default() };
        if self.parameters.has_maps() {
            self.read_with_maps(frame, row, checked);
            return;
        }
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
            _ => (read_aos(word, self.parameters.issue_5), 1),
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

    /// The same of a TC or USLP frame.
    fn read_with_maps(&mut self, frame: &[u8], mut row: Row, checked: Result<(), Status>) {
        let mut map_row = MapRow::unread(frame.len());
        row.status = match checked {
            Ok(()) => self.receive_with_maps(frame, &mut row, &mut map_row),
            Err(status) => status,
        };
        row.push(&mut self.batch);
        map_row.push(&mut self.batch);
    }

    fn receive_with_maps(&mut self, frame: &[u8], row: &mut Row, map_row: &mut MapRow) -> Status {
        let Self { parameters, map_channels, maps, totals, batch, .. } = self;
        let head = read_head(frame, parameters).filter(|head| head.version_valid);
        let named = head.and_then(|head| {
            let channel = parameters.virtual_channel(head.spacecraft_id, head.virtual_channel_id)?;
            Some((head.spacecraft_id, head.virtual_channel_id, channel))
        });
        let Some((spacecraft_id, virtual_channel_id, agreed)) = named else {
            totals.foreign_frames += 1;
            return Status::Foreign;
        };
        let key = (spacecraft_id, virtual_channel_id, false);
        let read = read_map_frame(frame, parameters, agreed);
        let map_id = read.as_ref().and_then(|read| read.map_id);
        let channel = match map_channels.entry(key) {
            Entry::Occupied(there) if there.get().has_map(map_id) || *maps < parameters.maximum_maps() => {
                there.into_mut()
            }
            Entry::Vacant(free) if *maps < parameters.maximum_maps() => free.insert(MapChannel::new(parameters, key)),
            _ => {
                totals.surplus_channel_frames += 1;
                return Status::Surplus;
            }
        };
        row.spacecraft_id = spacecraft_id;
        row.virtual_channel_id = virtual_channel_id;
        let before = channel.counted;
        channel.account.frames += 1;
        let mut sink = Sink { batch, key, deliver_idle: parameters.deliver_idle_packets };
        let status = match read {
            Some(read) => {
                *map_row = MapRow::of(frame.len(), &read);
                row.count = read.count as u32;
                channel.receive(frame, &read, parameters, (row, map_row), &mut sink)
            }
            None => channel.refuse(&mut sink),
        };
        channel.counted = channel.size();
        *maps += channel.counted - before;
        status
    }
}
