//! Integers out of octets, the byte order known at compile time.

/// Two octets as an unsigned integer.
#[inline(always)]
pub(crate) fn u16_of<const BIG: bool>(octets: &[u8], at: usize) -> u16 {
    let cell = [octets[at], octets[at + 1]];
    if BIG { u16::from_be_bytes(cell) } else { u16::from_le_bytes(cell) }
}

/// Four octets as an unsigned integer.
#[inline(always)]
pub(crate) fn u32_of<const BIG: bool>(octets: &[u8], at: usize) -> u32 {
    let cell = &octets[at..at + 4];
    let cell = [cell[0], cell[1], cell[2], cell[3]];
    if BIG { u32::from_be_bytes(cell) } else { u32::from_le_bytes(cell) }
}

/// `length` rounded up to the 32-bit boundary that pcapng pads to.
#[inline(always)]
pub(crate) fn padded(length: usize) -> usize {
    (length + 3) & !3
}
