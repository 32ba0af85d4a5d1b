//! The search of Wing & Gong (1993) with Lowe's cache (2017): the counterpart of
//! `harness.check.wgl`, where it is explained.

use crate::problem::{Host, Problem, World};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use std::hash::{BuildHasher, Hash};

/// What a depth-first search came to; see `harness.check.wgl.Walk`.
pub struct Walk {
    pub order: Option<Vec<u32>>,
    pub finished: bool,
    pub blocked: i64,
    pub steps: u64,
}

/// Steps between two looks at the patience.
const LOOK_EVERY: u64 = 64;

/// The cache is in so many parts: only one at a time is doubled, so memory grows in small steps.
pub const PARTS: usize = 64;

/// The events as a doubly linked list. Place 0 is the head and also the end; event i is at i + 1.
pub struct Entries {
    pub next: Vec<u32>,
    before: Vec<u32>,
    returns: Vec<u32>,
}

impl Entries {
    pub fn new(problem: &Problem) -> Self {
        let count = problem.events.len() as u32 + 1;
        let mut returns = vec![0; problem.classes.len()];
        for (place, event) in problem.events.iter().enumerate() {
            if event & 1 != 0 {
                returns[(event >> 1) as usize] = place as u32 + 1;
            }
        }
        Entries {
            next: (1..count).chain([0]).collect(),
            before: std::iter::once(count - 1).chain(0..count - 1).collect(),
            returns,
        }
    }

    #[inline]
    fn out(&mut self, place: u32) {
        let (before, after) = (self.before[place as usize], self.next[place as usize]);
        self.next[before as usize] = after;
        self.before[after as usize] = before;
    }

    #[inline]
    fn back(&mut self, place: u32) {
        let (before, after) = (self.before[place as usize], self.next[place as usize]);
        self.next[before as usize] = place;
        self.before[after as usize] = place;
    }

    /// Takes an operation's call and return out.
    pub fn lift(&mut self, place: u32, operation: u32) {
        self.out(place);
        match self.returns[operation as usize] {
            0 => {}
            end => self.out(end),
        }
    }

    /// Puts them back; the last one lifted must be the first one back.
    pub fn unlift(&mut self, place: u32, operation: u32) {
        match self.returns[operation as usize] {
            0 => {}
            end => self.back(end),
        }
        self.back(place);
    }
}

/// The linearized operations that returned: `base` of them without a gap, and a mask of the rest.
struct Window {
    base: u32,
    low: u64,
    high: Vec<u64>,
}

impl Window {
    /// Adds an operation and moves over all that are now without a gap.
    fn add(&mut self, number: u32) {
        let bit = number - self.base;
        if bit < 64 {
            self.low |= 1 << bit;
        } else {
            let word = (bit / 64 - 1) as usize;
            if self.high.len() <= word {
                self.high.resize(word + 1, 0);
            }
            self.high[word] |= 1 << (bit % 64);
        }
        while self.low == u64::MAX {
            self.base += 64;
            self.low = if self.high.is_empty() { 0 } else { self.high.remove(0) };
        }
        let full = self.low.trailing_ones();
        self.base += full;
        self.low >>= full;
        if full > 0 {
            for word in 0..self.high.len() {
                let carried = self.high[word] << (64 - full);
                *(if word == 0 { &mut self.low } else { &mut self.high[word - 1] }) |= carried;
                self.high[word] >>= full;
            }
        }
        self.trim();
    }

    /// The inverse: `base` is what it was before.
    fn take(&mut self, number: u32, base: u32) {
        let mut full = self.base - base;
        while full >= 64 {
            if self.low != 0 || !self.high.is_empty() {
                self.high.insert(0, self.low);
            }
            self.low = u64::MAX;
            full -= 64;
        }
        if full > 0 {
            let mut carried = (1 << full) - 1;
            let words = std::iter::once(&mut self.low).chain(&mut self.high);
            for word in words {
                let next = *word >> (64 - full);
                *word = *word << full | carried;
                carried = next;
            }
            if carried != 0 {
                self.high.push(carried);
            }
        }
        self.base = base;
        match number - base {
            bit if bit < 64 => self.low &= !(1 << bit),
            bit => self.high[(bit / 64 - 1) as usize] &= !(1 << (bit % 64)),
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.high.last() == Some(&0) {
            self.high.pop();
        }
    }
}

/// Sets of unanswered operations that took effect, each with a number.
struct LostSets {
    bits: Vec<u64>,
    ids: FxHashMap<Box<[u64]>, u32>,
    id: u32,
}

impl LostSets {
    /// Adds an operation, or takes it away.
    fn flip(&mut self, number: u32) {
        let word = (number / 64) as usize;
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] ^= 1 << (number % 64);
        let length = self.bits.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        let next = self.ids.len() as u32;
        self.id = match self.ids.get(&self.bits[..length]) {
            Some(id) => *id,
            None => {
                self.ids.insert(self.bits[..length].into(), next);
                next
            }
        };
    }
}

/// The configurations that were entered.
struct Cache {
    narrow: Vec<FxHashSet<[u32; 5]>>,
    wide: Vec<FxHashSet<Box<[u64]>>>,
    key: Vec<u64>,
}

impl Cache {
    fn new() -> Self {
        let narrow = (0..PARTS).map(|_| FxHashSet::default()).collect();
        let wide = (0..PARTS).map(|_| FxHashSet::default()).collect();
        Cache { narrow, wide, key: Vec::new() }
    }

    /// Whether a configuration is entered for the first time.
    fn enter(&mut self, state: u32, window: &Window, lost: u32) -> bool {
        let low = window.low;
        if window.high.is_empty() {
            let key = [state, window.base, lost, low as u32, (low >> 32) as u32];
            return self.narrow[part_of(&key)].insert(key);
        }
        self.key.clear();
        self.key.push(u64::from(state) << 32 | u64::from(window.base));
        self.key.push(u64::from(lost));
        self.key.push(low);
        self.key.extend(&window.high);
        let part = part_of(&self.key[..]);
        if self.wide[part].contains(&self.key[..]) {
            return false;
        }
        self.wide[part].insert(self.key[..].into())
    }
}

/// Bits of the hash that the sets themselves make no use of: they take the lowest, and the top seven.
pub fn part_of<K: Hash + ?Sized>(key: &K) -> usize {
    (FxBuildHasher.hash_one(key) >> 50) as usize % PARTS
}

/// One step taken: the place of the call, which of its successors, and what was before it.
struct Taken {
    place: u32,
    choice: u32,
    state: u32,
    base: u32,
}

/// Searches for a legal order; `patience` is how many steps it may take for each event reached.
pub fn walk<H: Host>(
    problem: &Problem,
    world: &mut World<H>,
    patience: Option<u64>,
) -> Result<Walk, H::Error> {
    world.begin()?;
    let mut entries = Entries::new(problem);
    let numbers = numbers(problem);
    let mut cache = Cache::new();
    let mut window = Window { base: 0, low: 0, high: Vec::new() };
    let mut lost = LostSets { bits: Vec::new(), ids: FxHashMap::default(), id: 0 };
    lost.ids.insert(Box::new([]), 0);
    let mut stack: Vec<Taken> = Vec::new();
    let (mut blocked, mut reached, mut steps) = (-1i64, 0i64, 0u64);
    let (mut state, mut choice) = (problem.initial, 0u32);
    let mut place = entries.next[0];
    while place != 0 {
        steps += 1;
        world.tick(4)?;
        if steps % LOOK_EVERY == 0 {
            let allowed = patience.map(|it| it * (reached.max(blocked) as u64 + LOOK_EVERY));
            if allowed.is_some_and(|allowed| steps > allowed) {
                return Ok(Walk { order: None, finished: false, blocked, steps });
            }
        }
        let event = problem.events[place as usize - 1];
        let operation = event >> 1;
        let number = numbers[operation as usize];
        if event & 1 == 0 {
            let next = world.step(problem, state, problem.classes[operation as usize])?;
            let Some(after) = world.choice(next, choice as usize) else {
                (place, choice) = (entries.next[place as usize], 0);
                continue;
            };
            let base = window.base;
            let returns = problem.returned[operation as usize];
            if returns {
                window.add(number);
            } else {
                lost.flip(number);
            }
            if !cache.enter(after, &window, lost.id) {
                if returns {
                    window.take(number, base);
                } else {
                    lost.flip(number);
                }
                choice += 1;
                continue;
            }
            stack.push(Taken { place, choice, state, base });
            (state, choice) = (after, 0);
            entries.lift(place, operation);
            reached = reached.max(i64::from(place));
            place = entries.next[0];
            continue;
        }
        blocked = blocked.max(i64::from(place) - 1);
        let Some(taken) = stack.pop() else {
            return Ok(Walk { order: None, finished: true, blocked, steps });
        };
        let operation = problem.events[taken.place as usize - 1] >> 1;
        let number = numbers[operation as usize];
        if problem.returned[operation as usize] {
            window.take(number, taken.base);
        } else {
            lost.flip(number);
        }
        entries.unlift(taken.place, operation);
        (place, choice, state) = (taken.place, taken.choice + 1, taken.state);
    }
    let order = stack.iter().map(|taken| problem.events[taken.place as usize - 1] >> 1).collect();
    Ok(Walk { order: Some(order), finished: true, blocked, steps })
}

/// Operations that returned, and those that did not, each numbered in order of call.
fn numbers(problem: &Problem) -> Vec<u32> {
    let mut counts = [0, 0];
    let mut numbers = vec![0; problem.classes.len()];
    for event in problem.events.iter().filter(|event| *event & 1 == 0) {
        let operation = (event >> 1) as usize;
        let count = &mut counts[usize::from(problem.returned[operation])];
        numbers[operation] = *count;
        *count += 1;
    }
    numbers
}
