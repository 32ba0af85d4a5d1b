//! The search: an antichain of configurations, carried from return to return.
//!
//! What it does, and why none of its rules loses a verdict, is argued in
//! `harness/check/antichain.py`; the numbers of the rules here are those given there. This is the
//! same search with the same order of steps, so that the two can be compared.

use crate::groups::{Config, Groups};
use crate::masks::Mask;
use crate::openings::{has_unused, Fields, Opening, Openings};
use crate::problem::{Host, Kind, Problem, World, NONE};
use crate::trails::{Step, Trails};

/// Widths tried one after the other; the last, unlimited one is exact (rule 9).
pub const BEAMS: [usize; 6] = [2, 64, 256, 1024, 8192, usize::MAX];

/// Room for so many configurations to begin with: of short searches, growing is a good part.
const AT_FIRST: usize = 32;

/// Configurations that a beam meets on its way to one return, at most, for each that it may carry.
const REACH: usize = 64;

/// What the beams came to.
pub struct Found {
    /// The steps of one order that passes all events; none if there is no order.
    pub steps: Option<Vec<Step>>,
    /// The return that nothing passes.
    pub dead: Option<u32>,
    pub visited: u64,
    pub widest: usize,
}

/// Is there a legal order? Picks the width of the masks. Nothing is found, neither an order nor a
/// return, if all of these beams cut something off.
pub fn search<H: Host>(
    problem: &Problem,
    widths: &[usize],
    world: &mut World<H>,
) -> Result<Found, H::Error> {
    let fields = Fields::of(problem);
    let words = problem.most_open().div_ceil(64).max(fields.words);
    match words {
        0 | 1 => beams::<[u64; 1], H>(problem, &fields, 1, widths, world),
        2 => beams::<[u64; 2], H>(problem, &fields, 2, widths, world),
        3 | 4 => beams::<[u64; 4], H>(problem, &fields, 4, widths, world),
        _ => beams::<Box<[u64]>, H>(problem, &fields, words, widths, world),
    }
}

fn beams<M: Mask, H: Host>(
    problem: &Problem,
    fields: &Fields,
    words: usize,
    widths: &[usize],
    world: &mut World<H>,
) -> Result<Found, H::Error> {
    let (mut visited, mut widest) = (0, 1);
    for &width in widths {
        let mut attempt = Antichain::<M, H>::new(problem, fields, words, width, world)?;
        let dead = attempt.run()?;
        visited += attempt.visited;
        widest = attempt.widest;
        if dead.is_some() && attempt.truncated {
            continue;
        }
        let steps = dead.is_none().then(|| attempt.trails.unroll(attempt.configs.any_trail()));
        return Ok(Found { steps, dead, visited, widest });
    }
    Ok(Found { steps: None, dead: None, visited, widest })
}

/// A step that is being looked at: what it makes of a configuration.
struct Candidate<M> {
    after: u32,
    config: Config<M>,
    /// The operation, or the complement of its class.
    what: i32,
    /// Rule 5 says nothing about it.
    forced: bool,
}

struct Antichain<'a, M, H> {
    problem: &'a Problem,
    world: &'a mut World<H>,
    open: Openings<'a, M>,
    words: usize,
    width: usize,
    truncated: bool,
    visited: u64,
    widest: usize,
    /// The configurations; while a return is looked at, all that were met.
    configs: Groups<M>,
    settled: Groups<M>,
    accepted: Vec<(u32, Config<M>)>,
    queue: Vec<(usize, Config<M>)>,
    blind: Vec<Opening>,
    lost_blind: Vec<(usize, u32)>,
    trails: Trails,
}

impl<'a, M: Mask, H: Host> Antichain<'a, M, H> {
    fn new(
        problem: &'a Problem,
        fields: &'a Fields,
        words: usize,
        width: usize,
        world: &'a mut World<H>,
    ) -> Result<Self, H::Error> {
        world.begin()?;
        let mut configs = Groups::new();
        let zero = || M::zero(words);
        let group = configs.add(problem.initial, zero());
        let first = Config { used: zero(), free: zero(), spent: zero(), trail: NONE };
        configs.get_mut(group).configs.push(first);
        Ok(Antichain {
            problem,
            world,
            open: Openings::new(problem, fields, words),
            words,
            width,
            truncated: false,
            visited: 0,
            widest: 1,
            configs,
            settled: Groups::new(),
            accepted: Vec::with_capacity(AT_FIRST),
            queue: Vec::with_capacity(AT_FIRST),
            blind: Vec::with_capacity(8),
            lost_blind: Vec::new(),
            trails: Trails::new(),
        })
    }

    /// Walks the events. Returns the position of the return that no configuration passes, if any.
    fn run(&mut self) -> Result<Option<u32>, H::Error> {
        let problem = self.problem;
        for (position, event) in problem.events.iter().enumerate() {
            let (operation, position) = (event >> 1, position as u32);
            let cls = problem.classes[operation as usize];
            self.world.tick(1)?;
            if event & 1 == 0 {
                if problem.returned[operation as usize] {
                    self.open.open(problem, operation, cls);
                } else {
                    self.open.lose(problem, cls);
                }
                continue;
            }
            let slot = self.open.slot(operation);
            let granted_to_all = problem.kinds[cls as usize] == Kind::Sees
                && self.configs.len() == 1
                && self.configs.get(0).state == problem.at[cls as usize];
            if granted_to_all {
                // All configurations hold what was read: nothing changes (rule 1).
                self.open.close(problem, operation, cls);
                if let [only] = &mut self.configs.get_mut(0).configs[..] {
                    only.forget(slot);
                    continue;
                }
                self.accept_all();
            } else {
                self.pass(position, cls, slot)?;
                if self.accepted.is_empty() {
                    return Ok(Some(position));
                }
                self.open.close(problem, operation, cls);
            }
            self.settle(slot)?;
        }
        Ok(None)
    }

    fn accept_all(&mut self) {
        self.accepted.clear();
        for place in 0..self.configs.len() {
            let group = self.configs.get_mut(place);
            let state = group.state;
            self.accepted.extend(group.configs.drain(..).map(|config| (state, config)));
        }
    }

    /// Collects the configurations in which the returning operation has been linearized.
    fn pass(&mut self, position: u32, cls: u32, slot: u32) -> Result<(), H::Error> {
        let observes = self.problem.kinds[cls as usize].observes();
        self.accepted.clear();
        self.queue.clear();
        for place in 0..self.configs.len() {
            let granted = self.open.granted(self.world, self.configs.get(place).state)?;
            let group = self.configs.get_mut(place);
            let all = observes && granted.has(slot);
            group.granted = granted;
            for config in &group.configs {
                if all || config.used.has(slot) {
                    self.accepted.push((group.state, config.clone()));
                    continue;
                }
                if config.free.has(slot) {
                    // Free: absorbed already, or used now (rule 2).
                    self.accepted.push((group.state, config.clone()));
                }
                self.queue.push((place, config.clone()));
            }
        }
        if self.queue.is_empty() {
            return Ok(());
        }
        self.open.worthwhile(slot, &mut self.blind, &mut self.lost_blind);
        let mut head = 0;
        while head < self.queue.len() {
            self.world.tick(8)?;
            if self.accepted.len() >= self.width
                || self.queue.len() > self.width.saturating_mul(REACH)
            {
                self.truncated = true;
                break;
            }
            let (group, config) = self.queue[head].clone();
            head += 1;
            self.expand(position, slot, group, config)?;
        }
        self.visited += self.queue.len() as u64;
        Ok(())
    }

    /// Takes all steps from one configuration.
    fn expand(
        &mut self,
        position: u32,
        slot: u32,
        group: usize,
        config: Config<M>,
    ) -> Result<(), H::Error> {
        let Config { mut used, free, spent, trail } = config;
        let state = self.configs.get(group).state;
        used.join(&self.configs.get(group).granted);
        let total = self.open.total.without(&used);
        // With its own slot used, and not free; `absorbing` frees all other open total operations.
        let step = |one: Opening, after, absorbing: bool, forced| {
            let mut used = used.clone();
            used.set(one.slot);
            let mut free = if absorbing { total.clone() } else { free.clone() };
            free.unset(one.slot);
            let config = Config { used, free, spent: spent.clone(), trail };
            Candidate { after, config, what: one.operation as i32, forced }
        };
        for place in 0..self.blind.len() {
            let one = self.blind[place];
            // Rule 10: nothing with the same effect returns sooner and is unused.
            if !used.has(one.slot) && !has_unused(&self.blind[..place], one.to, &used) {
                self.consider(position, slot, step(one, one.to, true, false))?;
            }
        }
        let mut place = 0;
        while let Some(one) = self.open.moves.at(state, place) {
            let sooner = self.open.moves.get(state).map_or(&[][..], |list| &list[..place]);
            let first = !has_unused(sooner, one.to, &used);
            place += 1;
            if first && !used.has(one.slot) {
                self.consider(position, slot, step(one, one.to, false, true))?;
            }
        }
        for place in 0..self.open.asking.len() {
            let one = self.open.asking[place];
            if used.has(one.slot) {
                continue;
            }
            let same = |other: &Opening| other.to == one.to && !used.has(other.slot);
            let instead = |other: &Opening| free.has(one.slot) || !free.has(other.slot);
            if self.open.asking[..place].iter().any(|other| same(other) && instead(other)) {
                continue;
            }
            let next = self.world.next(state, one.to)?;
            let forced = !total.has(one.slot);
            let mut number = 0;
            while let Some(after) = self.world.choice(next, number) {
                self.consider(position, slot, step(one, after, false, forced))?;
                number += 1;
            }
        }
        if self.open.lost.is_empty() {
            return Ok(());
        }
        self.expand_lost(position, slot, state, Config { used, free, spent, trail }, total)
    }

    /// Takes the steps of unanswered operations (rule 3).
    fn expand_lost(
        &mut self,
        position: u32,
        slot: u32,
        state: u32,
        config: Config<M>,
        total: M,
    ) -> Result<(), H::Error> {
        let step = |spent, what: u32, after, free: &M, forced| {
            let (used, free, trail) = (config.used.clone(), free.clone(), config.trail);
            Candidate {
                after,
                config: Config { used, free, spent, trail },
                what: !(what as i32),
                forced,
            }
        };
        for place in 0..self.lost_blind.len() {
            let (lost, after) = self.lost_blind[place];
            let lost = &self.open.lost[lost];
            if lost.left(&config.spent) && !has_unused(&self.open.blind, after, &config.used) {
                let taken = step(lost.spend(&config.spent), lost.cls, after, &total, false);
                self.consider(position, slot, taken)?;
            }
        }
        let mut place = 0;
        while let Some((lost, after)) = self.open.lost_moves.at(state, place) {
            place += 1;
            let lost = &self.open.lost[lost];
            let returning = self.open.moves.get(state).map_or(&[][..], |list| &list[..]);
            if lost.left(&config.spent) && !has_unused(returning, after, &config.used) {
                let taken = step(lost.spend(&config.spent), lost.cls, after, &config.free, true);
                self.consider(position, slot, taken)?;
            }
        }
        for place in 0..self.open.lost_asking.len() {
            let lost = &self.open.lost[self.open.lost_asking[place]];
            let returns = has_unused(&self.open.asking, lost.cls, &config.used);
            if returns || !lost.left(&config.spent) {
                continue;
            }
            let (cls, spent) = (lost.cls, lost.spend(&config.spent));
            let next = self.world.next(state, cls)?;
            let mut number = 0;
            while let Some(after) = self.world.choice(next, number) {
                number += 1;
                // One that changes nothing is as good as one that never took effect.
                if after != state && after != self.problem.mute {
                    let taken = step(spent.clone(), cls, after, &config.free, true);
                    self.consider(position, slot, taken)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps what a step leads to, unless it is useless (rule 5) or dominated (rule 4).
    #[inline]
    fn consider(
        &mut self,
        position: u32,
        slot: u32,
        candidate: Candidate<M>,
    ) -> Result<(), H::Error> {
        let Candidate { after, mut config, what, forced } = candidate;
        let place = match self.configs.find(after) {
            Some(place) => place,
            None => {
                let granted = self.open.granted(self.world, after)?;
                self.configs.add(after, granted)
            }
        };
        let group = self.configs.get_mut(place);
        let satisfied = config.used.has(slot) || group.granted.has(slot);
        let useful = satisfied
            || forced
            || group.granted.exceeds(&config.used)
            || self.open.enables(self.world, self.problem, after, &config.used)?;
        if !useful {
            return Ok(());
        }
        let group = self.configs.get_mut(place);
        let others = self.open.observers.without(&group.granted);
        self.world.tick(group.configs.len() as u32 + 4)?;
        let guards = &self.open.guards;
        let observers = &self.open.observers;
        if group.configs.iter().any(|one| one.dominates(&config, observers, &others, guards)) {
            return Ok(());
        }
        config.trail = self.trails.push(config.trail, position, what, after);
        group.configs.push(config.clone());
        if satisfied {
            self.accepted.push((after, config));
        } else {
            self.queue.push((place, config));
        }
        Ok(())
    }

    /// Gives the slot back and keeps an antichain for each state (rule 4), within the beam.
    fn settle(&mut self, slot: u32) -> Result<(), H::Error> {
        self.settled.clear();
        let (observers, guards) = (&self.open.observers, &self.open.guards);
        let only = self.accepted.len() == 1;
        for (state, mut config) in self.accepted.drain(..) {
            config.forget(slot);
            let place = match self.settled.find(state) {
                Some(place) => place,
                None => {
                    let others = if only {
                        M::zero(self.words)
                    } else {
                        observers.without(&self.open.granted(self.world, state)?)
                    };
                    self.settled.add(state, others)
                }
            };
            let group = self.settled.get_mut(place);
            self.world.tick(group.configs.len() as u32)?;
            let others = &group.granted;
            if group.configs.iter().any(|one| one.dominates(&config, observers, others, guards)) {
                continue;
            }
            group.configs.retain(|one| !config.dominates(one, observers, others, guards));
            group.configs.push(config);
        }
        if self.settled.count() > self.width {
            self.truncated = true;
            self.settled.cut(self.width);
        }
        self.widest = self.widest.max(self.settled.count());
        std::mem::swap(&mut self.configs, &mut self.settled);
        if self.trails.is_long() {
            let trails = self.configs.trails_mut();
            self.trails.collect(trails);
        }
        Ok(())
    }
}
