//! The memory of a search, and how the next one comes by it.

use crate::groups::{Config, Groups};
use crate::masks::Mask;
use crate::openings::{Opening, Openings};
use crate::trails::Trails;
use std::cell::Cell;

/// Room for so many configurations to begin with: of short searches, growing is a good part.
const AT_FIRST: usize = 32;

/// What a search works with. Of a short search, getting memory was a good part: the next one on
/// the same thread has that of the last.
pub struct Workspace<M> {
    pub open: Openings<M>,
    /// The configurations; while a return is looked at, all that were met.
    pub configs: Groups<M>,
    pub settled: Groups<M>,
    pub accepted: Vec<(u32, Config<M>)>,
    pub queue: Vec<(usize, Config<M>)>,
    pub blind: Vec<Opening>,
    pub lost_blind: Vec<(usize, u32)>,
    pub trails: Trails,
}

/// Elements that a workspace may have room for when it is kept for another search.
const KEPT_ROOM: usize = 1 << 14;

impl<M: Mask> Workspace<M> {
    pub fn new(words: usize) -> Self {
        Workspace {
            open: Openings::new(words),
            configs: Groups::new(),
            settled: Groups::new(),
            accepted: Vec::with_capacity(AT_FIRST),
            queue: Vec::with_capacity(AT_FIRST),
            blind: Vec::new(),
            lost_blind: Vec::new(),
            trails: Trails::new(),
        }
    }

    pub fn is_small(&self) -> bool {
        let lists = self.accepted.capacity() + self.queue.capacity() + self.trails.room();
        let groups = self.configs.room() + self.settled.room();
        lists + groups + self.open.room() <= KEPT_ROOM
    }
}

thread_local! {
    static SPARE: Cell<Option<Workspace<[u64; 1]>>> = const { Cell::new(None) };
}

/// Masks of which a workspace is kept: those of short searches, which are mostly of few clients.
pub trait Reused: Mask {
    /// The workspace of another search, if there is one.
    fn spare() -> Option<Workspace<Self>> {
        None
    }

    fn keep(_space: Workspace<Self>) {}
}

impl Reused for [u64; 1] {
    fn spare() -> Option<Workspace<Self>> {
        SPARE.take()
    }

    fn keep(space: Workspace<Self>) {
        SPARE.set(Some(space));
    }
}

impl Reused for [u64; 2] {}
impl Reused for [u64; 4] {}
impl Reused for Box<[u64]> {}
