//! Memory that the kernel reads and writes, as addresses (R1, R3).

/// A stretch of a buffer of JavaScript's. Can be made from a buffer alone, and made smaller.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    address: *mut u8,
    length: usize,
}

impl Span {
    /// # Safety
    /// The memory is that of a buffer for which R1 is kept.
    pub unsafe fn new(address: *mut u8, length: usize) -> Self {
        Self { address, length }
    }

    pub fn len(&self) -> usize {
        self.length
    }

    pub(super) fn address(&self) -> *mut u8 {
        self.address
    }

    /// Part of it; none if it is not all within.
    pub fn part(&self, from: usize, length: usize) -> Option<Span> {
        let end = from.checked_add(length)?;
        if end > self.length {
            return None;
        }
        // Not beyond the end, as was just seen; `wrapping` because an empty buffer may have no address.
        Some(Span { address: self.address.wrapping_add(from), length })
    }

    fn advance(&mut self, moved: usize) {
        assert!(moved <= self.length, "the kernel moved more than it was asked for");
        self.address = self.address.wrapping_add(moved);
        self.length -= moved;
    }
}

/// What one operation has left to transfer.
#[derive(Debug)]
pub enum Memory {
    None,
    /// One stretch; with the index of the registered buffer that it lies in, if any.
    One(Span, Option<u16>),
    /// Several that follow one another in the file, as the kernel takes them.
    Many(Vec<libc::iovec>),
}

/// A request to the kernel has 31 bits for its length.
pub const LARGEST_REQUEST: usize = 1 << 30;

impl Memory {
    /// Of the parts of one transfer. Empty parts are left out.
    pub fn of(parts: &[(Span, Option<u16>)]) -> Self {
        let mut filled = parts.iter().filter(|(span, _)| span.len() > 0);
        match (filled.next(), filled.next()) {
            (None, _) => Memory::None,
            (Some((span, fixed)), None) => Memory::One(*span, *fixed),
            _ => Memory::Many(
                parts
                    .iter()
                    .filter(|(span, _)| span.len() > 0)
                    .map(|(span, _)| libc::iovec { iov_base: span.address().cast(), iov_len: span.len() })
                    .collect(),
            ),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Memory::None => true,
            Memory::One(span, _) => span.len() == 0,
            Memory::Many(list) => list.is_empty(),
        }
    }

    /// In bytes.
    pub fn length(&self) -> usize {
        match self {
            Memory::None => 0,
            Memory::One(span, _) => span.len(),
            Memory::Many(list) => list.iter().map(|one| one.iov_len).sum(),
        }
    }

    /// Every address and length is a multiple of this.
    pub fn is_aligned(&self, to: usize) -> bool {
        match self {
            Memory::None => true,
            Memory::One(span, _) => (span.address() as usize).is_multiple_of(to) && span.len().is_multiple_of(to),
            Memory::Many(list) => {
                list.iter().all(|one| (one.iov_base as usize).is_multiple_of(to) && one.iov_len.is_multiple_of(to))
            }
        }
    }

    /// Takes away from the front what was transferred.
    pub fn advance(&mut self, moved: usize) {
        match self {
            Memory::None => assert!(moved == 0, "bytes were moved where there were none"),
            Memory::One(span, _) => span.advance(moved),
            Memory::Many(list) => {
                let mut left = moved;
                let whole = list
                    .iter()
                    .take_while(|one| {
                        let is_whole = one.iov_len <= left;
                        if is_whole {
                            left -= one.iov_len;
                        }
                        is_whole
                    })
                    .count();
                list.drain(..whole);
                if left > 0 {
                    let first = list.first_mut().expect("the kernel moved more than it was asked for");
                    first.iov_base = first.iov_base.cast::<u8>().wrapping_add(left).cast();
                    first.iov_len -= left;
                }
            }
        }
    }
}
