//! Columns of header fields, each in the narrowest unsigned integer that holds the field.

use crate::memory;

/// One field of a header: bits before it, and its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name of the standard, spelled out.
    pub name: &'static str,
    /// Bits before the field, from the first bit transmitted.
    pub bit_offset: u32,
    /// Width.
    pub bits: u32,
}

const fn field(name: &'static str, bit_offset: u32, bits: u32) -> Field {
    Field { name, bit_offset, bits }
}

/// Primary header of the space packet; a Python test holds it equal to `PRIMARY_HEADER`.
pub const FIELDS: [Field; 7] = [
    field("packet_version_number", 0, 3),
    field("packet_type", 3, 1),
    field("secondary_header_flag", 4, 1),
    field("application_process_id", 5, 11),
    field("sequence_flags", 16, 2),
    field("packet_sequence_count", 18, 14),
    field("packet_data_length", 32, 16),
];
const HEADER_BITS: u32 = 48;

/// An empty column for each of `FIELDS`.
#[must_use]
pub fn empty_columns() -> [Column; FIELDS.len()] {
    FIELDS.map(|field| Column::of_bits(field.bits))
}

/// Values of one field.
#[derive(Debug, PartialEq, Eq)]
pub enum Column {
    /// Fields of up to 8 bits.
    U8(Vec<u8>),
    /// Fields of up to 16 bits.
    U16(Vec<u16>),
    /// Fields of up to 32 bits.
    U32(Vec<u32>),
    /// Fields of up to 64 bits.
    U64(Vec<u64>),
}

/// The same expression on the vector of any width.
macro_rules! each {
    ($column:expr, $values:ident => $do:expr) => {
        match $column {
            Column::U8($values) => $do,
            Column::U16($values) => $do,
            Column::U32($values) => $do,
            Column::U64($values) => $do,
        }
    };
}

impl Column {
    /// An empty column for a field of `bits`.
    #[must_use]
    pub fn of_bits(bits: u32) -> Self {
        match bits {
            0..=8 => Column::U8(Vec::new()),
            9..=16 => Column::U16(Vec::new()),
            17..=32 => Column::U32(Vec::new()),
            _ => Column::U64(Vec::new()),
        }
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// True without values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn reserve(&mut self, more: usize) {
        each!(self, values => memory::reserve(values, more));
    }

    pub(crate) fn trim(&mut self) {
        each!(self, values => memory::trim(values));
    }

    fn clear(&mut self) {
        each!(self, values => values.clear());
    }
}

/// Appends the fields of 48-bit headers to the seven columns.
type Append = fn(&mut [Column; FIELDS.len()], &[u64]);

/// Cuts blocks of 48-bit headers into the seven columns.
pub(crate) struct Cutter {
    pub(crate) columns: [Column; FIELDS.len()],
    append: Append,
}

impl Cutter {
    /// Starts empty, in the memory of `columns`.
    pub(crate) fn new(mut columns: [Column; FIELDS.len()]) -> Self {
        columns.iter_mut().for_each(Column::clear);
        Cutter { columns, append: variants()[0] }
    }

    /// Append the fields of these headers.
    pub(crate) fn append(&mut self, headers: &[u64]) {
        (self.append)(&mut self.columns, headers);
    }
}

/// The same loop for every width of register that this processor has, the widest first.
fn variants() -> Vec<Append> {
    let mut found: Vec<Append> = Vec::with_capacity(3);
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            found.push(wide::append_avx512);
        }
        if is_x86_feature_detected!("avx2") {
            found.push(wide::append_avx2);
        }
    }
    found.push(append);
    found
}

/// The loop compiled for wider registers; only `variants` hands these functions out.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod wide {
    use super::{Column, FIELDS, append};

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn avx512(columns: &mut [Column; FIELDS.len()], headers: &[u64]) {
        append(columns, headers);
    }

    #[target_feature(enable = "avx2")]
    fn avx2(columns: &mut [Column; FIELDS.len()], headers: &[u64]) {
        append(columns, headers);
    }

    pub(super) fn append_avx512(columns: &mut [Column; FIELDS.len()], headers: &[u64]) {
        // SAFETY: `variants` hands this function out only where the processor has AVX-512 BW and VL (and so F).
        unsafe { avx512(columns, headers) }
    }

    pub(super) fn append_avx2(columns: &mut [Column; FIELDS.len()], headers: &[u64]) {
        // SAFETY: `variants` hands this function out only where the processor has AVX2.
        unsafe { avx2(columns, headers) }
    }
}

#[inline(always)]
fn append(columns: &mut [Column; FIELDS.len()], headers: &[u64]) {
    for (field, column) in FIELDS.iter().zip(columns) {
        let shift = HEADER_BITS - field.bit_offset - field.bits;
        let mask = (1_u64 << field.bits) - 1;
        match column {
            Column::U8(values) => values.extend(headers.iter().map(|h| (h >> shift & mask) as u8)),
            Column::U16(values) => values.extend(headers.iter().map(|h| (h >> shift & mask) as u16)),
            Column::U32(values) => values.extend(headers.iter().map(|h| (h >> shift & mask) as u32)),
            Column::U64(values) => values.extend(headers.iter().map(|h| h >> shift & mask)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_cuts_what_single_bits_say() {
        let headers: Vec<u64> = (0..1000_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16).collect();
        let bit = |header: u64, at: u32| header >> (HEADER_BITS - 1 - at) & 1;
        for (number, append) in variants().into_iter().enumerate() {
            let mut columns = empty_columns();
            for block in [&headers[..3], &headers[3..3], &headers[3..700], &headers[700..]] {
                append(&mut columns, block);
            }
            for (field, column) in FIELDS.iter().zip(&columns) {
                let expected = headers.iter().map(|&header| {
                    (field.bit_offset..field.bit_offset + field.bits).fold(0, |value, at| value << 1 | bit(header, at))
                });
                let given: Vec<u64> = match column {
                    Column::U8(values) => values.iter().map(|&value| u64::from(value)).collect(),
                    Column::U16(values) => values.iter().map(|&value| u64::from(value)).collect(),
                    Column::U32(values) => values.iter().map(|&value| u64::from(value)).collect(),
                    Column::U64(values) => values.clone(),
                };
                assert!(expected.eq(given), "{}, variant {number}", field.name);
            }
        }
    }
}
