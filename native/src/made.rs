//! Operations that are there as Python objects, into the columns that a search starts from.

use crate::reader::{Columns, FAIL, INFO, NOTHING, OK};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

/// Beyond this a time does not fit beside the bit that tells calls from returns.
const LATEST: i64 = 1 << 61;

/// Values, each with the number of the first that equals it, as Python compares them.
struct Numbers<'py> {
    known: Bound<'py, PyDict>,
    all: Bound<'py, PyList>,
}

impl<'py> Numbers<'py> {
    fn new(py: Python<'py>) -> PyResult<Self> {
        let mut numbers = Numbers { known: PyDict::new(py), all: PyList::empty(py) };
        numbers.of(py.None().bind(py))?;
        Ok(numbers)
    }

    fn of(&mut self, value: &Bound<'py, PyAny>) -> PyResult<u32> {
        if value.is_none() && !self.all.is_empty() {
            return Ok(NOTHING);
        }
        if let Some(number) = self.known.get_item(value)? {
            return number.extract();
        }
        let number = self.all.len() as u32;
        self.known.set_item(value, number)?;
        self.all.append(value)?;
        Ok(number)
    }
}

/// Names, or errors: few, and mostly the same object each time.
struct Names<'py> {
    all: Vec<Bound<'py, PyAny>>,
}

impl<'py> Names<'py> {
    /// None if there are more than the columns have room for.
    fn of(&mut self, name: &Bound<'py, PyAny>, most: usize) -> PyResult<Option<usize>> {
        if let Some(place) = self.all.iter().position(|known| known.is(name)) {
            return Ok(Some(place));
        }
        for (place, known) in self.all.iter().enumerate() {
            if known.eq(name)? {
                return Ok(Some(place));
            }
        }
        self.all.push(name.clone());
        Ok((self.all.len() <= most).then(|| self.all.len() - 1))
    }
}

/// What was made: columns, function names, values, errors.
pub type Made<'py> = (Columns, Vec<Bound<'py, PyAny>>, Bound<'py, PyList>, Vec<Bound<'py, PyAny>>);

/// The columns of operations; None of such as the columns have no room for, or that end before they
/// begin. Nodes and positions are left out: who wants them has the operations.
pub fn columns<'py>(
    py: Python<'py>,
    operations: &Bound<'py, PyTuple>,
) -> PyResult<Option<Made<'py>>> {
    let mut made = Columns::new();
    let mut values = Numbers::new(py)?;
    let mut names = Names { all: vec![PyString::new(py, "").into_any()] };
    let mut words = Names { all: vec![py.None().into_bound(py)] };
    let mut outcomes: Vec<(Bound<'py, PyAny>, u8)> = Vec::new();
    for operation in operations.iter() {
        let outcome = operation.getattr(intern!(py, "outcome"))?;
        let kind = match outcomes.iter().find(|(known, _)| known.is(&outcome)) {
            Some((_, kind)) => *kind,
            None => {
                let kind = match outcome.getattr(intern!(py, "value"))?.extract::<&str>()? {
                    "ok" => OK,
                    "fail" => FAIL,
                    _ => INFO,
                };
                outcomes.push((outcome, kind));
                kind
            }
        };
        let start: i64 = operation.getattr(intern!(py, "start"))?.extract()?;
        let end: i64 = match kind {
            INFO => 0,
            _ => match operation.getattr(intern!(py, "end"))?.extract::<Option<i64>>()? {
                Some(end) if end >= start => end,
                _ => return Ok(None),
            },
        };
        let call = operation.getattr(intern!(py, "call"))?;
        let f = names.of(&call.getattr(intern!(py, "f"))?, 256)?;
        let error = match kind {
            FAIL => words.of(&operation.getattr(intern!(py, "error"))?, 1 << 16)?,
            _ => Some(0),
        };
        let (Some(f), Some(error)) = (f, error) else { return Ok(None) };
        if start <= -LATEST || start >= LATEST || end >= LATEST {
            return Ok(None);
        }
        made.index.push(operation.getattr(intern!(py, "index"))?.extract()?);
        made.process.push(operation.getattr(intern!(py, "process"))?.extract()?);
        made.f.push(f as u8);
        made.key.push(values.of(&call.getattr(intern!(py, "key"))?)?);
        made.value.push(values.of(&call.getattr(intern!(py, "value"))?)?);
        made.result.push(match kind {
            OK => values.of(&operation.getattr(intern!(py, "result"))?)?,
            _ => NOTHING,
        });
        made.outcome.push(kind);
        made.start.push(start);
        made.end.push(end);
        made.node.push(0);
        made.error.push(error as u16);
    }
    // The arguments of compare-and-set.
    let mut place = 0;
    while place < values.all.len() {
        if let Ok(pair) = values.all.get_item(place)?.cast_into::<PyTuple>() {
            if pair.len() == 2 {
                let both = (values.of(&pair.get_item(0)?)?, values.of(&pair.get_item(1)?)?);
                made.pairs.insert(place as u32, both);
            }
        }
        place += 1;
    }
    made.valued = values.all.len();
    made.strings = values.all.iter().map(|value| text(&value)).collect();
    Ok(Some((made, names.all, values.all, words.all)))
}

fn text(value: &Bound<'_, PyAny>) -> Option<Box<[u8]>> {
    let text = value.cast::<PyString>().ok()?;
    text.to_cow().ok().map(|text| text.as_bytes().into())
}
