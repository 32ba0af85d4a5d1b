//! What is open at one moment of a search: the counterpart of `harness.check.openings`.
//!
//! Operations that will return have a slot, a bit in the masks of a configuration. Operations that
//! never return are counted by class: each class has a field of bits in packed counts.

use crate::masks::Mask;
use crate::problem::{Host, Kind, Next, Problem, World, NONE};

/// A step of an operation with a slot.
#[derive(Clone, Copy)]
pub struct Opening {
    pub slot: u32,
    /// The state after it, or its class where the table has to be asked.
    pub to: u32,
    pub operation: u32,
}

/// A class of unanswered operations. Its count is in `bits` of a word; the highest is a guard that
/// no count reaches, so that a subtraction in one field does not borrow from the next.
pub struct Lost {
    pub cls: u32,
    pub called: u64,
    pub word: usize,
    pub shift: u32,
    pub bits: u32,
}

impl Lost {
    /// Whether an operation of the class is left to be spent.
    #[inline(always)]
    pub fn left<M: Mask>(&self, spent: &M) -> bool {
        let count = spent.words()[self.word] >> self.shift & ((1 << (self.bits - 1)) - 1);
        count < self.called
    }

    /// Counts with one more spent.
    #[inline(always)]
    pub fn spend<M: Mask>(&self, spent: &M) -> M {
        let mut spent = spent.clone();
        spent.words_mut()[self.word] += 1 << self.shift;
        spent
    }
}

/// What all beams of a search have in common: where operations return, and where the counts of
/// unanswered ones go.
pub struct Fields {
    /// See `Problem::ends`.
    pub ends: Vec<u32>,
    /// How many states the classes name.
    states: usize,
    lost: Vec<(u32, usize, u32, u32)>,
    /// What masks need: for the operations that are open at once, and for the counts.
    pub words: usize,
}

impl Fields {
    /// One field for each class of unanswered operations that are worth counting: those whose
    /// effect somebody can notice.
    pub fn of(problem: &Problem) -> Fields {
        let mut counts = Vec::new();
        let mut order = Vec::new();
        for (cls, returned) in problem.classes.iter().zip(&problem.returned) {
            if !returned && counted(problem, *cls) {
                counts.resize(problem.kinds.len(), 0u64);
                let count = &mut counts[*cls as usize];
                if *count == 0 {
                    order.push(*cls);
                }
                *count += 1;
            }
        }
        let (mut word, mut shift) = (0, 0);
        let mut lost = Vec::with_capacity(order.len());
        for cls in order {
            let bits = u64::BITS - counts[cls as usize].leading_zeros() + 1;
            if shift + bits > u64::BITS {
                (word, shift) = (word + 1, 0);
            }
            lost.push((cls, word, shift, bits));
            shift += bits;
        }
        let named = problem.at.iter().chain(&problem.to).filter(|state| **state != NONE);
        let states = named.max().map_or(0, |state| *state as usize + 1);
        let (ends, most_open) = problem.ends();
        let words = most_open.div_ceil(64).max(word + 1);
        Fields { ends, states, words, lost }
    }
}

/// Unanswered operations that change nothing, or lead into the mute state, are as good as such
/// that never took effect.
fn counted(problem: &Problem, cls: u32) -> bool {
    match problem.kinds[cls as usize] {
        Kind::Blind | Kind::Moves => problem.to[cls as usize] != problem.mute,
        kind => !kind.observes(),
    }
}

/// Something for each state that an operation expects; states are small numbers.
pub struct ByState<T>(Vec<T>);

/// States beyond these get their room when they come up: of many, few are seen by one beam.
const ROOM: usize = 64;

impl<T: Default> ByState<T> {
    pub fn new(states: usize) -> Self {
        ByState(Vec::with_capacity(states.min(ROOM)))
    }

    fn clear(&mut self, states: usize) {
        self.0.clear();
        self.0.reserve(states.min(ROOM));
    }

    #[inline(always)]
    pub fn get(&self, state: u32) -> Option<&T> {
        self.0.get(state as usize)
    }

    #[inline(always)]
    pub fn of(&mut self, state: u32) -> &mut T {
        let place = state as usize;
        if self.0.len() <= place {
            self.0.resize_with(place + 1, T::default);
        }
        &mut self.0[place]
    }
}

impl<T: Copy> ByState<Vec<T>> {
    /// Empties the lists, and keeps their memory.
    fn empty(&mut self) {
        self.0.iter_mut().for_each(Vec::clear);
    }

    /// One of a state's list, if it is so long.
    #[inline(always)]
    pub fn at(&self, state: u32, place: usize) -> Option<T> {
        self.0.get(state as usize)?.get(place).copied()
    }
}

/// The open operations, filed by what they can do.
pub struct Openings<M> {
    words: usize,
    free_slots: Vec<u32>,
    slots: u32,
    slot_of: Vec<u32>,
    pub observers: M,
    pub total: M,
    sees: ByState<Option<M>>,
    sees_other: ByState<Option<M>>,
    any_other: M,
    others: usize,
    lookers: Vec<Opening>,
    pub blind: Vec<Opening>,
    pub moves: ByState<Vec<Opening>>,
    moving: usize,
    pub asking: Vec<Opening>,
    pub lost: Vec<Lost>,
    /// Of each class: its place in `lost`.
    place_of: Vec<u32>,
    pub guards: M,
    /// Places in `lost`, with the state after them; by the state they leave; to be asked.
    pub lost_blind: Vec<(usize, u32)>,
    pub lost_moves: ByState<Vec<(usize, u32)>>,
    pub lost_asking: Vec<usize>,
}

impl<M: Mask> Openings<M> {
    /// Good for nothing before `begin`.
    pub fn new(words: usize) -> Self {
        let zero = || M::zero(words);
        Openings {
            words,
            free_slots: Vec::new(),
            slots: 0,
            slot_of: Vec::new(),
            observers: zero(),
            total: zero(),
            sees: ByState::new(0),
            sees_other: ByState::new(0),
            any_other: zero(),
            others: 0,
            lookers: Vec::new(),
            blind: Vec::new(),
            moves: ByState::new(0),
            moving: 0,
            asking: Vec::new(),
            lost: Vec::new(),
            place_of: Vec::new(),
            guards: zero(),
            lost_blind: Vec::new(),
            lost_moves: ByState::new(0),
            lost_asking: Vec::new(),
        }
    }

    /// Forgets all that was open, for a new search; its memory is used again.
    pub fn begin(&mut self, problem: &Problem, fields: &Fields) {
        let zero = M::zero(self.words);
        self.free_slots.clear();
        self.slots = 0;
        // What is in it of another search is never read: an operation is opened first.
        self.slot_of.resize(problem.classes.len(), 0);
        (self.observers, self.total, self.any_other) = (zero.clone(), zero.clone(), zero.clone());
        self.sees.clear(fields.states);
        self.sees_other.clear(0);
        self.others = 0;
        self.lookers.clear();
        self.blind.clear();
        self.moves.empty();
        self.moving = 0;
        self.asking.clear();
        self.lost_blind.clear();
        self.lost_moves.clear(0);
        self.lost_asking.clear();
        self.guards = zero;
        self.lost.clear();
        self.place_of.clear();
        if fields.lost.is_empty() {
            return;
        }
        self.place_of.resize(problem.kinds.len(), NONE);
        for &(cls, word, shift, bits) in &fields.lost {
            self.guards.words_mut()[word] |= 1 << (shift + bits - 1);
            self.place_of[cls as usize] = self.lost.len() as u32;
            self.lost.push(Lost { cls, called: 0, word, shift, bits });
        }
    }

    /// Elements there is room for: what it would keep of another search's memory.
    pub fn room(&self) -> usize {
        let lists = self.moves.0.iter().map(Vec::capacity).sum::<usize>();
        self.slot_of.capacity() + self.sees.0.capacity() + self.moves.0.capacity() + lists
    }

    pub fn slot(&self, operation: u32) -> u32 {
        self.slot_of[operation as usize]
    }

    /// Gives an operation that will return a slot, and files it under what it can do. Lists are in
    /// the order of returns (`ends`), for rule 10.
    pub fn open(&mut self, problem: &Problem, ends: &[u32], operation: u32, cls: u32) {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.slot_of[operation as usize] = slot;
        let (at, to) = (problem.at[cls as usize], problem.to[cls as usize]);
        let kind = problem.kinds[cls as usize];
        if kind.observes() {
            self.observers.set(slot);
        }
        let words = self.words;
        match kind {
            Kind::Sees => {
                self.sees.of(at).get_or_insert_with(|| M::zero(words)).set(slot);
            }
            Kind::SeesOther => {
                self.sees_other.of(at).get_or_insert_with(|| M::zero(words)).set(slot);
                self.any_other.set(slot);
                self.others += 1;
            }
            Kind::Idle | Kind::Looks => self.lookers.push(Opening { slot, to: cls, operation }),
            Kind::Blind => {
                self.total.set(slot);
                insert(&mut self.blind, ends, Opening { slot, to, operation });
            }
            Kind::Moves => {
                insert(self.moves.of(at), ends, Opening { slot, to, operation });
                self.moving += 1;
            }
            Kind::Total | Kind::Other => {
                if kind == Kind::Total {
                    self.total.set(slot);
                }
                insert(&mut self.asking, ends, Opening { slot, to: cls, operation });
            }
        }
    }

    /// The inverse of `open`.
    pub fn close(&mut self, problem: &Problem, operation: u32, cls: u32) {
        let slot = self.slot(operation);
        self.free_slots.push(slot);
        self.observers.unset(slot);
        self.total.unset(slot);
        let at = problem.at[cls as usize];
        match problem.kinds[cls as usize] {
            Kind::Sees => {
                drop_bit(&mut self.sees, at, slot);
            }
            Kind::SeesOther => {
                drop_bit(&mut self.sees_other, at, slot);
                self.any_other.unset(slot);
                self.others -= 1;
            }
            Kind::Idle | Kind::Looks => drop_slot(&mut self.lookers, slot),
            Kind::Blind => drop_slot(&mut self.blind, slot),
            Kind::Moves => {
                drop_slot(self.moves.of(at), slot);
                self.moving -= 1;
            }
            Kind::Total | Kind::Other => drop_slot(&mut self.asking, slot),
        }
    }

    /// Counts an operation that nobody saw the end of (rule 3).
    pub fn lose(&mut self, problem: &Problem, cls: u32) {
        let place = match self.place_of.get(cls as usize) {
            Some(&place) if place != NONE => place as usize,
            _ => return,
        };
        self.lost[place].called += 1;
        if self.lost[place].called > 1 {
            return;
        }
        let (at, to) = (problem.at[cls as usize], problem.to[cls as usize]);
        match problem.kinds[cls as usize] {
            Kind::Blind => self.lost_blind.push((place, to)),
            Kind::Moves => self.lost_moves.of(at).push((place, to)),
            _ => self.lost_asking.push(place),
        }
    }

    /// The open observers that a state allows.
    pub fn granted<H: Host>(&self, world: &mut World<H>, state: u32) -> Result<M, H::Error> {
        let mut granted = match self.sees.get(state) {
            Some(Some(mask)) => mask.clone(),
            _ => M::zero(self.words),
        };
        if self.others > 0 {
            match self.sees_other.get(state) {
                Some(Some(refused)) => granted.join(&self.any_other.without(refused)),
                _ => granted.join(&self.any_other),
            }
        }
        for looker in &self.lookers {
            if world.next(state, looker.to)? != Next::Refused {
                granted.set(looker.slot);
            }
        }
        Ok(granted)
    }

    /// The blind steps that rule 5 does not rule out for all configurations at once.
    pub fn worthwhile(&self, slot: u32, blind: &mut Vec<Opening>, lost: &mut Vec<(usize, u32)>) {
        let anything = self.others > 0
            || !(self.lookers.is_empty() && self.asking.is_empty() && self.lost_asking.is_empty());
        let wanted = |state: &u32| {
            anything
                || self.sees.get(*state).is_some_and(Option::is_some)
                || self.moves.get(*state).is_some_and(|list| !list.is_empty())
                || self.lost_moves.get(*state).is_some_and(|list| !list.is_empty())
        };
        blind.clear();
        blind.extend(self.blind.iter().filter(|one| one.slot == slot || wanted(&one.to)));
        lost.clear();
        lost.extend(self.lost_blind.iter().filter(|one| wanted(&one.1)));
    }

    /// Whether a step other than a blind one leads on from a state (true when in doubt).
    pub fn enables<H: Host>(
        &self,
        world: &mut World<H>,
        problem: &Problem,
        state: u32,
        used: &M,
    ) -> Result<bool, H::Error> {
        if state == problem.mute {
            return Ok(false);
        }
        if self.lost_moves.get(state).is_some_and(|list| !list.is_empty()) {
            return Ok(true);
        }
        if let Some(moves) = self.moves.get(state) {
            if moves.iter().any(|one| !used.has(one.slot)) {
                return Ok(true);
            }
        }
        if problem.commutes {
            return Ok(self.others_than_total(problem, used));
        }
        let asked = self.asking.iter().filter(|one| !used.has(one.slot)).map(|one| one.to);
        let lost = self.lost_asking.iter().map(|place| self.lost[*place].cls);
        for cls in asked.chain(lost) {
            let next = world.next(state, cls)?;
            if next != Next::Refused && next != Next::One(problem.mute) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether anything is open, or lost, that is no total operation (rule 8).
    fn others_than_total(&self, problem: &Problem, used: &M) -> bool {
        let total = |cls: u32| problem.kinds[cls as usize] == Kind::Total;
        self.observers.exceeds(used)
            || self.moving > 0
            || !self.lost_moves.0.is_empty()
            || self.asking.iter().any(|one| !total(one.to) && !used.has(one.slot))
            || self.lost_asking.iter().any(|place| !total(self.lost[*place].cls))
    }
}

fn drop_bit<M: Mask>(masks: &mut ByState<Option<M>>, state: u32, slot: u32) {
    let found = masks.of(state);
    if let Some(mask) = found {
        mask.unset(slot);
        if mask.is_zero() {
            *found = None;
        }
    }
}

fn insert(list: &mut Vec<Opening>, ends: &[u32], one: Opening) {
    let end = ends[one.operation as usize];
    let place = list.partition_point(|other| ends[other.operation as usize] <= end);
    list.insert(place, one);
}

/// Whether a list has an operation with this effect that is not used.
pub fn has_unused<M: Mask>(list: &[Opening], to: u32, used: &M) -> bool {
    list.iter().any(|one| one.to == to && !used.has(one.slot))
}

fn drop_slot(list: &mut Vec<Opening>, slot: u32) {
    if let Some(place) = list.iter().position(|one| one.slot == slot) {
        list.remove(place);
    }
}
