//! A capture brought in pieces: a file, standard input or memory, plain or gzip.
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::fd::AsFd;
use std::path::Path;

use crate::batch::Batch;
use crate::catalogue::Catalogue;
use crate::error::{CaptureError, Kind};
use crate::gather::Gather;
use crate::gzip::{self, GzipReader};
use crate::pcap::{self, PcapWalker};
use crate::pcapng::{self, PcapngWalker};

const SNIFF_OCTETS: usize = 4;
/// Of a classic record without data; a pcapng block has more.
const LEAST_RECORD_OCTETS: usize = 16;

/// How much is read at once, and how much a record may claim.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets asked for in one read, at least 2.
    pub piece_octets: usize,
    /// The longest block or record that is accepted.
    pub maximum_block_octets: usize,
}

/// Where the octets come from.
enum Source {
    File(File),
    Other { source: Box<dyn Read + Send>, room: Vec<u8> },
}

impl Source {
    fn of(source: impl Read + Send + 'static) -> Self {
        Self::Other { source: Box::new(source), room: Vec::new() }
    }

    /// One read onto the end of `buffer`, of about `octets` octets or less.
    fn read(&mut self, buffer: &mut Vec<u8>, octets: usize) -> io::Result<usize> {
        match self {
            Self::File(file) => {
                buffer.reserve(octets);
                Ok(rustix::io::read(file, rustix::buffer::spare_capacity(buffer))?)
            }
            Self::Other { source, room } => {
                room.resize(octets, 0);
                let read = source.read(room)?;
                buffer.extend_from_slice(&room[..read]);
                Ok(read)
            }
        }
    }

    fn into_read(self) -> Box<dyn Read + Send> {
        match self {
            Self::File(file) => Box::new(file),
            Self::Other { source, .. } => source,
        }
    }
}

enum Walker {
    Pcap(PcapWalker),
    Pcapng(PcapngWalker),
}

/// Frames out of a capture, a batch at a time.  Memory: about one piece or one record, and the catalogue.
pub struct Reader {
    source: Source,
    limits: Limits,
    walker: Option<Walker>,
    catalogue: Catalogue,
    buffer: Vec<u8>, // read and not given yet, from `start` on
    start: usize,
    position: u64, // of buffer[start] in the uncompressed capture
    frames_hint: usize,
    at_end: bool,
    compressed: bool,
    truncated_octets: u64,
    truncated_stream: bool,
    failure: Option<CaptureError>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Reader {
    /// Read the file at `path`.
    pub fn open_file(path: &Path, limits: Limits) -> Result<Self, CaptureError> {
        let file = File::open(path).map_err(|error| io_error(&error, 0))?;
        Ok(Self::new(Source::File(file), limits))
    }

    /// Read standard input.
    pub fn open_standard_input(limits: Limits) -> Result<Self, CaptureError> {
        // a descriptor of our own, unbuffered, so that polling it tells the truth
        let descriptor = io::stdin().as_fd().try_clone_to_owned();
        let descriptor = descriptor.map_err(|error| io_error(&error, 0))?;
        Ok(Self::new(Source::File(File::from(descriptor)), limits))
    }

    /// Read `octets`.
    pub fn open_memory(octets: Vec<u8>, limits: Limits) -> Self {
        Self::new(Source::of(Cursor::new(octets)), limits)
    }

    fn new(source: Source, limits: Limits) -> Self {
        let limits = Limits { piece_octets: limits.piece_octets.max(gzip::MAGIC.len()), ..limits };
        Self {
            source,
            limits,
            walker: None,
            catalogue: Catalogue::default(),
            buffer: Vec::new(),
            start: 0,
            position: 0,
            frames_hint: 64,
            at_end: false,
            compressed: false,
            truncated_octets: 0,
            truncated_stream: false,
            failure: None,
        }
    }

    /// Everything that the capture said so far beside its frames.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Whether the last frame has been given.
    pub fn ended(&self) -> bool {
        self.at_end && self.failure.is_none() && self.start == self.buffer.len()
    }

    /// Whether the source has no more octets.
    pub fn at_end(&self) -> bool {
        self.at_end
    }

    /// Whether the octets come through a decompressor.
    pub fn compressed(&self) -> bool {
        self.compressed
    }

    /// Octets of a last record that is not all there.
    pub fn truncated_octets(&self) -> u64 {
        self.truncated_octets
    }

    /// Whether the capture stops short: within a record, or within its gzip stream.
    pub fn truncated(&self) -> bool {
        self.truncated_octets > 0 || self.truncated_stream
    }

    /// Octets of the uncompressed capture walked so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Up to `max_frames` frames, from at most one piece; reads at most `maximum_reads` times to get one.
    ///
    /// An empty batch means that the capture has ended, or that the reads did not bring a whole record.
    /// With `max_frames` 0 it reads on to the first frame and leaves it.
    pub fn next_batch(&mut self, max_frames: usize, maximum_reads: usize) -> Result<Batch, CaptureError> {
        let mut batch = Batch::with_capacity(0, 0);
        for reads in 0.. {
            let stuck = self.walk(max_frames, &mut batch);
            if !batch.is_empty() {
                self.frames_hint = batch.len();
                break;
            }
            if let Some(error) = &self.failure {
                return Err(error.clone());
            }
            if !stuck || self.at_end || reads >= maximum_reads {
                break;
            }
            self.fill()?;
        }
        self.settle(&mut batch)?;
        Ok(batch)
    }

    /// Walk what is buffered; whether more octets are needed to go on.
    fn walk(&mut self, max_frames: usize, batch: &mut Batch) -> bool {
        if self.walker.is_none() {
            self.walker = self.recognise();
        }
        let Some(walker) = self.walker.as_mut().filter(|_| self.failure.is_none()) else {
            return true;
        };
        let piece = &mut self.buffer[self.start..];
        let most = max_frames.min(piece.len() / LEAST_RECORD_OCTETS);
        // a piece that will be used up may be given away as it is, with the frames moved to its front
        let in_place = self.start == 0 && max_frames >= piece.len() / LEAST_RECORD_OCTETS;
        let octets = piece.len().min(max_frames.saturating_mul(2048));
        let mut gather = Gather::new(in_place, most.min(self.frames_hint + self.frames_hint / 8), octets);
        let (octets, failure) = match walker {
            Walker::Pcap(walker) => walker.walk(piece, self.position, max_frames, &mut gather),
            Walker::Pcapng(walker) => walker.walk(piece, self.position, max_frames, &mut gather, &mut self.catalogue),
        };
        self.failure = failure;
        self.start += octets;
        self.position += octets as u64;
        if gather.len() > 0 {
            *batch = gather.finish(if in_place { self.give_away() } else { Vec::new() });
        }
        max_frames > 0 || !self.frame_waits()
    }

    /// The buffer, whose octets after `start` go into a new one.
    fn give_away(&mut self) -> Vec<u8> {
        let mut rest = Vec::with_capacity(self.buffer.len() - self.start + self.limits.piece_octets);
        rest.extend_from_slice(&self.buffer[self.start..]);
        self.start = 0;
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Whether a whole frame is buffered; asked only while priming.
    fn frame_waits(&mut self) -> bool {
        match &mut self.walker {
            Some(Walker::Pcap(_)) => true, // the file header was all that priming wanted
            Some(Walker::Pcapng(_)) => !self.catalogue.interfaces.is_empty() && self.buffer.len() > self.start + 7,
            None => false,
        }
    }

    /// At the end: what is left is a record cut short, or no capture at all.
    fn settle(&mut self, batch: &mut Batch) -> Result<(), CaptureError> {
        if !self.at_end || !batch.is_empty() || self.failure.is_some() {
            return Ok(());
        }
        if self.walker.is_none() || self.catalogue.sections.is_empty() {
            let octets = self.buffer.len() - self.start;
            let message = match octets {
                0 => "it is empty".to_owned(),
                _ => format!("it ends after {octets} octets, within its first header"),
            };
            let error = CaptureError::new(Kind::NotACapture, 0, message);
            self.failure = Some(error.clone());
            return Err(error);
        }
        Ok(())
    }

    /// Declare the octets that are left a truncated record.  To be called when `next_batch` gave nothing.
    pub fn finish(&mut self) {
        if self.at_end && self.failure.is_none() && self.buffer.len() > self.start {
            self.truncated_octets = (self.buffer.len() - self.start) as u64;
            self.start = self.buffer.len();
        }
    }

    fn recognise(&mut self) -> Option<Walker> {
        let piece = &self.buffer[self.start..];
        if piece.len() < SNIFF_OCTETS {
            return None;
        }
        let maximum = self.limits.maximum_block_octets;
        if pcapng::is_section_header(piece) {
            return Some(Walker::Pcapng(PcapngWalker::new(maximum)));
        }
        let Some(big_endian) = pcap::byte_order(piece) else {
            let start: Vec<String> = piece[..SNIFF_OCTETS].iter().map(|octet| format!("{octet:02x}")).collect();
            let message = format!("it begins with {}, which neither pcap nor pcapng does", start.join(" "));
            self.failure = Some(CaptureError::new(Kind::NotACapture, 0, message));
            return None;
        };
        if piece.len() < pcap::HEADER_OCTETS {
            return None;
        }
        match PcapWalker::open(piece, big_endian, maximum, &mut self.catalogue) {
            Ok(walker) => {
                self.start += pcap::HEADER_OCTETS;
                self.position += pcap::HEADER_OCTETS as u64;
                Some(Walker::Pcap(walker))
            }
            Err(error) => {
                self.failure = Some(error);
                None
            }
        }
    }

    /// One read.  The buffer grows only when it is full of octets that are there.
    fn fill(&mut self) -> Result<(), CaptureError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        match self.source.read(&mut self.buffer, self.limits.piece_octets) {
            Ok(0) => self.at_end = true,
            Ok(_) => {}
            Err(error) if self.compressed && error.kind() == io::ErrorKind::UnexpectedEof => {
                self.truncated_stream = true;
                self.at_end = true;
            }
            Err(error) if self.compressed && error.kind() == io::ErrorKind::InvalidData => {
                let position = self.position + self.buffer.len() as u64;
                let message = format!("the gzip stream is damaged ({error})");
                // what was whole has been given by now: `fill` is only called when stuck
                self.failure = Some(CaptureError::damaged(position, message));
            }
            Err(error) => return Err(io_error(&error, self.position)),
        }
        if self.walker.is_none() && !self.compressed && self.buffer.starts_with(&gzip::MAGIC) {
            self.unpack();
        }
        Ok(())
    }

    /// The octets so far are the start of a gzip stream: read them again, and what follows, through a decompressor.
    fn unpack(&mut self) {
        let source = std::mem::replace(&mut self.source, Source::of(io::empty())).into_read();
        self.source = Source::of(GzipReader::new(std::mem::take(&mut self.buffer), source));
        self.compressed = true;
    }
}

fn io_error(error: &io::Error, position: u64) -> CaptureError {
    let kind = match error.kind() {
        io::ErrorKind::Interrupted => Kind::Interrupted,
        _ => Kind::Io,
    };
    let words = error.to_string();
    let plain = words.split(" (os error").next().unwrap_or(&words);
    CaptureError::new(kind, position, plain.to_lowercase())
}
