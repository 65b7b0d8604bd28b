//! Octets of capture files: headers, frames, statistics; pcap and pcapng, both byte orders.
use crate::batch::{Annotation, Frames};
use crate::catalogue::RawOption;
use crate::octets::padded;
use crate::pcapng::{
    BYTE_ORDER_MAGIC, ENHANCED_PACKET, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, OPTION_RESOLUTION, SECTION_HEADER,
    SIMPLE_PACKET,
};

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The classic one.
    Pcap,
    /// Blocks and options.
    Pcapng,
}

/// How a capture is written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Format.
    pub format: Format,
    /// Byte order.
    pub big_endian: bool,
    /// Nanoseconds or microseconds.
    pub nanoseconds: bool,
    /// LINKTYPE number.
    pub link_type: u16,
    /// Snap length that the header states; 0 for none.
    pub snap_length: u32,
}

struct Out {
    octets: Vec<u8>,
    big_endian: bool,
}

impl Out {
    fn u16(&mut self, value: u16) {
        let cell = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        self.octets.extend_from_slice(&cell);
    }

    fn u32(&mut self, value: u32) {
        let cell = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        self.octets.extend_from_slice(&cell);
    }

    fn padded(&mut self, value: &[u8]) {
        self.octets.extend_from_slice(value);
        self.octets.extend_from_slice(&[0; 3][..padded(value.len()) - value.len()]);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.u16(code);
        self.u16(value.len() as u16);
        self.padded(value);
    }

    fn options<'a>(&mut self, options: impl Iterator<Item = (u16, &'a [u8])>) {
        let before = self.octets.len();
        for (code, value) in options {
            self.option(code, value);
        }
        if self.octets.len() > before {
            self.u32(0);
        }
    }

    /// A block around what `body` writes.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Self)) {
        let start = self.octets.len();
        self.u32(kind);
        self.u32(0);
        body(self);
        let total = (self.octets.len() + 4 - start) as u32;
        self.u32(total);
        let cell = if self.big_endian { total.to_be_bytes() } else { total.to_le_bytes() };
        self.octets[start + 4..start + 8].copy_from_slice(&cell);
    }
}

fn pairs(options: &[RawOption]) -> impl Iterator<Item = (u16, &[u8])> {
    options.iter().map(|option| (option.code, option.value.as_slice()))
}

/// Say what is wrong with options, if anything: a value must be shorter than 64 KiB.
pub fn check_options<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<(), String> {
    match values.find(|value| value.len() > usize::from(u16::MAX)) {
        None => Ok(()),
        Some(value) => Err(format!("an option of {} octets is too long; 65535 fit", value.len())),
    }
}

impl Style {
    fn out(&self, octets: usize) -> Out {
        Out { octets: Vec::with_capacity(octets), big_endian: self.big_endian }
    }

    /// The octets before the first frame.  Options only go into pcapng.
    pub fn header(&self, section: &[RawOption], interface: &[RawOption]) -> Vec<u8> {
        let mut out = self.out(256);
        match self.format {
            Format::Pcap => {
                out.u32(if self.nanoseconds { 0xA1B2_3C4D } else { 0xA1B2_C3D4 });
                out.u16(2);
                out.u16(4);
                out.u32(0);
                out.u32(0);
                out.u32(if self.snap_length == 0 { 0x0004_0000 } else { self.snap_length });
                out.u32(u32::from(self.link_type));
            }
            Format::Pcapng => {
                out.block(SECTION_HEADER, |out| {
                    out.u32(BYTE_ORDER_MAGIC);
                    out.u16(1);
                    out.u16(0);
                    out.u32(u32::MAX); // section length not stated
                    out.u32(u32::MAX);
                    out.options(pairs(section));
                });
                let resolution = [if self.nanoseconds { 9 } else { 6 }];
                out.block(INTERFACE_DESCRIPTION, |out| {
                    out.u16(self.link_type);
                    out.u16(0);
                    out.u32(self.snap_length);
                    let clock = (OPTION_RESOLUTION, resolution.as_slice());
                    out.options(pairs(interface).chain([clock]));
                });
            }
        }
        out.octets
    }

    /// The frames' records.  `annotations` are in order of their frames and go into pcapng only.
    pub fn frames(&self, frames: &Frames<'_>, annotations: &[Annotation]) -> Result<Vec<u8>, String> {
        let mut out = self.out(frames.octets.len() + 40 * frames.len());
        let mut annotations = annotations.iter().peekable();
        for index in 0..frames.len() {
            let frame = frames.frame(index);
            let original = frames.original_lengths[index].max(frame.len() as u32);
            let ns = frames.timestamps_ns[index];
            match self.format {
                Format::Pcap => self.record(&mut out, frame, ns, original)?,
                Format::Pcapng => {
                    let mut own = Vec::new();
                    while let Some(option) = annotations.next_if(|option| option.frame <= index) {
                        own.push((option.code, option.value.as_slice()));
                    }
                    self.packet(&mut out, frame, ns, original, &own);
                }
            }
        }
        Ok(out.octets)
    }

    fn record(&self, out: &mut Out, frame: &[u8], ns: i64, original: u32) -> Result<(), String> {
        let ns = ns.max(0); // the format cannot say "unknown"
        let seconds =
            u32::try_from(ns / 1_000_000_000).map_err(|_| "pcap holds no time after 2106; pcapng does".to_owned())?;
        let fraction = (ns % 1_000_000_000) as u32;
        out.u32(seconds);
        out.u32(if self.nanoseconds { fraction } else { fraction / 1000 });
        out.u32(frame.len() as u32);
        out.u32(original);
        out.octets.extend_from_slice(frame);
        Ok(())
    }

    fn packet(&self, out: &mut Out, frame: &[u8], ns: i64, original: u32, own: &[(u16, &[u8])]) {
        let whole = original as usize == frame.len() && (self.snap_length == 0 || original <= self.snap_length);
        if ns < 0 && whole && own.is_empty() {
            out.block(SIMPLE_PACKET, |out| {
                out.u32(original);
                out.padded(frame);
            });
            return;
        }
        let ticks = ns.max(0) as u64 / if self.nanoseconds { 1 } else { 1000 };
        out.block(ENHANCED_PACKET, |out| {
            out.u32(0);
            out.u32((ticks >> 32) as u32);
            out.u32(ticks as u32);
            out.u32(frame.len() as u32);
            out.u32(original);
            out.padded(frame);
            out.options(own.iter().copied());
        });
    }

    /// An interface statistics block; `counts` are option codes and 64-bit values.
    pub fn statistics(&self, timestamp_ns: i64, counts: &[(u16, u64)]) -> Vec<u8> {
        let mut out = self.out(128);
        let ticks = timestamp_ns.max(0) as u64 / if self.nanoseconds { 1 } else { 1000 };
        let cells: Vec<(u16, [u8; 8])> = counts
            .iter()
            .map(|(code, value)| {
                let cell = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
                (*code, cell)
            })
            .collect();
        out.block(INTERFACE_STATISTICS, |out| {
            out.u32(0);
            out.u32((ticks >> 32) as u32);
            out.u32(ticks as u32);
            out.options(cells.iter().map(|(code, cell)| (*code, cell.as_slice())));
        });
        out.octets
    }
}
