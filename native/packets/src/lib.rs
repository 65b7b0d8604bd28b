//! Packets back to back: where each one begins, and the fields of all headers as columns.
//!
//! Sources: CCSDS 133.0-B-2 section 4.1 (space packet), CCSDS 133.1-B-3 section 4.1 (encapsulation packet).
mod columns;
mod cut;
mod lanes;
mod memory;
mod prefetch;
mod scan;
mod step;

pub use columns::{Column, FIELDS, Field, empty_columns};
pub use cut::{HeaderOutside, cut_columns, packet_columns};
pub use scan::{Spare, Table, scan, scan_plainly};
pub use step::{Refusal, Rules, Step, step};
