//! Parity check matrices as the standards write them: blocks of circulants.

use std::sync::LazyLock;

use super::Code;

/// A permutation matrix in a block: row i has its one in column (i + shift) modulo the size of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Circulant {
    /// Block row of the matrix.
    pub row: usize,
    /// Block column of the matrix.
    pub column: usize,
    /// Exponent of the cyclic shift.
    pub shift: usize,
}

/// A parity check matrix of square blocks, each the sum of the circulants listed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Rows and columns of a block.
    pub block: usize,
    /// Block rows: parity checks divided by `block`.
    pub rows: usize,
    /// Block columns: bits of the code word, those not sent included, divided by `block`.
    pub columns: usize,
    /// Block columns, the last ones, whose bits are not sent.
    pub punctured: usize,
    /// The blocks that are not zero; two of them in one place are added.
    pub circulants: Vec<Circulant>,
}

/// Shifts in each of eight block columns; an empty list is the zero block.
type Row = [&'static [usize]; 8];

impl Description {
    fn of_rows(block: usize, rows: &[Row; 4]) -> Description {
        let mut circulants = Vec::new();
        for (row, blocks) in rows.iter().enumerate() {
            for (column, shifts) in blocks.iter().enumerate() {
                circulants.extend(shifts.iter().map(|&shift| Circulant { row, column, shift }));
            }
        }
        Description { block, rows: rows.len(), columns: 8, punctured: 0, circulants }
    }

    /// The code (128, 64) of telecommand.
    pub fn tc_128_64() -> Description {
        Description::of_rows(
            16,
            &[
                [&[0, 7], &[2], &[14], &[6], &[], &[0], &[13], &[0]],
                [&[6], &[0, 15], &[0], &[1], &[0], &[], &[0], &[7]],
                [&[4], &[1], &[0, 15], &[14], &[11], &[0], &[], &[3]],
                [&[0], &[1], &[9], &[0, 13], &[14], &[1], &[0], &[]],
            ],
        )
    }

    /// The code (512, 256) of telecommand.
    pub fn tc_512_256() -> Description {
        Description::of_rows(
            64,
            &[
                [&[0, 63], &[30], &[50], &[25], &[], &[43], &[62], &[0]],
                [&[56], &[0, 61], &[50], &[23], &[0], &[], &[37], &[26]],
                [&[16], &[0], &[0, 55], &[27], &[56], &[0], &[], &[43]],
                [&[35], &[56], &[62], &[0, 11], &[58], &[3], &[0], &[]],
            ],
        )
    }
}

/// The code (128, 64) of telecommand, 231.0-B-4 section 4.
pub static TC_128_64: LazyLock<Code> = LazyLock::new(|| known(Description::tc_128_64()));

/// The code (512, 256) of telecommand, 231.0-B-4 section 4.
pub static TC_512_256: LazyLock<Code> = LazyLock::new(|| known(Description::tc_512_256()));

fn known(description: Description) -> Code {
    Code::new(&description).expect("the descriptions of this file are tested")
}
