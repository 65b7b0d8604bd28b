//! Columns from headers at given places, for any layout that is handed over at run time.

use crate::columns::{Column, Cutter, FIELDS, empty_columns};

/// A header does not lie inside the buffer: the index of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderOutside(pub usize);

/// One column per (bit offset, bits) of the headers of `header_octets` that begin at `starts`.
///
/// # Errors
/// `HeaderOutside` for the first header that does not lie inside `octets`.
///
/// # Panics
/// Never: fields must have 1 to 64 bits inside the header; others are cut short.
pub fn cut_columns(
    octets: &[u8],
    starts: &[u64],
    header_octets: u64,
    fields: &[(u32, u32)],
) -> Result<Vec<Column>, HeaderOutside> {
    let last = (octets.len() as u64).checked_sub(header_octets);
    if let Some(outside) = starts.iter().position(|&start| last.is_none_or(|last| start > last)) {
        return Err(HeaderOutside(outside));
    }
    Ok(fields.iter().map(|&(bit_offset, bits)| cut(octets, starts, bit_offset, bits)).collect())
}

fn cut(octets: &[u8], starts: &[u64], bit_offset: u32, bits: u32) -> Column {
    let first = u64::from(bit_offset / 8);
    let width = (bit_offset % 8 + bits).div_ceil(8) as usize;
    let shift = width as u32 * 8 - bit_offset % 8 - bits;
    let mask = u64::MAX >> 64_u32.saturating_sub(bits).min(63);
    let value = |&start: &u64| {
        let at = (start + first) as usize;
        // Eight octets in one load where they are there, else one by one.
        if let (Some(word), true) = (octets.get(at..).and_then(|rest| rest.first_chunk::<8>()), width <= 8) {
            return (u64::from_be_bytes(*word) >> (64 - 8 * width as u32)) >> shift & mask;
        }
        let field = octets.get(at..at + width).unwrap_or_default();
        (field.iter().fold(0_u128, |value, &octet| value << 8 | u128::from(octet)) >> shift) as u64 & mask
    };
    match Column::of_bits(bits) {
        Column::U8(_) => Column::U8(starts.iter().map(|start| value(start) as u8).collect()),
        Column::U16(_) => Column::U16(starts.iter().map(|start| value(start) as u16).collect()),
        Column::U32(_) => Column::U32(starts.iter().map(|start| value(start) as u32).collect()),
        Column::U64(_) => Column::U64(starts.iter().map(value).collect()),
    }
}

/// The seven columns of packets that begin at `starts`; zeros, but for the version, where the packet is
/// no space packet.
///
/// # Errors
/// `HeaderOutside` for the first header that does not lie inside `octets`.
pub fn packet_columns(octets: &[u8], starts: &[u64]) -> Result<[Column; FIELDS.len()], HeaderOutside> {
    let mut cutter = Cutter::new(empty_columns());
    let mut headers = [0; 512];
    for (number, block) in starts.chunks(headers.len()).enumerate() {
        for (index, (&start, header)) in block.iter().zip(&mut headers).enumerate() {
            *header = header_of(octets, start).ok_or(HeaderOutside(number * 512 + index))?;
        }
        cutter.append(&headers[..block.len()]);
    }
    Ok(cutter.columns)
}

fn header_of(octets: &[u8], start: u64) -> Option<u64> {
    let rest = octets.get(usize::try_from(start).ok()?..)?;
    let version = rest.first()? >> 5;
    if version != 0 {
        return Some(u64::from(version) << 45);
    }
    let six = rest.first_chunk::<6>()?;
    Some(six.iter().fold(0, |value, &octet| value << 8 | u64::from(octet)))
}
