//! The problem as `harness.check.problem` poses it, and what the outside world is asked.

use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};

/// No state, no step.
pub const NONE: u32 = u32::MAX;

/// How a class of actions treats the state; the numbers are those of `harness.check.models.Kind`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Idle,
    Sees,
    SeesOther,
    Looks,
    Blind,
    Total,
    Moves,
    Other,
}

impl Kind {
    /// None for a number that is no kind.
    pub fn of(number: u8) -> Option<Kind> {
        use Kind::*;
        [Idle, Sees, SeesOther, Looks, Blind, Total, Moves, Other].get(number as usize).copied()
    }

    /// It changes nothing.
    #[inline(always)]
    pub fn observes(self) -> bool {
        self <= Kind::Looks
    }
}

/// See `harness.check.problem.Problem`; states that do not apply are `NONE`.
pub struct Problem {
    pub classes: Vec<u32>,
    pub returned: Vec<bool>,
    pub events: Vec<u32>,
    pub kinds: Vec<Kind>,
    pub at: Vec<u32>,
    pub to: Vec<u32>,
    pub initial: u32,
    pub mute: u32,
    pub commutes: bool,
}

impl Problem {
    /// What is wrong with the numbers, if anything: the searches trust them.
    pub fn fault(&self) -> Option<&'static str> {
        let operations = self.classes.len();
        if self.at.len() != self.kinds.len() || self.to.len() != self.kinds.len() {
            return Some("kinds, at and to differ in length");
        }
        if self.returned.len() != operations || operations >= 1 << 30 {
            return Some("classes and returned differ in length, or are too long");
        }
        if self.classes.iter().any(|cls| *cls as usize >= self.kinds.len()) {
            return Some("an operation of no class");
        }
        let mut seen = vec![0u8; operations];
        for event in &self.events {
            let (operation, end) = ((event >> 1) as usize, (event & 1) as u8);
            if operation >= operations || seen[operation] != end {
                return Some("an event out of place");
            }
            if end == 1 && !self.returned[operation] {
                return Some("an operation that returns and does not");
            }
            seen[operation] += 1;
        }
        let whole = seen.iter().zip(&self.returned).all(|(count, ends)| *count == 1 + *ends as u8);
        (!whole).then_some("an operation without its events")
    }

    /// Where operations return, `NONE` for one that does not; and how many that do are open at
    /// once, at most.
    pub fn ends(&self) -> (Vec<u32>, usize) {
        let mut ends = vec![NONE; self.classes.len()];
        let (mut open, mut most) = (0usize, 0);
        for (position, event) in self.events.iter().enumerate() {
            let operation = (event >> 1) as usize;
            if event & 1 != 0 {
                ends[operation] = position as u32;
                open -= 1;
            } else {
                open += usize::from(self.returned[operation]);
                most = most.max(open);
            }
        }
        (ends, most)
    }

    /// What was before an event: operations that return later may take effect or not.
    pub fn before(&self, position: u32) -> Problem {
        let events = self.events[..position as usize].to_vec();
        let called = events.iter().map(|event| (event >> 1) as usize + 1).max().unwrap_or(0);
        let mut returned = vec![false; called];
        for event in &events {
            returned[(event >> 1) as usize] |= event & 1 != 0;
        }
        Problem {
            classes: self.classes[..called].to_vec(),
            returned,
            events,
            kinds: self.kinds.clone(),
            at: self.at.clone(),
            to: self.to.clone(),
            initial: self.initial,
            mute: self.mute,
            commutes: self.commutes,
        }
    }

    /// How large it is; see `harness.check.attempts.Sizes`.
    pub fn sizes(&self) -> Sizes {
        let mut lost = (0, 0);
        for (cls, returned) in self.classes.iter().zip(&self.returned) {
            if !returned {
                lost.0 += 1;
                lost.1 += usize::from(self.kinds[*cls as usize] == Kind::Moves);
            }
        }
        (self.classes.len(), self.kinds.len(), lost.0, lost.1, self.most_open())
    }

    /// The largest number of operations that are open at once and will return.
    pub fn most_open(&self) -> usize {
        let (mut open, mut most) = (0usize, 0);
        for event in &self.events {
            if event & 1 != 0 {
                open -= 1;
            } else if self.returned[(event >> 1) as usize] {
                open += 1;
                most = most.max(open);
            }
        }
        most
    }
}

/// Operations, classes, unanswered operations, those that lead from one state to another, and how
/// many that return are open at once.
pub type Sizes = (usize, usize, usize, usize, usize);

/// What a search asks of whoever started it.
pub trait Host {
    type Error;

    /// The successors of a state under a class of actions.
    fn next(&mut self, state: u32, cls: u32) -> Result<Vec<u32>, Self::Error>;

    /// Fails when a limit is reached or somebody wants the search to end.
    fn look(&mut self) -> Result<(), Self::Error>;
}

/// One entry of the transition table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Refused,
    One(u32),
    Many(u32),
}

const UNKNOWN: u32 = 0;
const REFUSED: u32 = 1;
const FIRST: u32 = 2;
const MANY: u32 = 1 << 31;

/// Tables of up to this many classes have a row for each state.
const DENSE: usize = 64;

/// Work between two readings of the clock: comparisons of two configurations, roughly.
const TICKS: u32 = 16_384;
/// Time between two looks of the host, who has to take Python's lock for it.
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// The host, a transition table that is filled as it is asked, and the clock of looks.
pub struct World<H> {
    pub host: H,
    classes: usize,
    dense: Vec<Vec<u32>>,
    sparse: FxHashMap<u64, u32>,
    many: Vec<u32>,
    work: u32,
    looked: Instant,
}

impl<H: Host> World<H> {
    pub fn new(host: H, classes: usize) -> Self {
        World {
            host,
            classes,
            dense: Vec::new(),
            sparse: FxHashMap::default(),
            many: Vec::new(),
            work: 0,
            looked: Instant::now(),
        }
    }

    /// The successors of a state, from its shape or else from the table.
    #[inline]
    pub fn step(&mut self, problem: &Problem, state: u32, cls: u32) -> Result<Next, H::Error> {
        let at = problem.at[cls as usize];
        let to = problem.to[cls as usize];
        let when = |allowed, after| if allowed { Next::One(after) } else { Next::Refused };
        Ok(match problem.kinds[cls as usize] {
            Kind::Idle => Next::One(state),
            Kind::Sees => when(state == at, state),
            Kind::SeesOther => when(state != at, state),
            Kind::Blind => Next::One(to),
            Kind::Moves => when(state == at, to),
            Kind::Looks | Kind::Total | Kind::Other => return self.next(state, cls),
        })
    }

    /// The successors of a state from the table; the host is asked once for each.
    #[inline]
    pub fn next(&mut self, state: u32, cls: u32) -> Result<Next, H::Error> {
        let known = if self.classes <= DENSE {
            let row = self.dense.get(state as usize);
            row.and_then(|row| row.get(cls as usize)).copied().unwrap_or(UNKNOWN)
        } else {
            self.sparse.get(&(u64::from(state) << 32 | u64::from(cls))).copied().unwrap_or(UNKNOWN)
        };
        Ok(match known {
            UNKNOWN => return self.ask(state, cls),
            REFUSED => Next::Refused,
            cell if cell & MANY != 0 => Next::Many(cell & !MANY),
            cell => Next::One(cell - FIRST),
        })
    }

    #[cold]
    fn ask(&mut self, state: u32, cls: u32) -> Result<Next, H::Error> {
        let after = self.host.next(state, cls)?;
        let (cell, next) = match after[..] {
            [] => (REFUSED, Next::Refused),
            [one] => (one + FIRST, Next::One(one)),
            _ => {
                let place = self.many.len() as u32;
                self.many.push(after.len() as u32);
                self.many.extend(after);
                (place | MANY, Next::Many(place))
            }
        };
        if self.classes <= DENSE {
            if self.dense.len() <= state as usize {
                self.dense.resize_with(state as usize + 1, Vec::new);
            }
            let row = &mut self.dense[state as usize];
            row.resize(self.classes, UNKNOWN);
            row[cls as usize] = cell;
        } else {
            self.sparse.insert(u64::from(state) << 32 | u64::from(cls), cell);
        }
        Ok(next)
    }

    /// The successor with this number, if there are so many.
    #[inline]
    pub fn choice(&self, next: Next, number: usize) -> Option<u32> {
        match next {
            Next::Refused => None,
            Next::One(after) => (number == 0).then_some(after),
            Next::Many(place) => {
                let place = place as usize;
                let count = self.many[place] as usize;
                (number < count).then(|| self.many[place + 1 + number])
            }
        }
    }

    /// Counts work done, and lets the host look when it is time.
    #[inline(always)]
    pub fn tick(&mut self, work: u32) -> Result<(), H::Error> {
        self.work += work;
        if self.work < TICKS {
            return Ok(());
        }
        self.work = 0;
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.look()
    }

    /// Lets the host look if it has not for a while: before something new is begun.
    pub fn begin(&mut self) -> Result<(), H::Error> {
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.look()
    }

    /// Lets the host look now.
    #[cold]
    fn look(&mut self) -> Result<(), H::Error> {
        self.host.look()?;
        self.looked = Instant::now();
        Ok(())
    }
}
