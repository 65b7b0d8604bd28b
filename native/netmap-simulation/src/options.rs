//! Options of a request: a list in the caller's memory, each with a status that is written back.
use crate::abi::{REQUEST_OCTETS_MAX, option, request};
use crate::errno::Errno;
use crate::register::Offsets;
use crate::user::{Address, Fields};

/// Octets of an option by its head, with those that the kernel's copy of it takes beside it.
fn octets_of(head: &[u8]) -> usize {
    let size = usize::try_from(head.u64_at(option::SIZE)).unwrap_or(usize::MAX).min(REQUEST_OCTETS_MAX);
    COPY_OCTETS
        + match head.u32_at(option::TYPE) {
            option::EXTMEM => option::EXTMEM_OCTETS,
            option::KLOOP_EVENTFDS => option::HEAD_OCTETS + size,
            option::CSB => option::CSB_OCTETS,
            option::KLOOP_MODE => option::KLOOP_MODE_OCTETS,
            option::OFFSETS => option::OFFSETS_OCTETS,
            _ => option::HEAD_OCTETS,
        }
}

/// The pointer to the caller's option that is kept with each copy.
const COPY_OCTETS: usize = 8;

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
            total += octets_of(&head);
            if total > REQUEST_OCTETS_MAX {
                return Err(Errno(libc::EMSGSIZE));
            }
            next = head.u64_at(option::NEXT);
            let kind = head.u32_at(option::TYPE);
            // A list in a circle ends here or at the limit, by whether its options are known.
            if (option::EXTMEM..=option::OFFSETS).contains(&kind) && options.found.iter().any(|one| one.kind == kind) {
                return Err(Errno(libc::EINVAL));
            }
            options.found.push(Found { at, kind });
        }
        let answer = options.judge(request_type);
        answer.map(|()| options)
    }

    fn judge(&mut self, request_type: u16) -> Result<(), Errno> {
        if let Some(found) = self.found.iter().find(|found| found.kind == 0) {
            set_status(found.at, Err(Errno(libc::EINVAL)))?;
            return Err(Errno(libc::EINVAL));
        }
        let mut worst = Ok(());
        let mut offsets = None;
        for found in &self.found {
            let status = match found.kind {
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
