//! The search of Wing & Gong (1993) with Lowe's cache (2017) as Porcupine has it: an entry of the
//! cache is a bit for each operation of the history, and the state. The baseline of the benchmarks,
//! and a second opinion that shares as little as possible with the others.

use crate::problem::{Host, Problem, World};
use crate::wgl::{part_of, Entries, Walk, PARTS};
use rustc_hash::FxHashSet;

/// One step taken: the place of the call, which of its successors, and the state before it.
struct Taken {
    place: u32,
    choice: usize,
    state: u32,
}

/// Searches for a legal order of all that returned; what did not may be in it or not.
pub fn walk<H: Host>(problem: &Problem, world: &mut World<H>) -> Result<Walk, H::Error> {
    world.begin()?;
    let mut entries = Entries::new(problem);
    let mut cache: Vec<FxHashSet<Box<[u64]>>> = (0..PARTS).map(|_| FxHashSet::default()).collect();
    // A bit for each operation that has been linearized; the last word is the state.
    let state_at = problem.classes.len().div_ceil(64);
    let mut key = vec![0u64; state_at + 1];
    let mut stack: Vec<Taken> = Vec::new();
    let (mut blocked, mut steps) = (-1i64, 0u64);
    let (mut state, mut choice) = (problem.initial, 0);
    let mut place = entries.next[0];
    while place != 0 {
        steps += 1;
        world.tick(4)?;
        let event = problem.events[place as usize - 1];
        let operation = (event >> 1) as usize;
        if event & 1 == 0 {
            let next = world.step(problem, state, problem.classes[operation])?;
            let Some(after) = world.choice(next, choice) else {
                (place, choice) = (entries.next[place as usize], 0);
                continue;
            };
            key[operation / 64] |= 1 << (operation % 64);
            key[state_at] = u64::from(after);
            let entered = &mut cache[part_of(&key[..])];
            if entered.contains(&key[..]) {
                key[operation / 64] &= !(1 << (operation % 64));
                choice += 1;
                continue;
            }
            entered.insert(key[..].into());
            stack.push(Taken { place, choice, state });
            (state, choice) = (after, 0);
            entries.lift(place, event >> 1);
            place = entries.next[0];
            continue;
        }
        blocked = blocked.max(i64::from(place) - 1);
        let Some(taken) = stack.pop() else {
            return Ok(Walk { order: None, finished: true, blocked, steps });
        };
        let operation = problem.events[taken.place as usize - 1] >> 1;
        key[(operation / 64) as usize] &= !(1 << (operation % 64));
        entries.unlift(taken.place, operation);
        (place, choice, state) = (taken.place, taken.choice + 1, taken.state);
    }
    let order = stack.iter().map(|taken| problem.events[taken.place as usize - 1] >> 1).collect();
    Ok(Walk { order: Some(order), finished: true, blocked, steps })
}
