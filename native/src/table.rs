//! What Python sees of a history in columns, and how an object's rows become a problem.

use crate::reader::{self, Columns, FAIL, INFO, OK, OPEN};
use crate::Core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A history file in columns. Names, keys and values are numbers of texts; 0 is none.
#[pyclass(module = "harness._native", frozen)]
pub struct Table {
    columns: Arc<Columns>,
}

type Row = (u32, i64, u8, u32, u32, u32, u8, i64, i64, u8, u16, Option<i64>);

#[pymethods]
impl Table {
    /// Reads what follows `offset` in a file; None if it is not of the usual form.
    #[staticmethod]
    fn read(py: Python<'_>, path: &str, offset: u64) -> Option<Table> {
        let columns = py.detach(|| reader::read(path, offset)).ok()?;
        Some(Table { columns: Arc::new(columns) })
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
            c.index[row], c.process[row], c.f[row], c.key[row], c.value[row], c.result[row],
            c.outcome[row], c.start[row], c.end[row], c.node[row], c.error[row], position,
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
    /// `same` says which number stands for each value: several texts can mean one value.
    fn parts(&self, by_key: bool, same: Vec<u32>) -> PyResult<Vec<(u32, Part)>> {
        if same.len() != self.columns.values.all.len() {
            return Err(PyValueError::new_err("a value that nothing stands for"));
        }
        let count = self.columns.index.len() as u32;
        let same = Arc::new(same);
        let part = |rows| Part::new(self.columns.clone(), same.clone(), rows);
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
    rows: Vec<u32>,
    /// Of each row: which combination of function, value, answer (and process) it is.
    combinations: Vec<u32>,
}

impl Part {
    fn new(columns: Arc<Columns>, same: Arc<Vec<u32>>, mut rows: Vec<u32>) -> Self {
        rows.shrink_to_fit();
        Part { columns, same, rows, combinations: Vec::new() }
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

    /// The problem of the operations whose combination has a class (-1: left out), ready to search.
    ///
    /// `keep[class]`: 0 only if it returned, 1 always, 2 never.
    fn pose(&self, py: Python<'_>, classes: Vec<i32>, keep: Vec<u8>) -> PyResult<Posed> {
        let (c, rows, combinations) = (&self.columns, &self.rows, &self.combinations);
        if combinations.len() != rows.len() || combinations.iter().any(|n| *n as usize >= classes.len())
            || classes.iter().any(|cls| *cls >= keep.len() as i32)
        {
            return Err(PyValueError::new_err("combinations and classes do not fit"));
        }
        Ok(py.detach(|| {
            let mut posed = Posed {
                columns: c.clone(),
                rows: Vec::new(),
                idle: Vec::new(),
                classes: Vec::new(),
                returned: Vec::new(),
                events: Vec::new(),
            };
            let mut times: Vec<(i64, u32)> = Vec::with_capacity(2 * rows.len());
            for (&row, &combination) in rows.iter().zip(combinations) {
                let class = classes[combination as usize];
                if class < 0 {
                    continue;
                }
                let at = row as usize;
                let returned = c.outcome[at] <= FAIL;
                match keep[class as usize] {
                    1 => {}
                    0 if returned => {}
                    _ => {
                        if returned {
                            posed.idle.push(row);
                        }
                        continue;
                    }
                }
                let operation = posed.rows.len() as u32;
                posed.rows.push(row);
                posed.classes.push(class as u32);
                posed.returned.push(returned);
                // At equal times calls come first: intervals are closed.
                times.push((c.start[at] << 1, 2 * operation));
                if returned {
                    times.push((c.end[at] << 1 | 1, 2 * operation + 1));
                }
            }
            times.sort_unstable();
            posed.events = times.into_iter().map(|(_, event)| event).collect();
            posed
        }))
    }
}

/// The operations of a problem, as rows of the table, and its numbers.
#[pyclass(module = "harness._native", frozen)]
pub struct Posed {
    columns: Arc<Columns>,
    rows: Vec<u32>,
    /// Rows that returned and say nothing: they fit anywhere within their interval.
    idle: Vec<u32>,
    classes: Vec<u32>,
    returned: Vec<bool>,
    events: Vec<u32>,
}

#[pymethods]
impl Posed {
    fn __len__(&self) -> usize {
        self.rows.len()
    }

    /// The row of the table of an operation.
    fn row(&self, operation: usize) -> PyResult<u32> {
        self.rows.get(operation).copied().ok_or_else(|| PyValueError::new_err("no such operation"))
    }

    /// For engines that are not compiled: (classes, returned, events).
    fn numbers(&self) -> (Vec<u32>, Vec<bool>, Vec<u32>) {
        (self.classes.clone(), self.returned.clone(), self.events.clone())
    }

    /// An order of operations as indices of the history, idle ones woven in: each before the first
    /// operation that was called after it returned.
    fn witness<'py>(&self, py: Python<'py>, order: Vec<u32>) -> PyResult<Bound<'py, PyBytes>> {
        let c = &self.columns;
        if order.iter().any(|operation| *operation as usize >= self.rows.len()) {
            return Err(PyValueError::new_err("an operation out of range"));
        }
        let mut waiting = self.idle.clone();
        // The earliest to return is taken first; of equals, the first called.
        waiting.sort_by_key(|row| std::cmp::Reverse(c.end[*row as usize]));
        let mut woven: Vec<u8> = Vec::with_capacity(4 * (order.len() + waiting.len()));
        let mut put = |row: u32| woven.extend(c.index[row as usize].to_ne_bytes());
        for operation in order {
            let row = self.rows[operation as usize];
            while waiting.last().is_some_and(|idle| c.end[*idle as usize] < c.start[row as usize]) {
                put(waiting.pop().unwrap_or_default());
            }
            put(row);
        }
        waiting.into_iter().rev().for_each(put);
        Ok(PyBytes::new(py, &woven))
    }

    /// The search's own copy; the rest of the problem is handed over as it is in Python.
    fn core(&self, problem: &Bound<'_, PyAny>) -> PyResult<Core> {
        Core::of(problem, self.classes.clone(), self.returned.clone(), self.events.clone())
    }
}
