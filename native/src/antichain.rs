//! The search: an antichain of configurations, carried from return to return.
//!
//! What it does, and why none of its rules loses a verdict, is argued in
//! `harness/check/antichain.py`; the numbers of the rules here are those given there. This is the
//! same search with the same order of steps, so that the two can be compared.

use crate::groups::Config;
use crate::masks::Mask;
use crate::openings::{has_unused, Fields, Opening};
use crate::problem::{Host, Next, Problem, World, NONE};
use crate::trails::Step;
use crate::workspace::{Reused, Workspace};

/// Widths tried one after the other; the last, unlimited one is exact (rule 9).
pub const BEAMS: [usize; 6] = [2, 64, 256, 1024, 8192, usize::MAX];

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
    /// See `Problem::ends`.
    pub ends: Vec<u32>,
}

/// Is there a legal order? Picks the width of the masks. Nothing is found, neither an order nor a
/// return, if all of these beams cut something off.
pub fn search<H: Host>(
    problem: &Problem,
    widths: &[usize],
    world: &mut World<H>,
) -> Result<Found, H::Error> {
    let fields = Fields::of(problem);
    match fields.words {
        0 | 1 => beams::<[u64; 1], H>(problem, fields, 1, widths, world),
        2 => beams::<[u64; 2], H>(problem, fields, 2, widths, world),
        3 | 4 => beams::<[u64; 4], H>(problem, fields, 4, widths, world),
        words => beams::<Box<[u64]>, H>(problem, fields, words, widths, world),
    }
}

fn beams<M: Reused, H: Host>(
    problem: &Problem,
    fields: Fields,
    words: usize,
    widths: &[usize],
    world: &mut World<H>,
) -> Result<Found, H::Error> {
    let (mut visited, mut widest) = (0, 1);
    let mut space = M::spare().unwrap_or_else(|| Workspace::new(words));
    let (mut steps, mut dead) = (None, None);
    for &width in widths {
        let mut attempt = Antichain::<M, H>::new(problem, &fields, words, width, world, space)?;
        let died = attempt.run()?;
        visited += attempt.visited;
        widest = attempt.widest;
        let truncated = attempt.truncated;
        space = attempt.space;
        if died.is_none() {
            steps = Some(space.trails.unroll(space.configs.any_trail()));
            break;
        }
        if !truncated {
            dead = died;
            break;
        }
    }
    if space.is_small() {
        M::keep(space);
    }
    Ok(Found { steps, dead, visited, widest, ends: fields.ends })
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
    ends: &'a [u32],
    words: usize,
    width: usize,
    truncated: bool,
    visited: u64,
    widest: usize,
    space: Workspace<M>,
}

impl<'a, M: Mask, H: Host> Antichain<'a, M, H> {
    fn new(
        problem: &'a Problem,
        fields: &'a Fields,
        words: usize,
        width: usize,
        world: &'a mut World<H>,
        mut space: Workspace<M>,
    ) -> Result<Self, H::Error> {
        world.begin()?;
        space.open.begin(problem, fields);
        space.configs.clear();
        space.trails.clear();
        let zero = || M::zero(words);
        let group = space.configs.add(problem.initial, zero());
        let first = Config { used: zero(), free: zero(), spent: zero(), trail: NONE };
        space.configs.get_mut(group).configs.push(first);
        let ends = &fields.ends;
        let (visited, widest) = (0, 1);
        Ok(Antichain {
            problem,
            world,
            ends,
            words,
            width,
            truncated: false,
            visited,
            widest,
            space,
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
                    self.space.open.open(problem, self.ends, operation, cls);
                } else {
                    self.space.open.lose(problem, cls);
                }
                continue;
            }
            let slot = self.space.open.slot(operation);
            let observes = problem.kinds[cls as usize].observes();
            if self.space.configs.len() == 1 {
                let state = self.space.configs.get(0).state;
                let used =
                    matches!(&self.space.configs.get(0).configs[..], [one] if one.used.has(slot));
                let seen = observes && self.world.step(problem, state, cls)? != Next::Refused;
                if used || seen {
                    // All configurations have it already, or hold what was seen: nothing changes
                    // but that its slot is free (rule 1).
                    self.space.open.close(problem, operation, cls);
                    if let [only] = &mut self.space.configs.get_mut(0).configs[..] {
                        only.forget(slot);
                        continue;
                    }
                    self.accept_all();
                    self.settle(slot)?;
                    continue;
                }
            }
            self.pass(position, observes, slot)?;
            if self.space.accepted.is_empty() {
                return Ok(Some(position));
            }
            self.space.open.close(problem, operation, cls);
            self.settle(slot)?;
        }
        Ok(None)
    }

    fn accept_all(&mut self) {
        self.space.accepted.clear();
        for place in 0..self.space.configs.len() {
            let group = self.space.configs.get_mut(place);
            let state = group.state;
            self.space.accepted.extend(group.configs.drain(..).map(|config| (state, config)));
        }
    }

    /// Collects the configurations in which the returning operation has been linearized.
    fn pass(&mut self, position: u32, observes: bool, slot: u32) -> Result<(), H::Error> {
        self.space.accepted.clear();
        self.space.queue.clear();
        for place in 0..self.space.configs.len() {
            let granted =
                self.space.open.granted(self.world, self.space.configs.get(place).state)?;
            let group = self.space.configs.get_mut(place);
            let all = observes && granted.has(slot);
            group.granted = granted;
            for config in &group.configs {
                if all || config.used.has(slot) {
                    self.space.accepted.push((group.state, config.clone()));
                    continue;
                }
                if config.free.has(slot) {
                    // Free: absorbed already, or used now (rule 2).
                    self.space.accepted.push((group.state, config.clone()));
                }
                self.space.queue.push((place, config.clone()));
            }
        }
        if self.space.queue.is_empty() {
            return Ok(());
        }
        self.space.open.worthwhile(slot, &mut self.space.blind, &mut self.space.lost_blind);
        let mut head = 0;
        while head < self.space.queue.len() {
            self.world.tick(8)?;
            if self.space.accepted.len() >= self.width
                || self.space.queue.len() > self.width.saturating_mul(REACH)
            {
                self.truncated = true;
                break;
            }
            let (group, config) = self.space.queue[head].clone();
            head += 1;
            self.expand(position, slot, group, config)?;
        }
        self.visited += self.space.queue.len() as u64;
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
        let state = self.space.configs.get(group).state;
        used.join(&self.space.configs.get(group).granted);
        let total = self.space.open.total.without(&used);
        // With its own slot used, and not free; `absorbing` frees all other open total operations.
        let step = |one: Opening, after, absorbing: bool, forced| {
            let mut used = used.clone();
            used.set(one.slot);
            let mut free = if absorbing { total.clone() } else { free.clone() };
            free.unset(one.slot);
            let config = Config { used, free, spent: spent.clone(), trail };
            Candidate { after, config, what: one.operation as i32, forced }
        };
        for place in 0..self.space.blind.len() {
            let one = self.space.blind[place];
            // Rule 10: nothing with the same effect returns sooner and is unused.
            if !used.has(one.slot) && !has_unused(&self.space.blind[..place], one.to, &used) {
                self.consider(position, slot, step(one, one.to, true, false))?;
            }
        }
        let mut place = 0;
        while let Some(one) = self.space.open.moves.at(state, place) {
            let sooner = self.space.open.moves.get(state).map_or(&[][..], |list| &list[..place]);
            let first = !has_unused(sooner, one.to, &used);
            place += 1;
            if first && !used.has(one.slot) {
                self.consider(position, slot, step(one, one.to, false, true))?;
            }
        }
        for place in 0..self.space.open.asking.len() {
            let one = self.space.open.asking[place];
            if used.has(one.slot) {
                continue;
            }
            let same = |other: &Opening| other.to == one.to && !used.has(other.slot);
            let instead = |other: &Opening| free.has(one.slot) || !free.has(other.slot);
            if self.space.open.asking[..place].iter().any(|other| same(other) && instead(other)) {
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
        if self.space.open.lost.is_empty() {
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
        for place in 0..self.space.lost_blind.len() {
            let (lost, after) = self.space.lost_blind[place];
            let lost = &self.space.open.lost[lost];
            if lost.left(&config.spent) && !has_unused(&self.space.open.blind, after, &config.used)
            {
                let taken = step(lost.spend(&config.spent), lost.cls, after, &total, false);
                self.consider(position, slot, taken)?;
            }
        }
        let mut place = 0;
        while let Some((lost, after)) = self.space.open.lost_moves.at(state, place) {
            place += 1;
            let lost = &self.space.open.lost[lost];
            let returning = self.space.open.moves.get(state).map_or(&[][..], |list| &list[..]);
            if lost.left(&config.spent) && !has_unused(returning, after, &config.used) {
                let taken = step(lost.spend(&config.spent), lost.cls, after, &config.free, true);
                self.consider(position, slot, taken)?;
            }
        }
        for place in 0..self.space.open.lost_asking.len() {
            let lost = &self.space.open.lost[self.space.open.lost_asking[place]];
            let returns = has_unused(&self.space.open.asking, lost.cls, &config.used);
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
        let place = match self.space.configs.find(after) {
            Some(place) => place,
            None => {
                let granted = self.space.open.granted(self.world, after)?;
                self.space.configs.add(after, granted)
            }
        };
        let group = self.space.configs.get_mut(place);
        let satisfied = config.used.has(slot) || group.granted.has(slot);
        let useful = satisfied
            || forced
            || group.granted.exceeds(&config.used)
            || self.space.open.enables(self.world, self.problem, after, &config.used)?;
        if !useful {
            return Ok(());
        }
        let group = self.space.configs.get_mut(place);
        let others = self.space.open.observers.without(&group.granted);
        self.world.tick(group.configs.len() as u32 + 4)?;
        let guards = &self.space.open.guards;
        let observers = &self.space.open.observers;
        if group.configs.iter().any(|one| one.dominates(&config, observers, &others, guards)) {
            return Ok(());
        }
        config.trail = self.space.trails.push(config.trail, position, what, after);
        group.configs.push(config.clone());
        if satisfied {
            self.space.accepted.push((after, config));
        } else {
            self.space.queue.push((place, config));
        }
        Ok(())
    }

    /// Gives the slot back and keeps an antichain for each state (rule 4), within the beam.
    fn settle(&mut self, slot: u32) -> Result<(), H::Error> {
        if self.space.accepted.len() == 1 {
            if let Some((state, mut config)) = self.space.accepted.pop() {
                config.forget(slot);
                self.space.configs.clear();
                let only = self.space.configs.add(state, M::zero(self.words));
                self.space.configs.get_mut(only).configs.push(config);
            }
            self.forget_trails();
            return Ok(());
        }
        self.space.settled.clear();
        let (observers, guards) = (&self.space.open.observers, &self.space.open.guards);
        for (state, mut config) in self.space.accepted.drain(..) {
            config.forget(slot);
            let place = match self.space.settled.find(state) {
                Some(place) => place,
                None => {
                    let granted = self.space.open.granted(self.world, state)?;
                    self.space.settled.add(state, observers.without(&granted))
                }
            };
            let group = self.space.settled.get_mut(place);
            self.world.tick(group.configs.len() as u32)?;
            let others = &group.granted;
            if group.configs.iter().any(|one| one.dominates(&config, observers, others, guards)) {
                continue;
            }
            group.configs.retain(|one| !config.dominates(one, observers, others, guards));
            group.configs.push(config);
        }
        if self.space.settled.count() > self.width {
            self.truncated = true;
            self.space.settled.cut(self.width);
        }
        self.widest = self.widest.max(self.space.settled.count());
        std::mem::swap(&mut self.space.configs, &mut self.space.settled);
        self.forget_trails();
        Ok(())
    }

    /// Drops the steps that no configuration needs any more, when there are many.
    fn forget_trails(&mut self) {
        if self.space.trails.is_long() {
            let trails = self.space.configs.trails_mut();
            self.space.trails.collect(trails);
        }
    }
}
