//! The codes against an obvious twin, every variant against the portable one.

use ccsds_coding::reed_solomon::{Basis, Code, Error, ErrorCorrection, Outcome, Variant};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn octets(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// Field arithmetic from the polynomial alone.
mod slow {
    use super::{Basis, ErrorCorrection};

    pub(crate) fn multiply(mut a: u8, mut b: u8) -> u8 {
        let mut product = 0;
        while b != 0 {
            if b & 1 == 1 {
                product ^= a;
            }
            a = (a << 1) ^ (if a & 0x80 != 0 { 0x87 } else { 0 });
            b >>= 1;
        }
        product
    }

    /// Elements of the dual basis, most significant bit of the octet first (inverse matrix of annex F).
    const DUAL: [u8; 8] = [0xC5, 0x42, 0x2E, 0xFD, 0xF0, 0x79, 0xAC, 0xCC];

    pub(crate) fn element(basis: Basis, octet: u8) -> u8 {
        match basis {
            Basis::Conventional => octet,
            Basis::Dual => (0..8)
                .filter(|bit| octet << bit & 0x80 != 0)
                .fold(0, |sum, bit| sum ^ DUAL[bit]),
        }
    }

    pub(crate) fn is_codeword(
        error_correction: ErrorCorrection,
        basis: Basis,
        word: &[u8],
    ) -> bool {
        let roots = match error_correction {
            ErrorCorrection::E16 => 112..=143,
            ErrorCorrection::E8 => 120..=135,
        };
        let power = |exponent: usize| (0..exponent).fold(1, |power, _| multiply(power, 2));
        roots.into_iter().all(|j| {
            let root = power(11 * j % 255);
            word.iter()
                .fold(0, |sum, &octet| multiply(sum, root) ^ element(basis, octet))
                == 0
        })
    }
}

fn codeword(block: &[u8], depth: usize, index: usize) -> Vec<u8> {
    block.iter().skip(index).step_by(depth).copied().collect()
}

fn encoded(code: &Code, frame: &[u8]) -> Vec<u8> {
    let mut block = frame.to_vec();
    block.resize(code.block_octets(), 0xA5);
    code.encode(frame, &mut block[frame.len()..])
        .expect("lengths of the code");
    block
}

fn codes() -> Vec<(ErrorCorrection, Basis, usize, Code)> {
    let mut codes = Vec::new();
    for error_correction in [ErrorCorrection::E16, ErrorCorrection::E8] {
        for basis in [Basis::Dual, Basis::Conventional] {
            for depth in [1, 2, 3, 4, 5, 8] {
                for fill in [0, 1, 3, 7, 50, 51, 100, 153, 204, 222] {
                    let code =
                        Code::new(error_correction, depth, fill * depth, basis).expect("exists");
                    for variant in Variant::ALL {
                        codes.extend(
                            code.with_variant(variant)
                                .map(|code| (error_correction, basis, depth, code)),
                        );
                    }
                }
            }
        }
    }
    codes
}

fn capability(error_correction: ErrorCorrection) -> usize {
    if error_correction == ErrorCorrection::E16 {
        16
    } else {
        8
    }
}

/// Change `count` different symbols of one code word.
fn damage(random: &mut Random, block: &mut [u8], depth: usize, index: usize, count: usize) {
    let symbols = block.len() / depth;
    let mut chosen = vec![false; symbols];
    let mut left = count.min(symbols);
    while left > 0 {
        let symbol = random.below(symbols);
        if !chosen[symbol] {
            chosen[symbol] = true;
            block[symbol * depth + index] ^= 1 + random.below(255) as u8;
            left -= 1;
        }
    }
}

#[test]
fn encoded_words_have_all_the_roots() {
    let mut random = Random(1);
    for (error_correction, basis, depth, code) in codes() {
        let block = encoded(&code, &random.octets(code.frame_octets()));
        for index in 0..depth {
            assert!(
                slow::is_codeword(error_correction, basis, &codeword(&block, depth, index)),
                "{code:?}"
            );
        }
        assert_eq!(
            code.decode(&mut block.clone()),
            Ok(Outcome::default()),
            "{code:?}"
        );
    }
}

#[test]
fn up_to_the_capability_every_error_is_corrected() {
    let mut random = Random(2);
    for (error_correction, _, depth, code) in codes() {
        let sent = encoded(&code, &random.octets(code.frame_octets()));
        for round in 0..4 {
            let mut received = sent.clone();
            let mut injected = 0;
            for index in 0..depth {
                let most = capability(error_correction);
                let count = if round == 0 {
                    most
                } else {
                    random.below(most + 1)
                };
                damage(&mut random, &mut received, depth, index, count);
                injected += count as u32;
            }
            let outcome = code.decode(&mut received);
            assert_eq!(
                outcome,
                Ok(Outcome {
                    corrected_symbols: injected,
                    uncorrectable_codewords: 0
                }),
                "{code:?}"
            );
            assert!(received == sent, "{code:?}");
        }
    }
}

#[test]
fn beyond_the_capability_a_word_becomes_one_of_the_code_or_stays() {
    let mut random = Random(3);
    let mut uncorrectable = 0;
    for (error_correction, basis, depth, code) in codes() {
        let sent = encoded(&code, &random.octets(code.frame_octets()));
        for _ in 0..2 {
            let mut received = sent.clone();
            for index in 0..depth {
                let count = capability(error_correction) + 1 + random.below(8);
                damage(&mut random, &mut received, depth, index, count);
            }
            let before = received.clone();
            let outcome = code.decode(&mut received).expect("length of the code");
            let mut changed = 0;
            let mut left = 0;
            for index in 0..depth {
                let (word, old) = (
                    codeword(&received, depth, index),
                    codeword(&before, depth, index),
                );
                if word == old {
                    left += 1;
                } else {
                    assert!(
                        slow::is_codeword(error_correction, basis, &word),
                        "{code:?}"
                    );
                    changed += word.iter().zip(&old).filter(|(a, b)| a != b).count() as u32;
                }
            }
            assert_eq!(
                outcome,
                Outcome {
                    corrected_symbols: changed,
                    uncorrectable_codewords: left
                },
                "{code:?}"
            );
            uncorrectable += left;
        }
    }
    assert!(uncorrectable > 1000);
}

#[test]
fn every_variant_gives_the_octets_of_the_portable_one() {
    let mut random = Random(4);
    for (error_correction, _, depth, code) in codes() {
        let portable = code.with_variant(Variant::Portable).expect("always there");
        let frame = random.octets(code.frame_octets());
        let block = encoded(&code, &frame);
        assert!(block == encoded(&portable, &frame), "{code:?}");
        let mut received = block;
        for index in 0..depth {
            let count = random.below(capability(error_correction) + 4);
            damage(&mut random, &mut received, depth, index, count);
        }
        let mut twin = received.clone();
        assert_eq!(
            code.decode(&mut received),
            portable.decode(&mut twin),
            "{code:?}"
        );
        assert!(received == twin, "{code:?}");
        let mut noise = random.octets(code.block_octets());
        let mut twin = noise.clone();
        assert_eq!(
            code.decode(&mut noise),
            portable.decode(&mut twin),
            "{code:?}"
        );
        assert!(noise == twin, "{code:?}");
    }
}

#[test]
fn a_single_octet_in_error_is_found_wherever_it_is() {
    for variant in Variant::ALL {
        let code = Code::new(ErrorCorrection::E16, 5, 0, Basis::Dual).expect("exists");
        let Some(code) = code.with_variant(variant) else {
            continue;
        };
        let sent = encoded(&code, &Random(5).octets(code.frame_octets()));
        for octet in 0..sent.len() {
            let mut received = sent.clone();
            received[octet] ^= 1 << (octet % 8);
            let outcome = code.decode(&mut received);
            assert_eq!(
                outcome,
                Ok(Outcome {
                    corrected_symbols: 1,
                    uncorrectable_codewords: 0
                })
            );
            assert!(received == sent, "{variant:?} {octet}");
        }
    }
}

#[test]
fn errors_that_point_into_the_virtual_fill_are_uncorrectable() {
    // The full code would move the unsent symbols: the shortened one must refuse.
    let mut random = Random(6);
    let full = Code::new(ErrorCorrection::E8, 1, 0, Basis::Dual).expect("exists");
    let short = Code::new(ErrorCorrection::E8, 1, 100, Basis::Dual).expect("exists");
    for _ in 0..50 {
        let mut frame = vec![0; 100];
        frame.extend(random.octets(short.frame_octets()));
        frame[random.below(100)] ^= 0x55;
        let block = encoded(&full, &frame);
        let mut received = block[100..].to_vec();
        let before = received.clone();
        let outcome = short.decode(&mut received);
        assert_eq!(
            outcome,
            Ok(Outcome {
                corrected_symbols: 0,
                uncorrectable_codewords: 1
            })
        );
        assert_eq!(received, before);
    }
}

#[test]
fn wrong_parameters_and_lengths_are_errors() {
    for depth in [0, 6, 7, 9, usize::MAX] {
        let code = Code::new(ErrorCorrection::E16, depth, 0, Basis::Dual);
        assert!(matches!(code, Err(Error::InterleavingDepth(given)) if given == depth));
    }
    for fill in [1, 4, 223 * 5, 255 * 5, usize::MAX] {
        assert!(matches!(
            Code::new(ErrorCorrection::E16, 5, fill, Basis::Dual),
            Err(Error::VirtualFill { .. })
        ));
    }
    let code = Code::new(ErrorCorrection::E16, 5, 500, Basis::Dual).expect("exists");
    assert_eq!((code.frame_octets(), code.block_octets()), (615, 775));
    assert_eq!(
        code.decode(&mut [0; 774]),
        Err(Error::Length {
            expected: 775,
            given: 774
        })
    );
    assert_eq!(
        code.encode(&[0; 615], &mut [0; 159]),
        Err(Error::Length {
            expected: 160,
            given: 159
        })
    );
    assert_eq!(
        code.encode(&[0; 616], &mut [0; 160]),
        Err(Error::Length {
            expected: 615,
            given: 616
        })
    );
}
