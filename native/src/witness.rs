//! From the steps of a search to a full order: the counterpart of
//! `harness.check.witness.linearization`, where it is argued.

use crate::problem::{Host, Kind, Next, Problem, World, NONE};
use crate::trails::Step;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// An order of the operations that returned, and of those that steps needed; or the operation that
/// the steps do not explain, which would be a defect of the search.
pub fn linearization<H: Host>(
    problem: &Problem,
    world: &mut World<H>,
    steps: &[Step],
) -> Result<Result<Vec<u32>, u32>, H::Error> {
    let (calls, ends) = intervals(problem);
    // The state of period p lasts from times[p] to times[p + 1], which are shifted by one event.
    let times: Vec<u32> =
        std::iter::once(0).chain(steps.iter().map(|it| it.position + 1)).collect();
    let state = |period: usize| match period {
        0 => problem.initial,
        _ => steps[period - 1].after,
    };
    let mut waiting = unanswered(problem);
    let mut done = vec![false; problem.classes.len()];
    // (period, before its step | the step | after it, call, operation)
    let mut order: Vec<(u32, u8, u32, u32)> = Vec::with_capacity(problem.classes.len());
    let mut blind: Vec<u32> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let period = number as u32 + 1;
        let operation = match u32::try_from(step.what) {
            Ok(operation) => operation,
            Err(_) => match waiting.get_mut(&(!step.what as u32)).and_then(VecDeque::pop_front) {
                Some(operation) => operation,
                None => return Ok(Err(0)),
            },
        };
        if problem.kinds[problem.classes[operation as usize] as usize] == Kind::Blind {
            blind.push(period);
        }
        done[operation as usize] = true;
        order.push((period, 1, 0, operation));
    }
    for operation in 0..problem.classes.len() {
        if done[operation] || !problem.returned[operation] {
            continue;
        }
        let cls = problem.classes[operation];
        let (called, ended) = (calls[operation] + 1, ends[operation] + 1);
        if problem.kinds[cls as usize].observes() {
            // The periods the interval meets: from the one it is called in to its return's.
            let first = times.partition_point(|time| *time < called) - 1;
            let last = times.partition_point(|time| *time <= ended) - 1;
            let mut found = None;
            for period in first..=last {
                world.tick(1)?;
                if world.step(problem, state(period), cls)? != Next::Refused {
                    found = Some(period as u32);
                    break;
                }
            }
            match found {
                Some(period) => order.push((period, 2, called, operation as u32)),
                None => return Ok(Err(operation as u32)),
            }
        } else {
            let place = blind.partition_point(|period| times[*period as usize] <= called);
            match blind.get(place).filter(|period| times[**period as usize] <= ended) {
                Some(period) => order.push((*period, 0, called, operation as u32)),
                None => return Ok(Err(operation as u32)),
            }
        }
    }
    order.sort_unstable();
    Ok(Ok(order.into_iter().map(|(_, _, _, operation)| operation).collect()))
}

/// Positions of call and return for each operation (`NONE` for a return that never came).
fn intervals(problem: &Problem) -> (Vec<u32>, Vec<u32>) {
    let mut calls = vec![NONE; problem.classes.len()];
    let mut ends = vec![NONE; problem.classes.len()];
    for (position, event) in problem.events.iter().enumerate() {
        let times = if event & 1 != 0 { &mut ends } else { &mut calls };
        times[(event >> 1) as usize] = position as u32;
    }
    (calls, ends)
}

/// The unanswered operations of each class in order of call: the search counts only those that
/// were called, so the earliest one left was called in time.
fn unanswered(problem: &Problem) -> FxHashMap<u32, VecDeque<u32>> {
    let mut waiting: FxHashMap<u32, VecDeque<u32>> = FxHashMap::default();
    for event in &problem.events {
        let operation = (event >> 1) as usize;
        if !problem.returned[operation] {
            waiting.entry(problem.classes[operation]).or_default().push_back(operation as u32);
        }
    }
    waiting
}
