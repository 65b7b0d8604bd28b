//! Packets back to back, without frames: the same account, the same columns.

use crate::account::Account;
use crate::batch::Batch;
use crate::extraction::{Extractor, Origin};
use crate::parameters::VirtualChannel;
use crate::row::deliver;

/// A stream of packets, taken in pieces of any size.
pub struct PacketStream {
    parameters: VirtualChannel,
    deliver_idle_packets: bool,
    extractor: Extractor,
    account: Account,
    octets_in: u64,
    stopped: bool,
    batch: Batch,
}

impl PacketStream {
    /// A stream that is to begin with a packet.
    pub fn new(parameters: VirtualChannel, deliver_idle_packets: bool, digest: bool) -> Self {
        Self {
            parameters,
            deliver_idle_packets,
            extractor: Extractor::default(),
            account: Account { digest: digest.then(Default::default), ..Account::default() },
            octets_in: 0,
            stopped: false,
            batch: Batch::default(),
        }
    }

    /// Take in octets received at `time_ns` (-1: unknown).  Behind a place where no packet starts nothing is read.
    pub fn feed(&mut self, octets: &[u8], time_ns: i64) -> Batch {
        self.feed_record(octets, time_ns);
        self.take_batch()
    }

    /// Take in a piece of the stream; the packets wait for `take_batch`.
    pub fn feed_record(&mut self, octets: &[u8], time_ns: i64) {
        self.octets_in += octets.len() as u64;
        if !self.stopped {
            let Self { parameters, deliver_idle_packets, extractor, account, batch, .. } = self;
            let origin = Origin { reception_time_ns: time_ns, ..Origin::default() };
            let mut give = |packet: crate::extraction::Packet<'_>| {
                deliver(batch, (0, 0, false), &packet, *deliver_idle_packets);
            };
            self.stopped = !extractor.stream(octets, origin, parameters, account, &mut give);
        }
    }

    /// What `feed_record` has gathered.
    pub fn take_batch(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// The stream ends: the packet in progress stays incomplete.
    pub fn finish(&mut self) -> Batch {
        let Self { parameters, deliver_idle_packets, extractor, account, batch, .. } = self;
        extractor.finish(parameters, account, &mut |packet| {
            deliver(batch, (0, 0, false), &packet, *deliver_idle_packets);
        });
        std::mem::take(&mut self.batch)
    }

    /// The account so far.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Octets behind the last complete packet.
    pub fn trailing_octets(&self) -> u64 {
        self.octets_in - self.account.packet_octets - self.account.idle_octets
    }

    /// No packet starts behind the last complete one.
    pub fn stopped(&self) -> bool {
        self.stopped
    }
}
