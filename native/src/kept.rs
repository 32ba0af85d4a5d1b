//! From rows of a table to a problem's operations and events, and back to a witness.

use crate::problem::{Kind, NONE};
use crate::reader::{Columns, FAIL};

/// Which rows of a table take part in a problem.
#[derive(Default)]
pub struct Kept {
    pub rows: Vec<u32>,
    /// Rows that returned and say nothing: they fit anywhere within their interval.
    pub idle: Vec<u32>,
}

impl Kept {
    /// An order of operations as indices of the history, idle ones woven in: each before the first
    /// operation that was called after it returned.
    pub fn woven(&self, c: &Columns, order: &[u32]) -> Vec<u8> {
        let mut waiting = self.idle.clone();
        // The earliest to return is taken first; of equals, the first called.
        waiting.sort_by_key(|row| std::cmp::Reverse(c.end[*row as usize]));
        let mut woven: Vec<u8> = Vec::with_capacity(4 * (order.len() + waiting.len()));
        let mut put = |row: u32| woven.extend(c.index[row as usize].to_ne_bytes());
        for operation in order {
            let row = self.rows[*operation as usize];
            while waiting.last().is_some_and(|idle| c.end[*idle as usize] < c.start[row as usize]) {
                put(waiting.pop().unwrap_or_default());
            }
            put(row);
        }
        waiting.into_iter().rev().for_each(put);
        woven
    }
}

/// Events in order of time: at equal times calls come first, as intervals are closed.
#[derive(Default)]
struct Times {
    times: Vec<(i64, u32)>,
}

impl Times {
    fn with_capacity(operations: usize) -> Self {
        Times { times: Vec::with_capacity(2 * operations) }
    }

    /// Adds an operation's call, and its return if there is one.
    fn add(&mut self, operation: u32, start: i64, end: Option<i64>) {
        self.times.push((start << 1, 2 * operation));
        if let Some(end) = end {
            self.times.push((end << 1 | 1, 2 * operation + 1));
        }
    }

    fn events(mut self) -> Vec<u32> {
        self.times.sort_unstable();
        self.times.into_iter().map(|(_, event)| event).collect()
    }
}

/// The operations of some rows that say something, and their events.
pub struct Filed {
    pub kept: Kept,
    pub classes: Vec<u32>,
    pub returned: Vec<bool>,
    pub events: Vec<u32>,
}

/// When operations of a class say something: those that do not, and returned, are idle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    IfReturned,
    Always,
    Never,
}

impl Keep {
    pub fn of(kind: Kind) -> Keep {
        match kind {
            Kind::Idle => Keep::Never,
            kind if kind.observes() => Keep::IfReturned,
            _ => Keep::Always,
        }
    }
}

/// Files rows by their classes; `NONE` is left out.
pub fn file(
    c: &Columns,
    rows: &[u32],
    class_of: impl IntoIterator<Item = u32>,
    keep: impl Fn(u32) -> Keep,
) -> Filed {
    let mut filed = Filed {
        kept: Kept::default(),
        classes: Vec::with_capacity(rows.len()),
        returned: Vec::with_capacity(rows.len()),
        events: Vec::new(),
    };
    let mut times = Times::with_capacity(rows.len());
    for (&row, class) in rows.iter().zip(class_of) {
        if class == NONE {
            continue;
        }
        let (at, keep) = (row as usize, keep(class));
        let returned = c.outcome[at] <= FAIL;
        if keep == Keep::Never || (keep == Keep::IfReturned && !returned) {
            if returned {
                filed.kept.idle.push(row);
            }
            continue;
        }
        times.add(filed.kept.rows.len() as u32, c.start[at], returned.then(|| c.end[at]));
        filed.kept.rows.push(row);
        filed.classes.push(class);
        filed.returned.push(returned);
    }
    filed.events = times.events();
    filed
}
