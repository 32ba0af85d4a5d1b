//! The searches one after the other, until one decides: the counterpart of
//! `harness.check.attempts`, where their order is argued.

use crate::antichain::{self, BEAMS};
use crate::problem::{Host, Problem, World};
use crate::{refute, wgl, witness};
use pyo3::prelude::*;

/// One of `harness.check.attempts.Attempt`, as far as it is compiled.
#[derive(Clone, Copy, FromPyObject)]
pub enum Attempt {
    /// The antichain with the beams from one to another (not included).
    Beams(usize, usize),
    /// A depth-first walk, with so many steps for each event that it has passed.
    Go(u64),
    /// The refutation, and then whether all before the return it found has an order: beams, and a
    /// walk with so much patience.
    Refute((u64,)),
}

/// A verdict: an order, or the return that none passes.
pub struct Solved {
    pub order: Option<Vec<u32>>,
    pub dead: Option<u32>,
    pub visited: u64,
    pub widest: usize,
}

/// What the first attempt that decides came to.
pub fn solve<H: Host>(
    problem: &Problem,
    world: &mut World<H>,
    attempts: &[Attempt],
) -> Result<Option<Solved>, H::Error> {
    for attempt in attempts {
        match *attempt {
            Attempt::Refute((patience,)) => {
                let Some(dead) = refute::refuted(problem, world)? else { continue };
                let attempts = [Attempt::Beams(0, 1), Attempt::Go(patience), Attempt::Beams(1, 2)];
                let before = solve(&problem.before(dead), world, &attempts)?;
                let visited = before.as_ref().map_or(0, |before| before.visited);
                let earlier = before.and_then(|before| before.dead);
                let dead = Some(earlier.unwrap_or(dead));
                return Ok(Some(Solved { order: None, dead, visited, widest: 1 }));
            }
            Attempt::Beams(first, last) => {
                let widths = BEAMS.get(first..last).unwrap_or(&BEAMS);
                let found = antichain::search(problem, widths, world)?;
                let (visited, widest) = (found.visited, found.widest);
                if let Some(steps) = &found.steps {
                    // Steps that explain too little are a defect: whoever asks again is told.
                    let order = witness::linearization(problem, world, steps, &found.ends)?.ok();
                    let solved = |order| Solved { order: Some(order), dead: None, visited, widest };
                    return Ok(order.map(solved));
                } else if found.dead.is_some() {
                    return Ok(Some(Solved { order: None, dead: found.dead, visited, widest }));
                }
            }
            Attempt::Go(patience) => {
                let walk = wgl::walk(problem, world, Some(patience))?;
                if walk.finished {
                    let dead = match &walk.order {
                        Some(_) => None,
                        None => u32::try_from(walk.blocked).ok(),
                    };
                    let (order, visited) = (walk.order, walk.steps);
                    return Ok(Some(Solved { order, dead, visited, widest: 1 }));
                }
            }
        }
    }
    Ok(None)
}
