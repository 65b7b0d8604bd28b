//! A TM or AOS virtual channel at work, and the account of a TM master channel.

use crate::account::Account;
use crate::batch::quality;
use crate::counter::{FrameCounter, Step};
use crate::extraction::{Extractor, Packet};
use crate::frame::{Header, Zone};
use crate::parameters::{PhysicalChannel, VirtualChannel};
use crate::row::Row;

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
pub(crate) struct Channel {
    pub(crate) parameters: VirtualChannel,
    counter: FrameCounter,
    pub(crate) extractor: Extractor,
    pub(crate) account: Account,
    pub(crate) last_frame: Vec<u8>,
}

impl MasterAccount {
    pub(crate) fn count(&mut self, count: u32) {
        if let Step::Gap(lost) = self.counter.step(u64::from(count), 8, 0) {
            self.counter_gaps += 1;
            self.lost_frames += lost;
        }
    }
}

impl Channel {
    pub(crate) fn new(parameters: &PhysicalChannel, key: ChannelKey) -> Self {
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
    pub(crate) fn count(
        &mut self,
        header: &Header,
        late_window: u32,
        row: &mut Row,
        give: &mut impl FnMut(Packet<'_>),
    ) -> Step {
        if self.parameters.frame_count_frozen {
            return Step::InSequence;
        }
        let step = self.counter.step(u64::from(header.count), header.count_bits, late_window);
        let lost = match step {
            Step::InSequence => return step,
            Step::Late => {
                self.account.late_frames += 1;
                row.reception.quality |= quality::LATE;
                return step;
            }
            Step::Gap(lost) => {
                self.account.counter_gaps += 1;
                self.account.lost_frames += lost;
                u32::try_from(lost).unwrap_or(u32::MAX)
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

    pub(crate) fn zone(
        &mut self,
        frame: &[u8],
        zone: &Zone,
        step: Step,
        row: &mut Row,
        give: &mut impl FnMut(Packet<'_>),
    ) {
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
