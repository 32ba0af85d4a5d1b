//! What Python sees of a history in columns, and how an object's rows become a problem.

use crate::attempts;
use crate::kept::{self, Keep, Kept};
use crate::made;
use crate::problem::{Problem, World, NONE};
use crate::reader::Pairs;
use crate::reader::{self, Columns, FAIL, INFO, OK, OPEN};
use crate::registers::{self, Rules};
use crate::{lists, Asked, Core, Plan, Successors};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use rustc_hash::FxHashMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A history file in columns. Names, keys and values are numbers of texts; 0 is none.
#[pyclass(module = "harness._native", frozen)]
pub struct Table {
    columns: Arc<Columns>,
}

type Made<'py> = (Table, Vec<Bound<'py, PyAny>>, Bound<'py, PyList>, Vec<Bound<'py, PyAny>>);
type Row = (u32, i64, u8, u32, u32, u32, u8, i64, i64, u8, u16, Option<i64>);

#[pymethods]
impl Table {
    /// Reads what follows `offset` in a file; None if it is not of the usual form.
    #[staticmethod]
    fn read(py: Python<'_>, path: &str, offset: u64) -> Option<Table> {
        let columns = py.detach(|| reader::read(path, offset)).ok()?;
        Some(Table { columns: Arc::new(columns) })
    }

    /// The columns of operations, with the names of functions, the values and the errors that their
    /// numbers mean; None if they do not fit into columns.
    #[staticmethod]
    fn of<'py>(py: Python<'py>, operations: Bound<'py, PyTuple>) -> PyResult<Option<Made<'py>>> {
        let made = made::columns(py, &operations)?;
        Ok(made.map(|(columns, names, values, words)| {
            (Table { columns: Arc::new(columns) }, names, values, words)
        }))
    }

    fn __len__(&self) -> usize {
        self.columns.index.len()
    }

    /// The texts of names (functions, nodes), of values (JSON, keys too), and of errors.
    fn texts<'py>(&self, py: Python<'py>) -> [Vec<Bound<'py, PyBytes>>; 3] {
        [&self.columns.names, &self.columns.values, &self.columns.words]
            .map(|texts| texts.all.iter().map(|text| PyBytes::new(py, text)).collect())
    }

    /// (index, process, f, key, value, result, outcome, start, end, node, error, position).
    fn row(&self, row: usize) -> PyResult<Row> {
        let c = &self.columns;
        if row >= c.index.len() {
            return Err(PyValueError::new_err("no such row"));
        }
        let position = c.position.get(&(row as u32)).copied();
        Ok((
            c.index[row],
            c.process[row],
            c.f[row],
            c.key[row],
            c.value[row],
            c.result[row],
            c.outcome[row],
            c.start[row],
            c.end[row],
            c.node[row],
            c.error[row],
            position,
        ))
    }

    /// Numbers of the names that are functions somewhere, each with the first row that has it.
    fn functions(&self) -> Vec<(u8, usize)> {
        let mut first = [usize::MAX; 256];
        for (row, &f) in self.columns.f.iter().enumerate() {
            let known = &mut first[f as usize];
            *known = (*known).min(row);
        }
        let there = first.into_iter().enumerate().filter(|(_, row)| *row != usize::MAX);
        there.map(|(f, row)| (f as u8, row)).collect()
    }

    /// How often each outcome is there: ok, fail, info, without a completion.
    fn outcomes(&self) -> (usize, usize, usize, usize) {
        let mut counts = [0; 4];
        for &outcome in &self.columns.outcome {
            counts[outcome as usize] += 1;
        }
        counts.into()
    }

    /// The latest end that is known, or start where there is none; 0 of no operations.
    fn until_ns(&self) -> i64 {
        let c = &self.columns;
        let last = |row: usize| match c.outcome[row] {
            OK | FAIL if c.end[row] != 0 => c.end[row],
            _ => c.start[row],
        };
        (0..c.index.len()).map(last).max().unwrap_or(0)
    }

    /// The rows of each key, keys in the order in which they come; all in one if not `by_key`.
    /// `same` says which number stands for each value, as several texts can mean one value, and
    /// `pairs` which values are in those that are pairs. Columns that were made know both.
    #[pyo3(signature = (by_key, same=None, pairs=None))]
    fn parts(
        &self,
        by_key: bool,
        same: Option<Vec<u32>>,
        pairs: Option<HashMap<u32, (u32, u32)>>,
    ) -> PyResult<Vec<(u32, Part)>> {
        let made = self.columns.valued;
        let valued = if made == 0 { self.columns.values.all.len() } else { made };
        let same = same.unwrap_or_else(|| (0..made as u32).collect());
        if same.len() != valued {
            return Err(PyValueError::new_err("a value that nothing stands for"));
        }
        let count = self.columns.index.len() as u32;
        let same = Arc::new(same);
        let pairs = Arc::new(match pairs {
            Some(pairs) => pairs.into_iter().collect(),
            None => self.columns.pairs.clone(),
        });
        let part = |rows| Part::new(self.columns.clone(), same.clone(), pairs.clone(), rows);
        if !by_key {
            let rows: Vec<u32> = (0..count).collect();
            return Ok(if rows.is_empty() { vec![] } else { vec![(0, part(rows))] });
        }
        let mut places: FxHashMap<u32, usize> = FxHashMap::default();
        let mut parts: Vec<(u32, Vec<u32>)> = Vec::new();
        for row in 0..count {
            let key = same[self.columns.key[row as usize] as usize];
            let place = *places.entry(key).or_insert_with(|| {
                parts.push((key, Vec::new()));
                parts.len() - 1
            });
            parts[place].1.push(row);
        }
        Ok(parts.into_iter().map(|(key, rows)| (key, part(rows))).collect())
    }
}

/// One object's rows, in order of invocation.
#[pyclass(module = "harness._native")]
pub struct Part {
    columns: Arc<Columns>,
    same: Arc<Vec<u32>>,
    pairs: Arc<Pairs>,
    rows: Vec<u32>,
    /// Of each row: which combination of function, value, answer (and process) it is.
    combinations: Vec<u32>,
}

impl Part {
    fn new(
        columns: Arc<Columns>,
        same: Arc<Vec<u32>>,
        pairs: Arc<Pairs>,
        mut rows: Vec<u32>,
    ) -> Self {
        rows.shrink_to_fit();
        Part { columns, same, pairs, rows, combinations: Vec::new() }
    }
}

#[pymethods]
impl Part {
    fn __len__(&self) -> usize {
        self.rows.len()
    }

    /// The row of the table at a place.
    fn row(&self, place: usize) -> PyResult<u32> {
        self.rows.get(place).copied().ok_or_else(|| PyValueError::new_err("no such place"))
    }

    /// Finds the combinations that operations depend on; a row of the table for each.
    fn combine(&mut self, py: Python<'_>, by_process: bool) -> Vec<u32> {
        let (c, same, rows) = (&self.columns, &self.same, &self.rows);
        let (combinations, first) = py.detach(|| {
            let mut known: FxHashMap<(u8, u8, u32, u32, i64), u32> = FxHashMap::default();
            let mut first: Vec<u32> = Vec::new();
            let mut combinations = Vec::with_capacity(rows.len());
            for &row in rows {
                let at = row as usize;
                let outcome = c.outcome[at];
                // An answer counts where there is one: a result, or why it was refused.
                let told = match outcome {
                    OK => same[c.result[at] as usize],
                    FAIL => u32::from(c.error[at]),
                    _ => 0,
                };
                let kind = if outcome == OPEN { INFO } else { outcome };
                let process = if by_process { c.process[at] } else { 0 };
                let value = same[c.value[at] as usize];
                let next = first.len() as u32;
                let number = *known.entry((c.f[at], kind, value, told, process)).or_insert(next);
                if number == next {
                    first.push(row);
                }
                combinations.push(number);
            }
            (combinations, first)
        });
        self.combinations = combinations;
        first
    }

    /// Judges a register without asking Python what its operations mean: see `registers`. None if that
    /// decides nothing, because an operation is none of a register's or the attempts all gave up.
    ///
    /// `plan` is told the sizes of the problem.
    fn glance<'py>(
        &self,
        py: Python<'py>,
        rules: Rules,
        plan: Bound<'py, PyAny>,
        look: Py<PyAny>,
    ) -> PyResult<Option<Glanced<'py>>> {
        let (columns, same, rows) = (&self.columns, &self.same, &self.rows);
        let posed = py.detach(|| registers::pose(columns, same, &self.pairs, rows, &rules));
        let Some((problem, kept)) = posed else { return Ok(None) };
        self.judge(py, &problem, &kept, Successors::Nobody, plan, look)
    }

    /// The same of a list whose reads return text: see `lists`.
    fn glance_list<'py>(
        &self,
        py: Python<'py>,
        roles: Vec<u8>,
        plan: Bound<'py, PyAny>,
        look: Py<PyAny>,
    ) -> PyResult<Option<Glanced<'py>>> {
        let (columns, same, rows) = (&self.columns, &self.same, &self.rows);
        let posed = py.detach(|| lists::pose(columns, same, rows, &roles));
        let Some((problem, kept, lists)) = posed else { return Ok(None) };
        self.judge(py, &problem, &kept, Successors::Lists(lists), plan, look)
    }

    /// The problem of the operations whose combination has a class (-1: left out), ready to search.
    ///
    /// `keep[class]`: 0 only if it returned, 1 always, 2 never.
    fn pose(&self, py: Python<'_>, classes: Vec<i32>, keep: Vec<u8>) -> PyResult<Posed> {
        let (c, rows, combinations) = (&self.columns, &self.rows, &self.combinations);
        if combinations.len() != rows.len()
            || combinations.iter().any(|n| *n as usize >= classes.len())
            || classes.iter().any(|cls| *cls >= keep.len() as i32)
        {
            return Err(PyValueError::new_err("combinations and classes do not fit"));
        }
        Ok(py.detach(|| {
            let class_of =
                combinations.iter().map(|it| u32::try_from(classes[*it as usize]).unwrap_or(NONE));
            let filed = kept::file(c, rows, class_of, |class| match keep[class as usize] {
                0 => Keep::IfReturned,
                1 => Keep::Always,
                _ => Keep::Never,
            });
            Posed {
                columns: c.clone(),
                kept: filed.kept,
                classes: filed.classes,
                returned: filed.returned,
                events: filed.events,
            }
        }))
    }
}

/// A witness or the row to blame, configurations met and carried, nanoseconds of search.
type Glanced<'py> = (Option<Bound<'py, PyBytes>>, Option<u32>, u64, usize, u64);

impl Part {
    /// What the planned attempts make of a problem; None if they all give up.
    fn judge<'py>(
        &self,
        py: Python<'py>,
        problem: &Problem,
        kept: &Kept,
        next: Successors,
        plan: Bound<'py, PyAny>,
        look: Py<PyAny>,
    ) -> PyResult<Option<Glanced<'py>>> {
        let plan = plan.call1(problem.sizes())?;
        let plan: &Bound<'_, Plan> = plan.cast()?;
        let attempts = &plan.get().attempts;
        let (solved, took) = py.detach(|| {
            let began = Stopwatch::start();
            let mut world = World::new(Asked { next, look: Some(look) }, problem.kinds.len());
            let solved = attempts::solve(problem, &mut world, attempts)?;
            Ok::<_, PyErr>((solved, began.ns()))
        })?;
        let Some(solved) = solved else { return Ok(None) };
        let witness = solved.order.map(|order| kept.woven(&self.columns, &order));
        let culprit =
            solved.dead.map(|dead| kept.rows[(problem.events[dead as usize] >> 1) as usize]);
        let witness = witness.map(|woven| PyBytes::new(py, &woven));
        Ok(Some((witness, culprit, solved.visited, solved.widest, took)))
    }
}

/// What a search took: of computing, as others may be at work on a busy machine. That clock is asked
/// of the kernel, which takes as long as a short search, of which the time on the wall says as much.
struct Stopwatch {
    computed_ns: u64,
    wall: Instant,
}

impl Stopwatch {
    fn start() -> Self {
        Stopwatch { computed_ns: computed_ns(), wall: Instant::now() }
    }

    fn ns(&self) -> u64 {
        let wall = self.wall.elapsed();
        match wall < SHORT {
            true => wall.as_nanos() as u64,
            false => computed_ns() - self.computed_ns,
        }
    }
}

const SHORT: Duration = Duration::from_micros(100);

/// Nanoseconds that this thread has computed for.
fn computed_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes a timespec to where it is told to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The operations of a problem, as rows of the table, and its numbers.
#[pyclass(module = "harness._native", frozen)]
pub struct Posed {
    columns: Arc<Columns>,
    kept: Kept,
    classes: Vec<u32>,
    returned: Vec<bool>,
    events: Vec<u32>,
}

#[pymethods]
impl Posed {
    fn __len__(&self) -> usize {
        self.kept.rows.len()
    }

    /// The row of the table of an operation.
    fn row(&self, operation: usize) -> PyResult<u32> {
        self.kept
            .rows
            .get(operation)
            .copied()
            .ok_or_else(|| PyValueError::new_err("no such operation"))
    }

    /// For engines that are not compiled: (classes, returned, events).
    fn numbers(&self) -> (Vec<u32>, Vec<bool>, Vec<u32>) {
        (self.classes.clone(), self.returned.clone(), self.events.clone())
    }

    /// An order of operations as indices of the history, idle ones woven in: each before the first
    /// operation that was called after it returned.
    fn witness<'py>(&self, py: Python<'py>, order: Vec<u32>) -> PyResult<Bound<'py, PyBytes>> {
        if order.iter().any(|operation| *operation as usize >= self.kept.rows.len()) {
            return Err(PyValueError::new_err("an operation out of range"));
        }
        Ok(PyBytes::new(py, &self.kept.woven(&self.columns, &order)))
    }

    /// The search's own copy; the rest of the problem is handed over as it is in Python.
    fn core(&self, problem: &Bound<'_, PyAny>) -> PyResult<Core> {
        Core::of(problem, self.classes.clone(), self.returned.clone(), self.events.clone())
    }
}
