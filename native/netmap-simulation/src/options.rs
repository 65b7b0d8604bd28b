//! Options of a request: a list in the caller's memory, each with a status that is written back.
use crate::abi::{REQUEST_OCTETS_MAX, option, request};
use crate::errno::Errno;
use crate::register::Offsets;
use crate::user::{Address, Fields};

/// One option as it was found.
struct Found {
    at: Address,
    kind: u32,
}

/// What the options of a request ask for.
#[derive(Default)]
pub(crate) struct Options {
    found: Vec<Found>,
    pub(crate) offsets: Option<Offsets>,
}

impl Options {
    /// Read the list that begins at `first` (0: none).  `octets`: of the request without options.
    pub(crate) fn read(first: u64, octets: usize, request_type: u16) -> Result<Self, Errno> {
        let mut options = Self::default();
        let mut total = octets;
        let mut next = first;
        while next != 0 {
            let at = Address(next);
            let mut head = [0; option::HEAD_OCTETS];
            at.read(&mut head)?;
            total += option::HEAD_OCTETS;
            if total > REQUEST_OCTETS_MAX {
                return Err(Errno(libc::EMSGSIZE));
            }
            next = head.u64_at(option::NEXT);
            options.found.push(Found { at, kind: head.u32_at(option::TYPE) });
        }
        let answer = options.judge(request_type);
        answer.map(|()| options)
    }

    fn judge(&mut self, request_type: u16) -> Result<(), Errno> {
        if self.found.iter().any(|found| found.kind == 0) {
            return Err(Errno(libc::EINVAL));
        }
        let twice = |kind| self.found.iter().filter(|found| found.kind == kind).count() > 1;
        let mut worst = Ok(());
        let mut offsets = None;
        for found in &self.found {
            let status = match found.kind {
                kind if twice(kind) => Err(Errno(libc::EINVAL)),
                option::OFFSETS if request_type == request::REGISTER => {
                    read_offsets(found.at).map(|asked| offsets = Some(asked))
                }
                // EXTMEM, CSB and what belongs to kernel loops are not built in.
                _ => Err(Errno(libc::EOPNOTSUPP)),
            };
            set_status(found.at, status)?;
            worst = worst.and(status);
        }
        self.offsets = offsets;
        worst
    }

    /// Tell the options what became of the request.
    pub(crate) fn conclude(&self, answer: Result<(), Errno>) -> Result<(), Errno> {
        self.found.iter().try_for_each(|found| set_status(found.at, answer))
    }
}

fn set_status(at: Address, status: Result<(), Errno>) -> Result<(), Errno> {
    let code = status.map_or_else(|Errno(code)| code, |()| 0);
    at.after(option::STATUS).write(&code.to_le_bytes())
}

fn read_offsets(at: Address) -> Result<Offsets, Errno> {
    let mut octets = [0; option::OFFSETS_OCTETS];
    at.read(&mut octets)?;
    let (maximum, initial) = (octets.u64_at(24), octets.u64_at(32));
    let (bits, alignment, gap) = (octets.u32_at(40), octets.u32_at(44), octets.u64_at(48));
    let mask = match bits {
        0 | 64 => u64::MAX,
        1..=63 => (1 << bits) - 1,
        _ => return Err(Errno(libc::EINVAL)),
    };
    let sound = maximum <= mask && initial <= maximum && gap == 0 && (alignment == 0 || alignment.is_power_of_two());
    if sound { Ok(Offsets { maximum, initial, mask }) } else { Err(Errno(libc::EINVAL)) }
}
