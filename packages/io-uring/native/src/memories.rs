//! Large shared buffers that are used again and again: JavaScript names them by a number. Those that the kernel holds as well
//! (registered buffers) need no look at their pages for each transfer.

use slab::Slab;

use crate::raw::memory::Span;
use crate::raw::ring::Ring;

/// Places in the kernel's table of buffers.
const MOST_REGISTERED: u32 = 256;
/// The kernel takes no larger buffer, in bytes.
const LARGEST_REGISTERED: usize = 1 << 30;

#[derive(Debug)]
struct Known {
    span: Span,
    place: Option<u16>,
}

#[derive(Default)]
pub struct Memories {
    known: Slab<Known>,
    /// Places of the kernel's table that are free. None before the table is made.
    free: Option<Vec<u16>>,
}

impl Memories {
    pub fn add(&mut self, span: Span) -> usize {
        self.known.insert(Known { span, place: None })
    }

    /// No operation uses it any more.
    pub fn remove(&mut self, ring: &Ring, key: usize) {
        let Some(known) = self.known.try_remove(key) else { return };
        if let (Some(place), Some(free)) = (known.place, &mut self.free) {
            if ring.set_buffer(u32::from(place), None).is_ok() {
                free.push(place);
            }
        }
    }

    /// Has the kernel keep its pages. @returns zero, or why not, as an errno
    pub fn register(&mut self, ring: &Ring, key: usize) -> i32 {
        let Some(known) = self.known.get_mut(key) else { return libc::EINVAL };
        if known.place.is_some() {
            return 0;
        }
        if known.span.len() > LARGEST_REGISTERED {
            return libc::EFBIG;
        }
        let free = match &mut self.free {
            Some(free) => free,
            None => match ring.make_buffer_table(MOST_REGISTERED) {
                Ok(()) => self.free.insert((0..MOST_REGISTERED as u16).rev().collect()),
                Err(error) => return error.raw_os_error().unwrap_or(libc::EIO),
            },
        };
        let Some(place) = free.pop() else { return libc::ENOSPC };
        match ring.set_buffer(u32::from(place), Some(known.span)) {
            Ok(()) => known.place = Some(place),
            Err(error) => {
                free.push(place);
                return error.raw_os_error().unwrap_or(libc::EIO);
            }
        }
        0
    }

    /// A stretch of a known memory, or of one that was lent; none if it is not within.
    pub fn part(&self, memory: i64, from: usize, length: u64, lent: &[Span]) -> Option<(Span, Option<u16>)> {
        let length = usize::try_from(length).ok()?;
        if memory < 0 {
            let span = lent.get(usize::try_from(-(memory + 1)).ok()?)?;
            return Some((span.part(from, length)?, None));
        }
        let known = self.known.get(usize::try_from(memory).ok()?)?;
        Some((known.span.part(from, length)?, known.place))
    }
}
