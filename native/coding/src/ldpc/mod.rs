//! LDPC codes of quasi-cyclic parity check matrices.  Source: CCSDS 231.0-B-4, section 4 (telecommand).
//!
//! A [`Description`] is data: which circulants stand in which block of the matrix.  The graph that decoders walk and the
//! tables that the encoder reads are derived from it, so that a further code is a further description.

mod code;
mod description;
mod generator;
mod graph;
mod min_sum;
mod ordered_statistics;
mod quantise;
mod sum_product;
mod variant;

pub use code::{Algorithm, Code, MAXIMUM_ITERATIONS, MAXIMUM_ORDER, Options, Received, Word, WrongLength};
pub use description::{Circulant, Description, TC_128_64, TC_512_256};
pub use variant::Variant;
