//! Bits of a stream that nobody has decided on yet, at any offset.

/// Bits in the order of the stream.  Positions are those of the stream, counted from its first bit.
#[derive(Default)]
pub(crate) struct BitQueue {
    octets: Vec<u8>,
    /// Bits held; those behind them in the last octet are zero.
    bits: usize,
    /// Stream position of the first bit held.
    base: u64,
}

impl BitQueue {
    /// Stream position behind the last bit.
    pub(crate) fn end(&self) -> u64 {
        self.base + self.bits as u64
    }

    /// Append whole octets.
    pub(crate) fn push_octets(&mut self, octets: &[u8]) {
        let shift = self.bits % 8;
        if shift == 0 {
            self.octets.extend_from_slice(octets);
        } else {
            self.octets.reserve(octets.len());
            let mut held = self.octets.pop().unwrap_or(0);
            for octet in octets {
                self.octets.push(held | octet >> shift);
                held = octet << (8 - shift);
            }
            self.octets.push(held);
        }
        self.bits += 8 * octets.len();
    }

    /// Append single bits.
    pub(crate) fn push_bits(&mut self, bits: impl Iterator<Item = bool>) {
        for bit in bits {
            let place = self.bits % 8;
            if place == 0 {
                self.octets.push(0);
            }
            if let Some(last) = self.octets.last_mut() {
                *last |= u8::from(bit) << (7 - place);
            }
            self.bits += 1;
        }
    }

    /// Let go of the bits before stream position `to`.
    pub(crate) fn drop_before(&mut self, to: u64) {
        let octets = (to.saturating_sub(self.base) / 8).min(self.octets.len() as u64) as usize;
        self.octets.drain(..octets);
        self.bits = self.bits.saturating_sub(8 * octets);
        self.base += 8 * octets as u64;
    }

    /// Let go of everything; `skipped` more bits of the stream are never held.
    pub(crate) fn clear(&mut self, skipped: u64) {
        self.base += self.bits as u64 + skipped;
        self.octets.clear();
        self.bits = 0;
    }

    /// The 64 bits from stream position `at`, where all of them are held.
    pub(crate) fn word(&self, at: u64) -> Option<u64> {
        let first = usize::try_from(at.checked_sub(self.base)?).ok()?;
        if first + 64 > self.bits {
            return None;
        }
        let (octet, shift) = (first / 8, first % 8);
        let word = u64::from_be_bytes(*self.octets.get(octet..)?.first_chunk::<8>()?);
        if shift == 0 {
            return Some(word);
        }
        Some(word << shift | u64::from(*self.octets.get(octet + 8)? >> (8 - shift)))
    }

    /// What is held: octets, bits of them that count, and the stream position of the first bit.
    pub(crate) fn held(&self) -> (&[u8], usize, u64) {
        (&self.octets, self.bits, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits_of(octets: &[u8]) -> Vec<bool> {
        octets.iter().flat_map(|octet| (0..8).rev().map(move |i| octet >> i & 1 == 1)).collect()
    }

    #[test]
    fn any_mixture_of_pieces_is_the_stream() {
        let octets: Vec<u8> = (0..60_u32).map(|i| (i * 37 + 11) as u8).collect();
        let bits = bits_of(&octets);
        for lead in 0..17 {
            let mut queue = BitQueue::default();
            queue.push_bits(bits[..lead].iter().copied());
            let whole = (bits.len() - lead) / 8;
            let middle: Vec<u8> = (0..whole)
                .map(|i| (0..8).fold(0, |octet, bit| octet << 1 | u8::from(bits[lead + 8 * i + bit])))
                .collect();
            queue.push_octets(&middle);
            queue.push_bits(bits[lead + 8 * whole..].iter().copied());
            assert_eq!(queue.end(), bits.len() as u64);
            queue.drop_before(21);
            for at in 21..bits.len() - 64 {
                let word = bits[at..at + 64].iter().fold(0, |word, bit| word << 1 | u64::from(*bit));
                assert_eq!(queue.word(at as u64), Some(word), "lead {lead}, at {at}");
            }
            assert_eq!(queue.word(bits.len() as u64 - 63), None);
        }
    }

    #[test]
    fn clearing_keeps_count() {
        let mut queue = BitQueue::default();
        queue.push_bits([true, false, true].into_iter());
        queue.clear(10);
        assert_eq!(queue.end(), 13);
        queue.push_octets(&[1; 8]);
        assert_eq!(queue.word(13), Some(0x0101_0101_0101_0101));
        assert_eq!(queue.word(12), None);
    }
}
