//! Many frames at once: octets back to back, and columns.

/// An option of a frame's block: which frame of the batch, the code, the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Index of the frame in its batch.
    pub frame: usize,
    /// The option's code (1 is a comment).
    pub code: u16,
    /// The option's value, without padding.
    pub value: Vec<u8>,
}

/// Frames that own their octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// All frames, back to back.
    pub octets: Vec<u8>,
    /// Where each frame begins; one more entry than frames.
    pub offsets: Vec<u64>,
    /// Nanoseconds since 1970, -1 when unknown.
    pub timestamps_ns: Vec<i64>,
    /// Octets that the frame had on the wire.
    pub original_lengths: Vec<u32>,
    /// Index of the interface (or, from TCP, of the flow) that a frame came by.
    pub interfaces: Vec<u32>,
    /// Options of the frames' blocks.
    pub annotations: Vec<Annotation>,
}

impl Batch {
    /// An empty batch with room for `frames` frames of together `octets` octets.
    pub fn with_capacity(frames: usize, octets: usize) -> Self {
        let mut offsets = Vec::with_capacity(frames + 1);
        offsets.push(0);
        Self {
            octets: Vec::with_capacity(octets),
            offsets,
            timestamps_ns: Vec::with_capacity(frames),
            original_lengths: Vec::with_capacity(frames),
            interfaces: Vec::with_capacity(frames),
            annotations: Vec::new(),
        }
    }

    /// Frames in the batch.
    pub fn len(&self) -> usize {
        self.timestamps_ns.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.timestamps_ns.is_empty()
    }

    /// Add one frame.
    #[inline(always)]
    pub fn push(&mut self, frame: &[u8], timestamp_ns: i64, original_length: u32, interface: u32) {
        self.octets.extend_from_slice(frame);
        self.offsets.push(self.octets.len() as u64);
        self.timestamps_ns.push(timestamp_ns);
        // a writer that claims fewer octets on the wire than it stored is not believed
        self.original_lengths.push(original_length.max(frame.len() as u32));
        self.interfaces.push(interface);
    }

    /// The batch as borrowed columns.
    pub fn frames(&self) -> Frames<'_> {
        Frames {
            octets: &self.octets,
            offsets: &self.offsets,
            timestamps_ns: &self.timestamps_ns,
            original_lengths: &self.original_lengths,
        }
    }
}

/// Frames that somebody else owns.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    /// All frames.
    pub octets: &'a [u8],
    /// Where each frame begins; one more entry than frames.
    pub offsets: &'a [u64],
    /// Nanoseconds since 1970, negative when unknown.
    pub timestamps_ns: &'a [i64],
    /// Octets that the frame had on the wire.
    pub original_lengths: &'a [u32],
}

impl<'a> Frames<'a> {
    /// Say what is wrong with the columns, if anything; all else here relies on it.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.offsets.len() != self.timestamps_ns.len() + 1 || self.original_lengths.len() != self.timestamps_ns.len()
        {
            return Err("the columns differ in length");
        }
        if self.offsets.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err("the offsets decrease");
        }
        if *self.offsets.last().unwrap_or(&0) > self.octets.len() as u64 {
            return Err("the offsets point past the buffer");
        }
        Ok(())
    }

    /// Frames in the batch.
    pub fn len(&self) -> usize {
        self.timestamps_ns.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.timestamps_ns.is_empty()
    }

    /// The octets of frame `index`.
    #[inline(always)]
    pub fn frame(&self, index: usize) -> &'a [u8] {
        &self.octets[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }
}
