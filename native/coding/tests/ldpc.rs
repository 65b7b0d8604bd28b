//! LDPC codes against published code words and the parity checks written out bit by bit.

use ccsds_coding::ldpc::{
    Algorithm, Circulant, Code, Description, Options, Received, TC_128_64, TC_512_256, Variant, Word, WrongLength,
};

/// A small generator of pseudorandom numbers, so that runs repeat.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn octets(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() >> 56) as u8).collect()
    }

    /// About normal: the sum of twelve uniform numbers less its mean.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32).sum::<f32>() - 6.0
    }
}

fn codes() -> [(&'static Code, Description); 2] {
    [(&TC_128_64, Description::tc_128_64()), (&TC_512_256, Description::tc_512_256())]
}

fn encoded(code: &Code, information: &[u8]) -> Vec<u8> {
    let mut codewords = vec![0xA5; information.len() / code.information_octets() * code.codeword_octets()];
    code.encode(information, &mut codewords).unwrap();
    codewords
}

fn bit(octets: &[u8], place: usize) -> bool {
    octets[place / 8] & 0x80 >> (place % 8) != 0
}

fn checks_hold(description: &Description, word: &[u8]) -> bool {
    (0..description.rows * description.block).all(|check| {
        let circulants = description.circulants.iter().filter(|c| c.row == check / description.block);
        let ones = circulants.filter(|c| {
            let within = (check % description.block + c.shift) % description.block;
            bit(word, c.column * description.block + within)
        });
        ones.count() % 2 == 0
    })
}

fn received(codewords: &[u8], deviation: f32, noise: &mut Noise) -> Vec<f32> {
    (0..8 * codewords.len())
        .map(|place| {
            let sign = if bit(codewords, place) { -1.0 } else { 1.0 };
            2.0 * (sign + deviation * noise.normal()) / (deviation * deviation)
        })
        .collect()
}

#[test]
fn published_codewords() {
    let ramp: Vec<u8> = (0..32).collect();
    let short = encoded(&TC_128_64, &ramp[..8]);
    assert_eq!(short[8..], 0x3499_9887_94E1_6256_u64.to_be_bytes());
    let long = encoded(&TC_512_256, &ramp);
    assert_eq!(long[32..40], 0xBC92_1C98_CCE2_6CE8_u64.to_be_bytes());
    assert_eq!(long[56..], 0x30E0_9859_D606_7EBF_u64.to_be_bytes());
}

#[test]
fn encoded_words_satisfy_every_check_and_damaged_ones_do_not() {
    let noise = &mut Noise(1);
    for (code, description) in codes() {
        for mut word in (0..50).map(|_| encoded(code, &noise.octets(code.information_octets()))).collect::<Vec<_>>() {
            assert!(checks_hold(&description, &word));
            assert_eq!(code.syndromes_are_zero(&word), Ok(vec![true]));
            word[(noise.next() as usize) % code.codeword_octets()] ^= 1 << (noise.next() % 8);
            assert!(!checks_hold(&description, &word));
            assert_eq!(code.syndromes_are_zero(&word), Ok(vec![false]));
        }
    }
}

#[test]
fn every_variant_decodes_alike_wherever_a_word_stands() {
    let noise = &mut Noise(2);
    for (code, _) in codes() {
        let information = noise.octets(100 * code.information_octets());
        let llr = received(&encoded(code, &information), 0.8, noise);
        let decode = |llr: &[f32], options: &Options| {
            let mut octets = vec![0xA5; llr.len() / 8 / code.codeword_octets() * code.information_octets()];
            let words = code.decode(Received::Soft(llr), options, &mut octets).unwrap();
            (octets, words)
        };
        let options = Options { variant: Variant::Portable, maximum_iterations: 20, ..Options::default() };
        let (octets, words) = decode(&llr, &options);
        assert!(words.iter().any(|word| word.converged && word.iterations > 1));
        assert!(words.iter().any(|word| !word.converged && word.iterations == 20));
        for variant in Variant::ALL.into_iter().filter(|variant| variant.is_available()) {
            assert_eq!(decode(&llr, &Options { variant, ..options }), (octets.clone(), words.clone()));
        }
        for (index, alone) in llr.chunks_exact(8 * code.codeword_octets()).enumerate() {
            let (octets_alone, words_alone) = decode(alone, &options);
            assert_eq!(words_alone, [words[index]]);
            assert_eq!(octets_alone, octets[index * code.information_octets()..][..code.information_octets()]);
        }
    }
}

#[test]
fn every_algorithm_corrects_two_bits_anywhere_in_a_short_word() {
    let code: &Code = &TC_128_64;
    let information = Noise(3).octets(code.information_octets());
    let clean = encoded(code, &information);
    for algorithm in [Algorithm::MinSum, Algorithm::SumProduct] {
        for first in 0..128 {
            for second in (first + 1..128).step_by(7) {
                let mut word = clean.clone();
                word[first / 8] ^= 0x80 >> (first % 8);
                word[second / 8] ^= 0x80 >> (second % 8);
                let mut octets = [0; 8];
                let options = Options { algorithm, ..Options::default() };
                let words = code.decode(Received::Hard(&word), &options, &mut octets).unwrap();
                assert!(words[0].converged && words[0].corrected_bits == 2, "{algorithm:?} {first} {second}");
                assert_eq!(octets[..], information[..]);
            }
        }
    }
}

#[test]
fn ordered_statistics_of_a_higher_order_loses_fewer_words() {
    let code: &Code = &TC_128_64;
    let noise = &mut Noise(4);
    let information = noise.octets(60 * code.information_octets());
    let codewords = encoded(code, &information);
    let llr = received(&codewords, 0.9, noise);
    let options = |order| Options { maximum_iterations: 1, ordered_statistics: Some(order), ..Options::default() };
    let right = |order| {
        let mut octets = vec![0; information.len()];
        let words = code.decode(Received::Soft(&llr), &options(order), &mut octets).unwrap();
        assert!(words.iter().all(|word| word.converged));
        assert_eq!(code.syndromes_are_zero(&encoded(code, &octets)), Ok(vec![true; 60]));
        octets.chunks(8).zip(information.chunks(8)).filter(|(found, sent)| found == sent).count()
    };
    let counts = [0, 1, 2, 3].map(right);
    assert!(counts.is_sorted() && counts[3] > counts[0], "{counts:?}");
}

#[test]
fn nothing_known_is_nothing_decoded() {
    for (code, _) in codes() {
        for value in [0.0, -0.0, f32::NAN] {
            for algorithm in [Algorithm::MinSum, Algorithm::SumProduct] {
                let options = Options { algorithm, ordered_statistics: Some(1), ..Options::default() };
                let llr = vec![value; 8 * code.codeword_octets()];
                let mut octets = vec![0xA5; code.information_octets()];
                let words = code.decode(Received::Soft(&llr), &options, &mut octets).unwrap();
                assert_eq!(words, [Word { iterations: 50, ..Word::default() }]);
                assert!(octets.iter().all(|&octet| octet == 0));
            }
        }
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let code: &Code = &TC_128_64;
    assert_eq!(code.encode(&[0; 7], &mut [0; 16]), Err(WrongLength));
    assert_eq!(code.encode(&[0; 8], &mut [0; 15]), Err(WrongLength));
    assert_eq!(code.syndromes_are_zero(&[0; 17]), Err(WrongLength));
    assert_eq!(code.decode(Received::Hard(&[0; 16]), &Options::default(), &mut [0; 9]), Err(WrongLength));
    assert_eq!(code.decode(Received::Soft(&[0.0; 127]), &Options::default(), &mut []), Err(WrongLength));
    assert_eq!(code.decode(Received::Hard(&[]), &Options::default(), &mut []), Ok(vec![]));
}

#[test]
fn descriptions_that_make_no_code_are_refused() {
    let good = Description::tc_128_64();
    for circulant in [
        Circulant { row: 4, column: 0, shift: 0 },
        Circulant { row: 0, column: 8, shift: 0 },
        Circulant { row: 0, column: 0, shift: 16 },
        good.circulants[0],
    ] {
        let mut bad = good.clone();
        bad.circulants.push(circulant);
        assert!(Code::new(&bad).is_none(), "{circulant:?}");
    }
    assert!(Code::new(&Description { punctured: 9, ..good.clone() }).is_none());
    assert!(Code::new(&Description { circulants: vec![], ..good }).is_none());
}

/// Telemetry's code of rate 1/2 with k = 1024 (131.0-B-5, section 7.4) as data: checks of other weights, bits not sent,
/// and permutations that turn each quarter of a block on its own, which makes four blocks by four of circulants.
fn telemetry_code() -> Description {
    const QUARTER: usize = 128;
    const THETA: [usize; 8] = [3, 0, 1, 2, 2, 3, 0, 1];
    const PHI: [[usize; 4]; 8] = [
        [16, 0, 0, 0],
        [103, 53, 8, 35],
        [105, 74, 119, 97],
        [0, 45, 89, 112],
        [50, 47, 31, 64],
        [29, 0, 122, 93],
        [115, 59, 1, 99],
        [30, 102, 69, 94],
    ];
    // Row, column, and the permutation pi_k; 0 is the identity.
    const BLOCKS: [(usize, usize, usize); 15] = [
        (0, 2, 0),
        (0, 4, 0),
        (0, 4, 1),
        (1, 0, 0),
        (1, 1, 0),
        (1, 3, 0),
        (1, 4, 2),
        (1, 4, 3),
        (1, 4, 4),
        (2, 0, 0),
        (2, 1, 5),
        (2, 1, 6),
        (2, 3, 7),
        (2, 3, 8),
        (2, 4, 0),
    ];
    let circulants = BLOCKS.iter().flat_map(|&(row, column, k)| {
        (0..4).map(move |quarter| {
            let (turn, shift) = if k == 0 { (0, 0) } else { (THETA[k - 1], PHI[k - 1][quarter]) };
            Circulant { row: 4 * row + quarter, column: 4 * column + (turn + quarter) % 4, shift }
        })
    });
    Description { block: QUARTER, rows: 12, columns: 20, punctured: 4, circulants: circulants.collect() }
}

#[test]
fn a_code_of_telemetry_is_another_description() {
    let code = Code::new(&telemetry_code()).unwrap();
    assert_eq!((code.information_octets(), code.codeword_octets()), (128, 256));
    let information: Vec<u8> = (0..128).collect();
    let codeword = encoded(&code, &information);
    assert_eq!(codeword[128..144], 0xEEA9_AAAF_98D9_16CE_6C2B_282D_1A5B_944C_u128.to_be_bytes());
    assert_eq!(codeword[248..], 0x0FA5_8EB8_BD4C_C5CF_u64.to_be_bytes());

    // 2.2 dB, where words in error are rare.
    let noise = &mut Noise(5);
    let deviation = 10_f32.powf(-2.2 / 20.0);
    let information = noise.octets(4 * 128);
    let llr = received(&encoded(&code, &information), deviation, noise);
    for algorithm in [Algorithm::MinSum, Algorithm::SumProduct] {
        let (mut octets, options) = (vec![0xA5; information.len()], Options { algorithm, ..Options::default() });
        let words = code.decode(Received::Soft(&llr), &options, &mut octets).unwrap();
        assert!(words.iter().all(|word| word.converged && word.iterations > 1), "{algorithm:?} {words:?}");
        assert_eq!(octets, information);
    }
}
