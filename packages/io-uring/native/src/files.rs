//! The files that are open in this thread, with their places in the table that the kernel has of them: an operation on a
//! registered file does not look its descriptor up.

use slab::Slab;

use crate::job::{Kind, Operation};
use crate::raw::ring::{Ring, Target};

/// Places in the kernel's table. Files beyond it go by their descriptors.
const MOST_REGISTERED: u32 = 1024;

#[derive(Clone, Copy, Debug)]
struct Descriptor {
    fd: i32,
    place: Option<u32>,
}

#[derive(Debug)]
struct File {
    buffered: Descriptor,
    direct: Option<Descriptor>,
    /// What addresses, offsets and lengths of direct transfers are multiples of, in bytes.
    alignment: usize,
    /// Whether reads go past the page cache as well as writes.
    direct_reads: bool,
    /// Not known not to take `RWF_DSYNC`.
    can_be_durable: bool,
}

pub struct Files {
    open: Slab<File>,
    /// Places of the kernel's table that are free; none if it has no table.
    free: Vec<u32>,
}

impl Files {
    pub fn new(ring: &Ring) -> Self {
        // The kernel allows no more than the process may have open; a smaller table is better than none.
        let places = [MOST_REGISTERED, 256, 64].into_iter().find(|places| ring.make_file_table(*places).is_ok());
        Self { open: Slab::new(), free: (0..places.unwrap_or(0)).rev().collect() }
    }

    pub fn add(&mut self, ring: &Ring, fd: i32, direct: Option<i32>, alignment: usize, direct_reads: bool) -> usize {
        let buffered = self.register(ring, fd);
        let direct = direct.map(|fd| self.register(ring, fd));
        self.open.insert(File { buffered, direct, alignment, direct_reads, can_be_durable: true })
    }

    /// Nothing is in flight on it. Its descriptors are not closed here.
    pub fn remove(&mut self, ring: &Ring, key: usize) {
        let Some(file) = self.open.try_remove(key) else { return };
        self.release(ring, file.buffered);
        if let Some(direct) = file.direct {
            self.release(ring, direct);
        }
    }

    pub fn has(&self, key: usize) -> bool {
        self.open.contains(key)
    }

    pub fn fd(&self, key: usize) -> i32 {
        self.open[key].buffered.fd
    }

    /// Whether a transfer of these goes past the page cache.
    pub fn takes_direct(&self, key: usize, kind: Kind, memory: &crate::raw::memory::Memory, offset: u64) -> bool {
        let file = &self.open[key];
        let has_way = file.direct.is_some() && (kind == Kind::Write || file.direct_reads);
        has_way && offset.is_multiple_of(file.alignment as u64) && memory.is_aligned(file.alignment)
    }

    pub fn can_be_durable(&self, key: usize) -> bool {
        self.open[key].can_be_durable
    }

    pub fn cannot_be_durable(&mut self, key: usize) {
        self.open[key].can_be_durable = false;
    }

    pub fn registered(&self, key: usize) -> bool {
        self.open[key].buffered.place.is_some()
    }

    pub fn target(&self, operation: &Operation) -> Target {
        let file = &self.open[operation.file];
        let descriptor = match (operation.direct, file.direct) {
            (true, Some(direct)) => direct,
            _ => file.buffered,
        };
        descriptor.place.map_or(Target::Fd(descriptor.fd), Target::Fixed)
    }

    fn register(&mut self, ring: &Ring, fd: i32) -> Descriptor {
        let Some(place) = self.free.pop() else { return Descriptor { fd, place: None } };
        if ring.set_file(place, fd).is_ok() {
            return Descriptor { fd, place: Some(place) };
        }
        self.free.push(place);
        Descriptor { fd, place: None }
    }

    fn release(&mut self, ring: &Ring, descriptor: Descriptor) {
        if let Some(place) = descriptor.place {
            if ring.set_file(place, -1).is_ok() {
                self.free.push(place);
            }
        }
    }
}
