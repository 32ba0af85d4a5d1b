//! Lists whose reads return text, from columns to a problem, without asking Python what each operation
//! means or leads to.
//!
//! This is `harness.check.models_structures.appended_list` once more, for histories in which all that
//! is appended, put and read is text, as Porcupine's logs have it; tests compare the two. All lists
//! are represented by their text.

use crate::kept::{self, Keep, Kept};
use crate::problem::{Kind, Problem, NONE};
use crate::reader::{Columns, FAIL, NOTHING, OK};
use rustc_hash::FxHashMap;

const READ: u8 = 0;
const PUT: u8 = 1;
const APPEND: u8 = 2;

/// The state that stands for all lists that are no beginning of a list that was read.
const UNSEEN: u32 = 0;

type Text = Box<[u8]>;

/// The states of one list, and what appending makes of them.
pub struct Lists {
    states: Vec<Text>,
    numbers: FxHashMap<Text, u32>,
    /// What was read, without what is the beginning of another.
    read: Vec<Text>,
    /// Of each class that appends.
    appended: Vec<Text>,
}

impl Lists {
    fn exactly(&mut self, text: Text) -> u32 {
        if let Some(&known) = self.numbers.get(&text) {
            return known;
        }
        let number = self.states.len() as u32;
        self.states.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    fn of(&mut self, text: Text) -> u32 {
        let seen = text.is_empty() || self.read.iter().any(|read| read.starts_with(&text));
        if seen {
            self.exactly(text)
        } else {
            UNSEEN
        }
    }

    /// The state after an operation of a class that appends.
    pub fn next(&mut self, state: u32, cls: u32) -> u32 {
        if state == UNSEEN {
            return UNSEEN;
        }
        let after = [&self.states[state as usize][..], &self.appended[cls as usize]].concat();
        self.of(after.into())
    }
}

/// The problem of some rows, and its states; None if one of them is something else than text, or
/// no operation of a list. `roles` says what each function is.
pub fn pose(
    c: &Columns,
    same: &[u32],
    rows: &[u32],
    roles: &[u8],
) -> Option<(Problem, Kept, Lists)> {
    let mut known: FxHashMap<(u8, u32), u32> = FxHashMap::default();
    let mut kinds: Vec<Kind> = Vec::new();
    // What each class read, put or appended.
    let mut texts: Vec<Text> = Vec::new();
    let mut class_of = Vec::with_capacity(rows.len());
    for &row in rows {
        let row = row as usize;
        let (outcome, role) = (c.outcome[row], *roles.get(c.f[row] as usize)?);
        let silent = role == READ && outcome != OK;
        if outcome == FAIL || silent {
            class_of.push(NONE);
            continue;
        }
        let value = same[if role == READ { c.result[row] } else { c.value[row] } as usize];
        let next = kinds.len() as u32;
        let number = *known.entry((role, value)).or_insert(next);
        class_of.push(number);
        if number < next {
            continue;
        }
        let text = match c.strings.get(value as usize)? {
            Some(text) => text.clone(),
            None if role == READ && value == NOTHING => Text::default(),
            None => return None,
        };
        kinds.push(match role {
            READ => Kind::Sees,
            PUT => Kind::Blind,
            APPEND => Kind::Total,
            _ => return None,
        });
        texts.push(text);
    }
    let mut lists = Lists {
        // The unseen one is found under no text.
        states: vec![Text::default()],
        numbers: FxHashMap::default(),
        read: longest(&kinds, &texts),
        appended: Vec::new(),
    };
    let initial = lists.exactly(Text::default());
    let (mut at, mut to) = (vec![NONE; kinds.len()], vec![NONE; kinds.len()]);
    for (class, kind) in kinds.iter().enumerate() {
        match kind {
            Kind::Sees => at[class] = lists.exactly(texts[class].clone()),
            Kind::Blind => to[class] = lists.of(texts[class].clone()),
            _ => {}
        }
    }
    lists.appended = texts;
    let filed = kept::file(c, rows, class_of, |class| Keep::of(kinds[class as usize]));
    let problem = Problem {
        classes: filed.classes,
        returned: filed.returned,
        events: filed.events,
        kinds,
        at,
        to,
        initial,
        mute: UNSEEN,
        commutes: false,
    };
    Some((problem, filed.kept, lists))
}

/// The texts that were read, without those with which another begins.
fn longest(kinds: &[Kind], texts: &[Text]) -> Vec<Text> {
    let read = kinds.iter().zip(texts).filter(|(kind, _)| **kind == Kind::Sees);
    let mut read: Vec<Text> = read.map(|(_, text)| text.clone()).collect();
    read.sort_unstable();
    // In order, those that begin with a text come right after it.
    let mut longest: Vec<Text> = Vec::with_capacity(read.len());
    for text in read {
        match longest.last_mut() {
            Some(last) if text.starts_with(last) => *last = text,
            _ => longest.push(text),
        }
    }
    longest
}
