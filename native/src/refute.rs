//! A refutation in polynomial time, by an object whose operations are not used up: the counterpart
//! of `harness.check.refute`, where it is argued.

use crate::masks::Mask;
use crate::openings::ByState;
use crate::problem::{Host, Kind, Problem, World};
use rustc_hash::FxHashMap;

/// Configurations after which it is given up.
const MOST: usize = 20_000;

/// The position of a return that no legal order passes; there may be an earlier one.
pub fn refuted<H: Host>(problem: &Problem, world: &mut World<H>) -> Result<Option<u32>, H::Error> {
    let known = |cls: &u32| {
        use Kind::{Blind, Moves, Sees, SeesOther};
        matches!(problem.kinds[*cls as usize], Sees | SeesOther | Blind | Moves)
    };
    if !problem.classes.iter().all(known) {
        return Ok(None);
    }
    match problem.most_open().div_ceil(64) {
        0 | 1 => Forgiving::<[u64; 1]>::new(problem, 1).run(world),
        2 => Forgiving::<[u64; 2]>::new(problem, 2).run(world),
        words => Forgiving::<Box<[u64]>>::new(problem, words).run(world),
    }
}

/// What a compare-and-set leads to: the state after it, how many are open, and which are seen.
struct Move<M> {
    to: u32,
    open: u32,
    slots: M,
}

struct Forgiving<'a, M> {
    problem: &'a Problem,
    words: usize,
    /// States with what was seen; of one state's sets none holds another.
    configs: Vec<(u32, M)>,
    slot_of: Vec<u32>,
    unused: Vec<u32>,
    slots: u32,
    seen_in: ByState<Option<M>>,
    seen_elsewhere: ByState<Option<M>>,
    any_other: M,
    others: u32,
    blind: ByState<u32>,
    targets: Vec<u32>,
    moves: ByState<Vec<Move<M>>>,
    met: ByState<u32>,
    round: u32,
    kept: Vec<(u32, M)>,
    index: FxHashMap<u32, Vec<usize>>,
}

impl<'a, M: Mask> Forgiving<'a, M> {
    fn new(problem: &'a Problem, words: usize) -> Self {
        Forgiving {
            problem,
            words,
            configs: vec![(problem.initial, M::zero(words))],
            slot_of: vec![0; problem.classes.len()],
            unused: Vec::new(),
            slots: 0,
            seen_in: ByState::new(0),
            seen_elsewhere: ByState::new(0),
            any_other: M::zero(words),
            others: 0,
            blind: ByState::new(0),
            targets: Vec::new(),
            moves: ByState::new(0),
            met: ByState::new(0),
            round: 0,
            kept: Vec::new(),
            index: FxHashMap::default(),
        }
    }

    fn run<H: Host>(mut self, world: &mut World<H>) -> Result<Option<u32>, H::Error> {
        for (position, event) in self.problem.events.iter().enumerate() {
            let operation = event >> 1;
            if event & 1 == 0 {
                self.open(operation);
                continue;
            }
            world.tick(self.configs.len() as u32 + 4)?;
            self.pass(operation, world)?;
            if self.configs.is_empty() {
                return Ok(Some(position as u32));
            }
            if self.configs.len() > MOST {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn open(&mut self, operation: u32) {
        let problem = self.problem;
        let cls = problem.classes[operation as usize] as usize;
        let (at, to) = (problem.at[cls], problem.to[cls]);
        let mut bit = M::zero(self.words);
        if problem.returned[operation as usize] {
            let slot = self.unused.pop().unwrap_or_else(|| {
                self.slots += 1;
                self.slots - 1
            });
            self.slot_of[operation as usize] = slot;
            bit.set(slot);
        }
        let words = self.words;
        match problem.kinds[cls] {
            Kind::Sees => self.seen_in.of(at).get_or_insert_with(|| M::zero(words)).join(&bit),
            Kind::SeesOther => {
                self.seen_elsewhere.of(at).get_or_insert_with(|| M::zero(words)).join(&bit);
                self.any_other.join(&bit);
                self.others += 1;
            }
            Kind::Blind => {
                let open = self.blind.of(to);
                if *open == 0 {
                    self.targets.push(to);
                }
                *open += 1;
                self.seen_in.of(to).get_or_insert_with(|| M::zero(words)).join(&bit);
            }
            Kind::Moves => {
                let moves = self.moves.of(at);
                match moves.iter_mut().find(|one| one.to == to) {
                    Some(one) => {
                        one.open += 1;
                        one.slots.join(&bit);
                    }
                    None => moves.push(Move { to, open: 1, slots: bit }),
                }
            }
            _ => {}
        }
    }

    /// Whether this is the last open operation with its effect.
    fn last(&self, cls: usize) -> bool {
        let (at, to) = (self.problem.at[cls], self.problem.to[cls]);
        match self.problem.kinds[cls] {
            Kind::Blind => self.blind.get(to) == Some(&1),
            Kind::Moves => {
                let moves = self.moves.get(at).map_or(&[][..], |moves| &moves[..]);
                moves.iter().any(|one| one.to == to && one.open == 1)
            }
            _ => false,
        }
    }

    /// Leaves what is left when an operation has returned.
    fn pass<H: Host>(&mut self, operation: u32, world: &mut World<H>) -> Result<(), H::Error> {
        let cls = self.problem.classes[operation as usize] as usize;
        let slot = self.slot_of[operation as usize];
        let last = self.last(cls);
        let configs = std::mem::take(&mut self.configs);
        let mut kept = std::mem::take(&mut self.kept);
        let mut through: Vec<M> = Vec::new();
        for (state, seen) in configs {
            let mut here = seen;
            here.join(&self.sees(state));
            let stays = here.has(slot);
            if stays {
                kept.push((state, here.clone()));
                if !last {
                    continue;
                }
            }
            let (street, again) = self.street(state, &mut here);
            world.tick(street.len() as u32 + 8)?;
            if here.has(slot) {
                let reached = street.iter().filter(|after| **after != state || again);
                kept.extend(reached.map(|after| (*after, here.clone())));
            }
            through.push(here);
        }
        if !through.is_empty() && !self.targets.is_empty() {
            let (reach, there) = self.free();
            for one in &mut through {
                one.join(&there);
            }
            for seen in largest(through).into_iter().filter(|seen| seen.has(slot)) {
                world.tick(reach.len() as u32)?;
                kept.extend(reach.iter().map(|state| (*state, seen.clone())));
            }
        }
        self.forget(cls, slot);
        self.settle(&mut kept, slot, world)?;
        kept.clear();
        self.kept = kept;
        Ok(())
    }

    fn sees(&self, state: u32) -> M {
        let mut seen = match self.seen_in.get(state) {
            Some(Some(mask)) => mask.clone(),
            _ => M::zero(self.words),
        };
        if self.others > 0 {
            match self.seen_elsewhere.get(state) {
                Some(Some(refused)) => seen.join(&self.any_other.without(refused)),
                _ => seen.join(&self.any_other),
            }
        }
        seen
    }

    /// Where compare-and-set alone can lead from a state (and whether back to it); `seen` becomes
    /// what can be seen on the way.
    fn street(&mut self, state: u32, seen: &mut M) -> (Vec<u32>, bool) {
        let mut street = vec![state];
        if self.moves.get(state).is_none_or(Vec::is_empty) {
            return (street, false);
        }
        let again = self.follow(&mut street, seen, 1);
        (street, again)
    }

    /// Where blind writes can lead, and then compare-and-set; and what can be seen there.
    fn free(&mut self) -> (Vec<u32>, M) {
        let mut reach = self.targets.clone();
        let mut seen = M::zero(self.words);
        for state in &reach {
            seen.join(&self.sees(*state));
        }
        self.follow(&mut reach, &mut seen, 0);
        (reach, seen)
    }

    /// Adds all that compare-and-set lead to; whether they lead back to one of the first `watched`.
    fn follow(&mut self, reach: &mut Vec<u32>, seen: &mut M, watched: usize) -> bool {
        self.round += 1;
        for state in &*reach {
            *self.met.of(*state) = self.round;
        }
        let (mut place, mut again) = (0, false);
        while let Some(&state) = reach.get(place) {
            place += 1;
            for number in 0..self.moves.get(state).map_or(0, Vec::len) {
                let Some(one) = self.moves.get(state).and_then(|moves| moves.get(number)) else {
                    break;
                };
                seen.join(&one.slots);
                let to = one.to;
                again |= reach[..watched].contains(&to);
                if self.met.get(to) != Some(&self.round) {
                    *self.met.of(to) = self.round;
                    reach.push(to);
                    seen.join(&self.sees(to));
                }
            }
        }
        again
    }

    fn forget(&mut self, cls: usize, slot: u32) {
        let (at, to) = (self.problem.at[cls], self.problem.to[cls]);
        self.unused.push(slot);
        let unset = |mask: &mut Option<M>| {
            if let Some(mask) = mask {
                mask.unset(slot);
            }
        };
        match self.problem.kinds[cls] {
            Kind::Sees => unset(self.seen_in.of(at)),
            Kind::SeesOther => {
                unset(self.seen_elsewhere.of(at));
                self.any_other.unset(slot);
                self.others -= 1;
            }
            Kind::Blind => {
                unset(self.seen_in.of(to));
                *self.blind.of(to) -= 1;
                if self.blind.get(to) == Some(&0) {
                    self.targets.retain(|target| *target != to);
                }
            }
            Kind::Moves => {
                let moves = self.moves.of(at);
                for one in moves.iter_mut().filter(|one| one.to == to) {
                    one.open -= 1;
                    one.slots.unset(slot);
                }
                moves.retain(|one| one.open > 0);
            }
            _ => {}
        }
    }

    /// Takes over the configurations, of each state those whose sets no other holds.
    fn settle<H: Host>(
        &mut self,
        kept: &mut Vec<(u32, M)>,
        slot: u32,
        world: &mut World<H>,
    ) -> Result<(), H::Error> {
        let few = kept.len() <= 8;
        self.index.clear();
        for (state, mut seen) in kept.drain(..) {
            seen.unset(slot);
            let holds = |one: &(u32, M)| one.0 == state && !seen.exceeds(&one.1);
            if few {
                if self.configs.iter().any(holds) {
                    continue;
                }
                self.configs.retain(|one| one.0 != state || one.1.exceeds(&seen));
                self.configs.push((state, seen));
                continue;
            }
            let places = self.index.entry(state).or_default();
            world.tick(places.len() as u32 + 1)?;
            if places.iter().any(|place| holds(&self.configs[*place])) {
                continue;
            }
            // One that this holds is replaced by it; others of that kind stay, and do no harm.
            match places.iter().find(|place| !self.configs[**place].1.exceeds(&seen)) {
                Some(place) => self.configs[*place].1 = seen,
                None => {
                    places.push(self.configs.len());
                    self.configs.push((state, seen));
                }
            }
        }
        Ok(())
    }
}

/// Those that no other holds.
fn largest<M: Mask>(sets: Vec<M>) -> Vec<M> {
    let mut kept: Vec<M> = Vec::new();
    for one in sets {
        if kept.iter().any(|other| !one.exceeds(other)) {
            continue;
        }
        kept.retain(|other| other.exceeds(&one));
        kept.push(one);
    }
    kept
}
