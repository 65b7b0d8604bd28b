//! Records in an octet stream: how they are cut out of it and put into it.  Knows no socket.
use netmap_io_capture::batch::{Batch, Frames};

/// How a stream holds records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No records: octets as they come.
    Stream,
    /// Records of this many octets each.
    Fixed(usize),
    /// A length before each record, big-endian.
    Prefixed {
        /// Octets of the length: 2 or 4.
        octets: usize,
        /// Whether the length counts itself too.
        inclusive: bool,
    },
}

/// What came in, to the octet: `record + header + refused + partial + held` is all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutAccount {
    /// Records given.
    pub records: u64,
    /// Their octets.
    pub record_octets: u64,
    /// Octets of their length fields.
    pub header_octets: u64,
    /// Lengths that no record may have; nothing after one can be told apart.
    pub refused_lengths: u64,
    /// The last of them.
    pub refused_length: u64,
    /// Octets thrown away with it, its length field included.
    pub refused_octets: u64,
    /// Octets of records that were not all there when the stream ended.
    pub partial_octets: u64,
}

/// Cuts records out of a stream that comes in pieces.
pub struct Cutter {
    framing: Framing,
    maximum: usize,
    /// Octets that came are those from `start` to `end`; behind lies room that is kept from one read to the next.
    held: Vec<u8>,
    start: usize,
    end: usize,
    offered: usize,
    broken: bool,
    timestamp_ns: i64,
    account: CutAccount,
}

impl Cutter {
    /// `maximum`: octets of the longest record taken (in a stream: given as one frame).
    pub fn new(framing: Framing, maximum: usize) -> Self {
        let account = CutAccount::default();
        Self {
            framing,
            maximum: maximum.max(1),
            held: Vec::new(),
            start: 0,
            end: 0,
            offered: 0,
            broken: false,
            timestamp_ns: -1,
            account,
        }
    }

    /// The account so far.
    pub fn account(&self) -> CutAccount {
        self.account
    }

    /// Octets that came and have neither been given nor thrown away.
    pub fn held_octets(&self) -> usize {
        self.end - self.start
    }

    /// Whether a length was refused: nothing more will come of this stream.
    pub fn broken(&self) -> bool {
        self.broken
    }

    /// Room for `octets` more at the end; whatever is put there is told with `filled`.
    pub(crate) fn room(&mut self, octets: usize) -> &mut [u8] {
        self.held.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.held.len() < self.end + octets {
            self.held.resize(self.end + octets, 0);
        }
        self.offered = octets;
        &mut self.held[self.end..self.end + octets]
    }

    /// Of the room given, all but the last `unused` octets were filled, at `timestamp_ns`.
    pub(crate) fn filled(&mut self, unused: usize, timestamp_ns: i64) {
        self.end += self.offered.saturating_sub(unused);
        if unused < self.offered {
            self.timestamp_ns = timestamp_ns;
        }
        self.offered = 0;
        if self.broken {
            self.refuse();
        }
    }

    /// Add a piece of the stream.
    pub fn feed(&mut self, octets: &[u8], timestamp_ns: i64) {
        self.room(octets.len()).copy_from_slice(octets);
        self.filled(0, timestamp_ns);
    }

    fn refuse(&mut self) {
        self.broken = true;
        self.account.refused_octets += self.held_octets() as u64;
        self.start = 0;
        self.end = 0;
    }

    /// Header and body octets of the record at the front: None when it is not all there, Err with a refused length.
    fn front(&self) -> Result<Option<(usize, usize)>, u64> {
        let rest = &self.held[self.start..self.end];
        let (header, body) = match self.framing {
            Framing::Stream => (0, rest.len().min(self.maximum)),
            Framing::Fixed(octets) => (0, octets),
            Framing::Prefixed { octets, inclusive } => {
                let Some(field) = rest.get(..octets) else { return Ok(None) };
                let length = field.iter().fold(0u64, |value, &octet| value << 8 | u64::from(octet));
                let own = if inclusive { octets as u64 } else { 0 };
                match length.checked_sub(own) {
                    Some(body) if body <= self.maximum as u64 => (octets, body as usize),
                    _ => return Err(length),
                }
            }
        };
        let empty_stream = self.framing == Framing::Stream && body == 0;
        Ok((!empty_stream && header + body <= rest.len()).then_some((header, body)))
    }

    /// Whether a record is all there.
    pub fn holds(&self) -> bool {
        matches!(self.front(), Ok(Some(_)))
    }

    /// Octets that the record at the front still lacks, as far as can be told; at least 1.
    pub(crate) fn lacks(&self) -> usize {
        let there = self.held_octets();
        let whole = match self.framing {
            Framing::Stream => 0,
            Framing::Fixed(octets) => octets,
            Framing::Prefixed { octets, .. } => {
                let field = self.held[self.start..self.end].get(..octets);
                let length =
                    field.map_or(0, |field| field.iter().fold(0usize, |v, &octet| v << 8 | usize::from(octet)));
                length.min(self.maximum) + octets
            }
        };
        whole.saturating_sub(there).max(1)
    }

    /// Give the records that are all there, until the batch has `max_frames`; `interface` names the stream.
    pub fn cut(&mut self, batch: &mut Batch, max_frames: usize, interface: u32) {
        while batch.len() < max_frames {
            match self.front() {
                Ok(None) => break,
                Ok(Some((header, body))) => {
                    let start = self.start + header;
                    let frame = &self.held[start..start + body];
                    batch.push(frame, self.timestamp_ns, body as u32, interface);
                    self.start = start + body;
                    self.account.records += 1;
                    self.account.record_octets += body as u64;
                    self.account.header_octets += header as u64;
                }
                Err(length) => {
                    self.account.refused_lengths += 1;
                    self.account.refused_length = length;
                    self.refuse();
                    break;
                }
            }
        }
    }

    /// The stream has ended: what is left is part of a record.
    pub fn finish(&mut self) {
        self.account.partial_octets += self.held_octets() as u64;
        self.start = 0;
        self.end = 0;
    }
}

/// Puts records into a stream, and holds what the stream does not take yet.
pub struct Queue {
    framing: Framing,
    limit: usize,
    octets: Vec<u8>,
    start: usize,
    /// Where each record that has not gone ends, and its own octets; positions count from the stream's first octet.
    ends: std::collections::VecDeque<(u64, usize)>,
    gone: u64,
    sent_records: u64,
    sent_octets: u64,
}

impl Queue {
    /// Takes records while it holds less than `limit` octets.
    pub fn new(framing: Framing, limit: usize) -> Self {
        let ends = std::collections::VecDeque::new();
        Self { framing, limit, octets: Vec::new(), start: 0, ends, gone: 0, sent_records: 0, sent_octets: 0 }
    }

    /// Octets that have not gone.
    pub fn octets(&self) -> usize {
        self.octets.len() - self.start
    }

    /// Records that have not gone to their last octet.
    pub fn records(&self) -> usize {
        self.ends.len()
    }

    /// Records gone to their last octet, and their octets.
    pub fn sent(&self) -> (u64, u64) {
        (self.sent_records, self.sent_octets)
    }

    /// Say what is wrong with a frame of this length, if anything.
    pub fn check(&self, length: usize) -> Result<(), String> {
        match self.framing {
            Framing::Stream => Ok(()),
            Framing::Fixed(octets) if length == octets => Ok(()),
            Framing::Fixed(octets) => Err(format!("records have {octets} octets here, a frame has {length}")),
            Framing::Prefixed { octets, inclusive } => {
                let most = (1u64 << (8 * octets)) - 1 - if inclusive { octets as u64 } else { 0 };
                if length as u64 <= most {
                    return Ok(());
                }
                Err(format!("a length of {octets} octets ends at {most}, a frame has {length}"))
            }
        }
    }

    /// Whether a frame would be taken.
    pub fn has_room(&self) -> bool {
        self.octets() < self.limit
    }

    /// Take at most `most` frames from `first` on, while there is room (`force`: room or not); how many.
    pub fn put(&mut self, frames: &Frames<'_>, first: usize, most: usize, force: bool) -> usize {
        self.octets.drain(..self.start);
        self.start = 0;
        let mut taken = 0;
        while taken < most && first + taken < frames.len() && (force || self.octets.len() < self.limit) {
            let frame = frames.frame(first + taken);
            if let Framing::Prefixed { octets, inclusive } = self.framing {
                let length = frame.len() + if inclusive { octets } else { 0 };
                self.octets.extend_from_slice(&(length as u64).to_be_bytes()[8 - octets..]);
            }
            self.octets.extend_from_slice(frame);
            self.ends.push_back((self.gone + self.octets.len() as u64, frame.len()));
            taken += 1;
        }
        taken
    }

    /// What has not gone.
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.octets[self.start..]
    }

    /// The first `count` of the octets waiting have gone.
    pub(crate) fn went(&mut self, count: usize) {
        self.start += count;
        self.gone += count as u64;
        while let Some(&(end, length)) = self.ends.front()
            && end <= self.gone
        {
            self.ends.pop_front();
            self.sent_records += 1;
            self.sent_octets += length as u64;
        }
    }

    /// The stream is gone: forget what waits; how many records.
    pub fn drop_all(&mut self) -> usize {
        let records = self.ends.len();
        self.ends.clear();
        self.octets.clear();
        self.start = 0;
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lengths: &[usize]) -> Batch {
        let mut batch = Batch::with_capacity(lengths.len(), 0);
        for (index, &length) in lengths.iter().enumerate() {
            batch.push(&vec![index as u8; length], -1, length as u32, 0);
        }
        batch
    }

    fn written(framing: Framing, lengths: &[usize]) -> Vec<u8> {
        let mut queue = Queue::new(framing, usize::MAX);
        assert_eq!(queue.put(&batch(lengths).frames(), 0, usize::MAX, false), lengths.len());
        let octets = queue.waiting().to_vec();
        queue.went(octets.len());
        assert_eq!((queue.records(), queue.sent().0 as usize), (0, lengths.len()));
        octets
    }

    #[test]
    fn every_split_gives_the_same_records() {
        for (framing, lengths) in [
            (Framing::Prefixed { octets: 2, inclusive: false }, vec![3, 0, 300, 1]),
            (Framing::Prefixed { octets: 2, inclusive: true }, vec![3, 0, 300, 1]),
            (Framing::Prefixed { octets: 4, inclusive: false }, vec![3, 0, 300, 1]),
            (Framing::Prefixed { octets: 4, inclusive: true }, vec![3, 0, 300, 1]),
            (Framing::Fixed(5), vec![5, 5, 5]),
        ] {
            let octets = written(framing, &lengths);
            for piece in [1, 2, 3, 7, 1000] {
                let mut cutter = Cutter::new(framing, 300);
                let mut given = Batch::with_capacity(0, 0);
                for part in octets.chunks(piece) {
                    cutter.feed(part, -1);
                    cutter.cut(&mut given, usize::MAX, 0);
                }
                cutter.finish();
                assert_eq!(given, batch(&lengths), "{framing:?} {piece}");
                let account = cutter.account();
                assert_eq!(account.record_octets + account.header_octets, octets.len() as u64);
                assert_eq!((account.partial_octets, account.refused_octets), (0, 0));
            }
        }
    }

    #[test]
    fn the_prefix_is_big_endian_and_counts_itself_where_told() {
        assert_eq!(written(Framing::Prefixed { octets: 2, inclusive: false }, &[2]), [0, 2, 0, 0]);
        assert_eq!(written(Framing::Prefixed { octets: 2, inclusive: true }, &[2]), [0, 4, 0, 0]);
        assert_eq!(written(Framing::Prefixed { octets: 4, inclusive: true }, &[1]), [0, 0, 0, 5, 0]);
    }

    #[test]
    fn a_hostile_length_ends_it_and_every_octet_is_counted() {
        for (octets, inclusive) in [(&[0, 1, 9, 1, 45, 7, 7][..], false), (&[0, 3, 9, 0, 1, 7, 7], true)] {
            let mut cutter = Cutter::new(Framing::Prefixed { octets: 2, inclusive }, 300);
            cutter.feed(octets, -1);
            let mut given = Batch::with_capacity(0, 0);
            cutter.cut(&mut given, 10, 0);
            cutter.feed(b"more", -1);
            cutter.cut(&mut given, 10, 0);
            cutter.finish();
            let account = cutter.account();
            assert!(cutter.broken());
            assert_eq!((given.len(), account.refused_lengths, account.refused_octets), (1, 1, 8));
            assert_eq!(account.refused_length, if inclusive { 1 } else { 301 });
            assert_eq!(account.record_octets + account.header_octets + account.refused_octets, 11);
        }
    }

    #[test]
    fn a_stream_gives_octets_as_they_come_in_bounded_frames() {
        let mut cutter = Cutter::new(Framing::Stream, 4);
        cutter.feed(&[7; 10], 5);
        let mut given = Batch::with_capacity(0, 0);
        cutter.cut(&mut given, 2, 3);
        assert_eq!((given.offsets.clone(), given.interfaces.clone()), (vec![0, 4, 8], vec![3, 3]));
        assert!(cutter.holds());
        cutter.cut(&mut given, 9, 3);
        assert_eq!(given.len(), 3);
        assert!(!cutter.holds());
    }

    #[test]
    fn the_queue_counts_a_record_when_its_last_octet_has_gone() {
        let mut queue = Queue::new(Framing::Prefixed { octets: 2, inclusive: false }, 6);
        let frames = batch(&[3, 3, 3]);
        assert_eq!(queue.put(&frames.frames(), 0, usize::MAX, false), 2);
        queue.went(4);
        assert_eq!((queue.records(), queue.sent()), (2, (0, 0)));
        queue.went(1);
        assert_eq!((queue.records(), queue.sent()), (1, (1, 3)));
        assert_eq!(queue.put(&frames.frames(), 2, usize::MAX, false), 1);
        assert_eq!(queue.drop_all(), 2);
        assert_eq!((queue.octets(), queue.sent()), (0, (1, 3)));
    }

    #[test]
    fn lengths_that_no_record_can_have_are_named() {
        let queue = Queue::new(Framing::Prefixed { octets: 2, inclusive: true }, 1);
        assert!(queue.check(65_533).is_ok());
        assert!(queue.check(65_534).unwrap_err().contains("65533"));
        assert!(Queue::new(Framing::Fixed(4), 1).check(3).is_err());
    }
}
