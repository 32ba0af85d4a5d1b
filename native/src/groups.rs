//! Configurations, by the state of the object.

use crate::masks::Mask;
use rustc_hash::FxHashMap;

/// What a legal order of the events so far can have led to; see the search.
#[derive(Clone)]
pub struct Config<M> {
    pub used: M,
    pub free: M,
    pub spent: M,
    pub trail: u32,
}

impl<M: Mask> Config<M> {
    /// Clears the slot of an operation that is done.
    #[inline(always)]
    pub fn forget(&mut self, slot: u32) {
        self.used.unset(slot);
        self.free.unset(slot);
    }

    /// Rule 4: whatever can happen after `other` can happen after this, in the same state.
    ///
    /// `others` are the observers that the state does not allow. No count in `spent` reaches its
    /// guard, so no field borrows from the next, and a guard is left where this has spent no more.
    #[inline(always)]
    pub fn dominates(&self, other: &Self, observers: &M, others: &M, guards: &M) -> bool {
        let (observers, others, guards) = (observers.words(), others.words(), guards.words());
        let (used, free, spent) = (self.used.words(), self.free.words(), self.spent.words());
        let theirs = (other.used.words(), other.free.words(), other.spent.words());
        for word in 0..observers.len() {
            let differ = used[word] ^ theirs.0[word];
            let statuses = (differ & !observers[word] | theirs.1[word]) & !free[word];
            let seen = differ & theirs.0[word] & others[word];
            let counts = (theirs.2[word] | guards[word]).wrapping_sub(spent[word]);
            if statuses | seen | (!counts & guards[word]) != 0 {
                return false;
            }
        }
        true
    }
}

/// The configurations of one state. `granted` belongs to whoever uses the groups.
pub struct Group<M> {
    pub state: u32,
    pub granted: M,
    pub configs: Vec<Config<M>>,
}

/// From so many groups on they are found by a hash instead of one after the other.
const MANY: usize = 12;

/// Groups in order of arrival. Memory of those that were cleared is used again.
pub struct Groups<M> {
    groups: Vec<Group<M>>,
    live: usize,
    index: FxHashMap<u32, usize>,
}

impl<M: Mask> Groups<M> {
    pub fn new() -> Self {
        Groups { groups: Vec::new(), live: 0, index: FxHashMap::default() }
    }

    pub fn len(&self) -> usize {
        self.live
    }

    #[inline(always)]
    pub fn get(&self, place: usize) -> &Group<M> {
        &self.groups[place]
    }

    #[inline(always)]
    pub fn get_mut(&mut self, place: usize) -> &mut Group<M> {
        &mut self.groups[place]
    }

    #[inline]
    pub fn find(&self, state: u32) -> Option<usize> {
        if self.live > MANY {
            return self.index.get(&state).copied();
        }
        self.groups[..self.live].iter().position(|group| group.state == state)
    }

    /// Adds an empty group for a state that has none.
    pub fn add(&mut self, state: u32, granted: M) -> usize {
        let place = self.live;
        if place == self.groups.len() {
            self.groups.push(Group { state, granted, configs: Vec::new() });
        } else {
            let group = &mut self.groups[place];
            group.state = state;
            group.granted = granted;
            group.configs.clear();
        }
        self.live += 1;
        if self.live == MANY + 1 {
            self.index.clear();
            self.index
                .extend(self.groups[..self.live].iter().enumerate().map(|(i, g)| (g.state, i)));
        } else if self.live > MANY {
            self.index.insert(state, place);
        }
        place
    }

    pub fn clear(&mut self) {
        self.live = 0;
        // What one wide moment needed is not kept for the rest of a long history.
        if self.groups.len() > 4 * MANY {
            self.groups.truncate(4 * MANY);
        }
    }

    /// Configurations there is room for.
    pub fn room(&self) -> usize {
        self.groups.iter().map(|group| group.configs.capacity() + 1).sum()
    }

    /// How many configurations there are.
    pub fn count(&self) -> usize {
        self.groups[..self.live].iter().map(|group| group.configs.len()).sum()
    }

    /// Keeps the first so many configurations (at least one).
    pub fn cut(&mut self, width: usize) {
        let mut left = width;
        let mut live = 0;
        for group in &mut self.groups[..self.live] {
            if left == 0 {
                break;
            }
            group.configs.truncate(left);
            left -= group.configs.len();
            live += 1;
        }
        if live <= MANY {
            self.live = live;
            return;
        }
        for group in &self.groups[live..self.live] {
            self.index.remove(&group.state);
        }
        self.live = live;
    }

    /// The trail of any one configuration.
    pub fn any_trail(&self) -> u32 {
        let configs = self.groups[..self.live].iter().flat_map(|group| &group.configs);
        configs.map(|config| config.trail).next().unwrap_or(crate::problem::NONE)
    }

    /// The trails of all configurations.
    pub fn trails_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        let configs = self.groups[..self.live].iter_mut().flat_map(|group| &mut group.configs);
        configs.map(|config| &mut config.trail)
    }
}
