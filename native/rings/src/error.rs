//! What can go wrong with a ring or its interface.
use std::{fmt, io};

/// The kind of trouble, so that a caller can map it without reading the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no such interface, or it is no Ethernet.
    Interface,
    /// The process lacks a privilege.
    Privilege,
    /// Somebody else holds what is asked for.
    Busy,
    /// The interface is down; it may come back.
    Down,
    /// The interface is gone for good.
    Vanished,
    /// The kernel or the interface cannot do this.
    Unsupported,
    /// A frame that cannot be sent by its length.
    Frame,
    /// The operating system refused for another reason.
    System,
}

/// Trouble, as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingError {
    /// What kind.
    pub kind: Kind,
    /// One sentence.
    pub message: String,
}

impl RingError {
    /// An error of `kind`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What `error` means when `doing` was tried on `interface`.
    pub fn of_system(error: &io::Error, interface: &str, doing: &str) -> Self {
        let code = error.raw_os_error().unwrap_or(0);
        match code {
            libc::ENETDOWN => Self::new(Kind::Down, format!("interface {interface} is down")),
            libc::ENODEV | libc::ENXIO => Self::vanished(interface),
            libc::EPERM | libc::EACCES => {
                Self::new(Kind::Privilege, format!("{interface}: {doing} is not permitted to this process"))
            }
            libc::EBUSY => Self::new(Kind::Busy, format!("{interface} is busy: {doing} was refused")),
            libc::EOPNOTSUPP | libc::ENOPROTOOPT | libc::EAFNOSUPPORT => {
                Self::new(Kind::Unsupported, format!("{interface}: this kernel or interface cannot do it: {doing}"))
            }
            _ => Self::new(Kind::System, format!("{interface}: {doing} failed: {}", sentence(error))),
        }
    }

    /// The interface is gone.
    pub fn vanished(interface: &str) -> Self {
        Self::new(Kind::Vanished, format!("interface {interface} has vanished; open the port anew once it is back"))
    }
}

/// The system's own words without Rust's "(os error N)".
fn sentence(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RingError {}
