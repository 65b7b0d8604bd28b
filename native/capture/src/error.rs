//! What can be wrong with a capture.
use std::fmt;

/// The kind of trouble, so that a caller can map it without reading the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first octets are no capture's.
    NotACapture,
    /// A block or record contradicts itself or the format.
    Damaged,
    /// A record claims more octets than the caller allows.
    TooLong,
    /// The operating system refused.
    Io,
    /// A read was interrupted by a signal: try again.
    Interrupted,
}

/// Trouble, and the octet of the (uncompressed) capture at which it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureError {
    /// What kind.
    pub kind: Kind,
    /// Octets from the start of the capture.
    pub octet_offset: u64,
    /// One sentence, without the offset.
    pub message: String,
}

impl CaptureError {
    /// An error of `kind` at `octet_offset`.
    pub fn new(kind: Kind, octet_offset: u64, message: impl Into<String>) -> Self {
        Self { kind, octet_offset, message: message.into() }
    }

    pub(crate) fn damaged(octet_offset: u64, message: impl Into<String>) -> Self {
        Self::new(Kind::Damaged, octet_offset, message)
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "octet {}: {}", self.octet_offset, self.message)
    }
}

impl std::error::Error for CaptureError {}
