//! gzip, read so that what was unpacked before a damage is given before the damage is told.  Source: RFC 1952.
//!
//! flate2's own reader loses what it unpacked in the call that meets the damage, so that what a damaged capture gives
//! would depend on how much is read at once; so the framing is here, and the inflating is miniz_oxide's core.
use std::io::{self, Read};

use flate2::Crc;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

pub(crate) const MAGIC: [u8; 2] = [0x1F, 0x8B];
const PACKED_OCTETS: usize = 64 << 10;
/// What a member may refer back to is half of it; a power of two, as the inflater wants its ring.
const WINDOW_OCTETS: usize = 64 << 10;
const HEADER_CHECK: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

enum State {
    Header,
    Body,
    Trailer,
}

/// Octets out of a gzip stream of one member or several.
pub(crate) struct GzipReader<R> {
    source: R,
    packed: Vec<u8>,
    start: usize,
    state: State,
    inflate: Box<DecompressorOxide>,
    window: Vec<u8>, // a ring
    given: usize,    // of the window, up to where it was given
    unpacked: usize, // of the window, up to where there is something to give
    check: Crc,      // of the member's header, then of its octets
    failure: Option<(io::ErrorKind, &'static str)>,
}

impl<R: Read> GzipReader<R> {
    /// Read the stream that starts with `packed` and goes on in `source`.
    pub(crate) fn new(packed: Vec<u8>, source: R) -> Self {
        Self {
            source,
            packed,
            start: 0,
            state: State::Header,
            inflate: Box::default(),
            window: vec![0; WINDOW_OCTETS],
            given: 0,
            unpacked: 0,
            check: Crc::new(),
            failure: None,
        }
    }

    /// One read from the source; false at its end.
    fn fill(&mut self) -> io::Result<bool> {
        self.packed.drain(..self.start);
        self.start = 0;
        let held = self.packed.len();
        self.packed.resize(held + PACKED_OCTETS, 0);
        let read = self.source.read(&mut self.packed[held..]);
        self.packed.truncate(held + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    /// Whether `octets` octets are there.
    fn has(&mut self, octets: usize) -> io::Result<bool> {
        while self.packed.len() - self.start < octets {
            if !self.fill()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take<const OCTETS: usize>(&mut self) -> io::Result<[u8; OCTETS]> {
        if !self.has(OCTETS)? {
            return Err(cut_short());
        }
        let mut taken = [0; OCTETS];
        taken.copy_from_slice(&self.packed[self.start..self.start + OCTETS]);
        self.start += OCTETS;
        Ok(taken)
    }

    fn take_header<const OCTETS: usize>(&mut self) -> io::Result<[u8; OCTETS]> {
        let taken = self.take::<OCTETS>()?;
        self.check.update(&taken);
        Ok(taken)
    }

    fn header(&mut self) -> io::Result<()> {
        self.check.reset();
        let fixed = self.take_header::<10>()?;
        let flags = fixed[3];
        if fixed[..3] != [MAGIC[0], MAGIC[1], 8] || flags & RESERVED != 0 {
            return Err(damaged("no gzip header where one is due"));
        }
        if flags & EXTRA != 0 {
            for _ in 0..u16::from_le_bytes(self.take_header()?) {
                self.take_header::<1>()?;
            }
        }
        for text in [NAME, COMMENT] {
            if flags & text != 0 {
                while self.take_header::<1>()? != [0] {}
            }
        }
        let check = self.check.sum() as u16;
        if flags & HEADER_CHECK != 0 && u16::from_le_bytes(self.take()?) != check {
            return Err(damaged("a gzip header does not fit its checksum"));
        }
        self.check.reset();
        self.inflate.init();
        (self.given, self.unpacked) = (0, 0);
        self.state = State::Body;
        Ok(())
    }

    /// Unpack something into the window, which has been given as far as it goes.
    fn body(&mut self) -> io::Result<()> {
        if self.unpacked == WINDOW_OCTETS {
            (self.given, self.unpacked) = (0, 0);
        }
        let packed = &self.packed[self.start..];
        let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        let (status, taken, octets) = decompress(&mut self.inflate, packed, &mut self.window, self.unpacked, flags);
        self.start += taken;
        self.check.update(&self.window[self.unpacked..self.unpacked + octets]);
        self.unpacked += octets;
        match status {
            TINFLStatus::Done => self.state = State::Trailer,
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::NeedsMoreInput if octets > 0 => {}
            TINFLStatus::NeedsMoreInput => {
                if !self.fill()? {
                    return Err(cut_short());
                }
            }
            _ => self.failure = Some((io::ErrorKind::InvalidData, "corrupt deflate stream")),
        }
        Ok(())
    }

    fn trailer(&mut self) -> io::Result<()> {
        let (check, amount) = (self.check.sum(), self.check.amount());
        if u32::from_le_bytes(self.take()?) != check || u32::from_le_bytes(self.take()?) != amount {
            return Err(damaged("the octets do not fit their checksum"));
        }
        self.state = State::Header;
        Ok(())
    }
}

impl<R: Read> Read for GzipReader<R> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        if octets.is_empty() {
            return Ok(0);
        }
        loop {
            let waiting = &self.window[self.given..self.unpacked];
            if !waiting.is_empty() {
                let count = waiting.len().min(octets.len());
                octets[..count].copy_from_slice(&waiting[..count]);
                self.given += count;
                return Ok(count);
            }
            if let Some((kind, words)) = self.failure {
                return Err(io::Error::new(kind, words));
            }
            match self.state {
                State::Header => {
                    if !self.has(1)? {
                        return Ok(0);
                    }
                    self.header()?;
                }
                State::Body => self.body()?,
                State::Trailer => self.trailer()?,
            }
        }
    }
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the gzip stream is cut short")
}

fn damaged(words: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, GzBuilder};

    use super::*;

    fn packed(octets: &[u8], named: bool) -> Vec<u8> {
        let builder = GzBuilder::new();
        let builder = if named { builder.filename("n").comment("c").extra("extra") } else { builder };
        let mut encoder = builder.write(Vec::new(), Compression::fast());
        encoder.write_all(octets).expect("a vector takes all");
        encoder.finish().expect("a vector takes all")
    }

    /// All that comes, in reads of `most` octets, and how it ends.
    fn read(stream: &[u8], first: usize, most: usize) -> (Vec<u8>, Option<(io::ErrorKind, String)>) {
        let mut reader = GzipReader::new(stream[..first].to_vec(), &stream[first..]);
        let (mut all, mut room) = (Vec::new(), vec![0; most]);
        loop {
            match reader.read(&mut room) {
                Ok(0) => return (all, None),
                Ok(octets) => all.extend_from_slice(&room[..octets]),
                Err(error) => return (all, Some((error.kind(), error.to_string()))),
            }
        }
    }

    #[test]
    fn what_comes_does_not_depend_on_how_it_is_read() {
        let octets: Vec<u8> = (0..20_000u32).map(|i| ((i * i) >> (7 + i / 5000)) as u8 & 0x5F).collect();
        let stream = [packed(&octets, true), packed(b"", false), packed(&octets, false)].concat();
        assert_eq!(read(&stream, 2, 1 << 20), ([&octets[..], &octets].concat(), None));
        let mut seed = 1u32;
        for _ in 0..200 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut broken = stream.clone();
            let at = (seed >> 8) as usize % stream.len();
            if seed & 64 != 0 {
                broken.truncate(at);
            } else {
                broken[at] ^= 1 << (seed & 7);
            }
            let whole = read(&broken, 0, 1 << 20);
            for (first, most) in [(0, 61), (2, 7), (broken.len() / 2, 4096), (broken.len(), 100_000)] {
                assert_eq!(read(&broken, first.min(broken.len()), most), whole);
            }
        }
    }

    #[test]
    fn a_stream_cut_short_says_so() {
        let stream = packed(&[7; 1000], true);
        for cut in 1..stream.len() {
            let (octets, end) = read(&stream[..cut], 0, 100);
            assert!(octets.iter().all(|&octet| octet == 7));
            assert_eq!(end.expect("an error").0, io::ErrorKind::UnexpectedEof, "{cut}");
        }
    }
}
