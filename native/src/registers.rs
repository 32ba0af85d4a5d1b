//! Registers from columns to a problem, without asking Python what each operation means.
//!
//! This is `harness.check.models_registers` once more (`register`, `register_shape`, `seen_values`) and
//! `harness.check.problem.pose`; tests compare the two.

use crate::kept::{self, Keep, Kept};
use crate::problem::{Kind, Problem, NONE};
use crate::reader::{Columns, Pairs, FAIL, NOTHING, OK};
use pyo3::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

/// What the history's author means, and which numbers say so.
#[derive(FromPyObject)]
pub struct Rules {
    /// Of each function by number: 0 reads, 1 writes, 2 compares and sets.
    pub roles: Vec<u8>,
    /// The value before any write.
    pub initial: u32,
    /// A read of nothing says that nothing was there.
    pub nil_is_a_value: bool,
    /// The error of a cas that failed because it held something else; none if those say nothing.
    pub mismatch: Option<u16>,
}

/// What is known of all operations with the same request and answer.
#[derive(Clone, Copy)]
struct Class {
    kind: Kind,
    at: u32,
    to: u32,
}

/// Values that somebody expects are states of their own, all others are one.
struct States {
    expected: FxHashSet<u32>,
    numbers: FxHashMap<u32, u32>,
}

/// The value that stands for all that nobody expects.
const UNSEEN: u32 = u32::MAX;

impl States {
    fn exactly(&mut self, value: u32) -> u32 {
        let next = self.numbers.len() as u32;
        *self.numbers.entry(value).or_insert(next)
    }

    fn of(&mut self, value: u32) -> u32 {
        let seen = self.expected.contains(&value);
        self.exactly(if seen { value } else { UNSEEN })
    }
}

/// The problem of some rows; None if one of them is no operation of a register.
pub fn pose(
    c: &Columns,
    same: &[u32],
    pairs: &Pairs,
    rows: &[u32],
    rules: &Rules,
) -> Option<(Problem, Kept)> {
    let mut known: FxHashMap<(u8, u32, u32), u32> = FxHashMap::default();
    let mut classes: Vec<Class> = Vec::new();
    let mut expected = FxHashSet::default();
    let mut class_of = Vec::with_capacity(rows.len());
    for &row in rows {
        let row = row as usize;
        let (outcome, role) = (c.outcome[row], *rules.roles.get(c.f[row] as usize)?);
        let refused = outcome == FAIL;
        if refused && (role != 2 || rules.mismatch != Some(c.error[row])) {
            class_of.push(NONE);
            continue;
        }
        let answered = outcome == OK;
        let value = same[c.value[row] as usize];
        let told = if role == 0 && answered { same[c.result[row] as usize] } else { NOTHING };
        let next = classes.len() as u32;
        let how = role << 2 | u8::from(answered) << 1 | u8::from(refused);
        let number = *known.entry((how, value, told)).or_insert(next);
        class_of.push(number);
        if number < next {
            continue;
        }
        let class = match role {
            0 => {
                expected.insert(told);
                let silent = !answered || (told == NOTHING && !rules.nil_is_a_value);
                Class { kind: if silent { Kind::Idle } else { Kind::Sees }, at: told, to: NONE }
            }
            1 => Class { kind: Kind::Blind, at: NONE, to: value },
            2 => {
                let &(from, to) = pairs.get(&value)?;
                expected.insert(from);
                let kind = match () {
                    _ if refused => Kind::SeesOther,
                    _ if from == to => Kind::Sees,
                    _ => Kind::Moves,
                };
                Class { kind, at: from, to }
            }
            _ => return None,
        };
        classes.push(class);
    }
    Some(numbered(c, rows, &class_of, &mut classes, expected, rules.initial))
}

/// Numbers the states, leaves out what says nothing, and puts the events in order.
fn numbered(
    c: &Columns,
    rows: &[u32],
    class_of: &[u32],
    classes: &mut [Class],
    expected: FxHashSet<u32>,
    initial: u32,
) -> (Problem, Kept) {
    let mut states = States { expected, numbers: FxHashMap::default() };
    let initial = states.of(initial);
    let mut mute = true;
    for class in &mut *classes {
        mute &= class.kind != Kind::SeesOther;
        match class.kind {
            Kind::Sees | Kind::SeesOther | Kind::Moves => class.at = states.exactly(class.at),
            _ => class.at = NONE,
        }
    }
    for class in &mut *classes {
        match class.kind {
            Kind::Blind | Kind::Moves => class.to = states.of(class.to),
            _ => class.to = NONE,
        }
    }
    let filed = kept::file(c, rows, class_of.iter().copied(), |class| {
        Keep::of(classes[class as usize].kind)
    });
    let problem = Problem {
        classes: filed.classes,
        returned: filed.returned,
        events: filed.events,
        kinds: classes.iter().map(|class| class.kind).collect(),
        at: classes.iter().map(|class| class.at).collect(),
        to: classes.iter().map(|class| class.to).collect(),
        initial,
        mute: if mute { states.exactly(UNSEEN) } else { NONE },
        commutes: false,
    };
    (problem, filed.kept)
}
