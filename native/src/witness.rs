//! From the steps of a search to a full order: the counterpart of
//! `harness.check.witness.linearization`, where it is argued.

use crate::problem::{Host, Kind, Next, Problem, World};
use crate::trails::Step;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// An order of the operations that returned, and of those that steps needed; or the operation that
/// the steps do not explain, which would be a defect of the search. `ends`: see `Problem::ends`.
pub fn linearization<H: Host>(
    problem: &Problem,
    world: &mut World<H>,
    steps: &[Step],
    ends: &[u32],
) -> Result<Result<Vec<u32>, u32>, H::Error> {
    // The state of period p lasts from times[p] to times[p + 1], which are shifted by one event.
    let times: Vec<u32> =
        std::iter::once(0).chain(steps.iter().map(|it| it.position + 1)).collect();
    let state = |period: usize| match period {
        0 => problem.initial,
        _ => steps[period - 1].after,
    };
    let mut waiting: Option<Waiting> = None;
    let mut done = vec![false; problem.classes.len()];
    let mut order = Shelves::new(times.len(), problem.classes.len());
    let mut blind: Vec<usize> = Vec::with_capacity(steps.len());
    for (number, step) in steps.iter().enumerate() {
        let operation = match u32::try_from(step.what) {
            Ok(operation) => operation,
            Err(_) => {
                let waiting = waiting.get_or_insert_with(|| unanswered(problem));
                match waiting.get_mut(&(!step.what as u32)).and_then(VecDeque::pop_front) {
                    Some(operation) => operation,
                    None => return Ok(Err(0)),
                }
            }
        };
        if problem.kinds[problem.classes[operation as usize] as usize] == Kind::Blind {
            blind.push(number + 1);
        }
        done[operation as usize] = true;
        order.put(number + 1, Shelf::Step, operation);
    }
    // In order of call, so both of these only ever go up.
    let (mut first, mut next_blind) = (0, 0);
    for (position, event) in problem.events.iter().enumerate() {
        let operation = (event >> 1) as usize;
        if event & 1 != 0 || done[operation] || !problem.returned[operation] {
            continue;
        }
        let cls = problem.classes[operation];
        let (called, ended) = (position as u32 + 1, ends[operation] + 1);
        if problem.kinds[cls as usize].observes() {
            // The periods the interval meets: from the one it is called in to its return's.
            while times.get(first + 1).is_some_and(|time| *time < called) {
                first += 1;
            }
            let mut period = first;
            while world.step(problem, state(period), cls)? == Next::Refused {
                world.tick(1)?;
                period += 1;
                if times.get(period).is_none_or(|time| *time > ended) {
                    return Ok(Err(operation as u32));
                }
            }
            order.put(period, Shelf::After, operation as u32);
        } else {
            while blind.get(next_blind).is_some_and(|period| times[*period] <= called) {
                next_blind += 1;
            }
            match blind.get(next_blind).filter(|period| times[**period] <= ended) {
                Some(period) => order.put(*period, Shelf::Before, operation as u32),
                None => return Ok(Err(operation as u32)),
            }
        }
    }
    Ok(Ok(order.in_order()))
}

/// Where in its period an operation stands: before the period's step, the step, after it.
#[derive(Clone, Copy)]
enum Shelf {
    Before,
    Step,
    After,
}

/// Operations by period and shelf; on one shelf in the order in which they were put there.
struct Shelves {
    put: Vec<(u32, u32)>,
    /// How many there are on each shelf.
    counts: Vec<u32>,
}

impl Shelves {
    fn new(periods: usize, operations: usize) -> Self {
        Shelves { put: Vec::with_capacity(operations), counts: vec![0; 3 * periods] }
    }

    fn put(&mut self, period: usize, shelf: Shelf, operation: u32) {
        let place = 3 * period + shelf as usize;
        self.counts[place] += 1;
        self.put.push((place as u32, operation));
    }

    fn in_order(self) -> Vec<u32> {
        let mut starts = self.counts;
        let mut sum = 0;
        for start in &mut starts {
            (*start, sum) = (sum, sum + *start);
        }
        let mut order = vec![0; self.put.len()];
        for (place, operation) in self.put {
            let next = &mut starts[place as usize];
            order[*next as usize] = operation;
            *next += 1;
        }
        order
    }
}

type Waiting = FxHashMap<u32, VecDeque<u32>>;

/// The unanswered operations of each class in order of call: the search counts only those that
/// were called, so the earliest one left was called in time.
fn unanswered(problem: &Problem) -> Waiting {
    let mut waiting = Waiting::default();
    for event in &problem.events {
        let operation = (event >> 1) as usize;
        if !problem.returned[operation] {
            waiting.entry(problem.classes[operation]).or_default().push_back(operation as u32);
        }
    }
    waiting
}
