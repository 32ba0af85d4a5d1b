//! `harness._native`: the searches of the linearizability checker, compiled.

mod antichain;
mod attempts;
mod groups;
mod kept;
mod lists;
mod made;
mod masks;
mod openings;
mod plain;
mod problem;
mod queues;
mod reader;
mod refute;
mod registers;
mod table;
mod trails;
mod wgl;
mod witness;
mod workspace;

use crate::attempts::Attempt;
use crate::problem::{Host, Kind, Problem, Sizes, World, NONE};
use crate::queues::{Decided, Role};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Counted up whenever the two sides of the interface change together.
const INTERFACE: u32 = 9;

/// Who knows the successors of a state under a class of actions that does not say them itself.
enum Successors {
    /// There is no such class.
    Nobody,
    /// The model's table, which is asked with Python's lock held.
    Table(Py<PyAny>),
    Lists(lists::Lists),
}

/// What a search asks: the successors, and Python whether to go on.
struct Asked {
    next: Successors,
    look: Option<Py<PyAny>>,
}

impl Host for Asked {
    type Error = PyErr;

    fn next(&mut self, state: u32, cls: u32) -> PyResult<Vec<u32>> {
        match &mut self.next {
            Successors::Nobody => {
                Err(PyValueError::new_err("nobody knows the successors of a state"))
            }
            Successors::Table(next) => {
                Python::attach(|py| next.bind(py).call1((state, cls))?.extract())
            }
            Successors::Lists(lists) => Ok(vec![lists.next(state, cls)]),
        }
    }

    fn look(&mut self) -> PyResult<()> {
        Python::attach(|py| {
            py.check_signals()?;
            match &self.look {
                Some(look) => look.bind(py).call0().map(drop),
                None => Ok(()),
            }
        })
    }
}

/// Attempts, to be made one after the other.
#[pyclass(module = "harness._native", frozen)]
pub struct Plan {
    attempts: Vec<Attempt>,
}

#[pymethods]
impl Plan {
    #[new]
    fn new(attempts: Vec<Attempt>) -> Self {
        Plan { attempts }
    }
}

/// A problem in this side's memory, with its transition table: `harness.check.problem.Problem`.
#[pyclass(module = "harness._native")]
struct Core {
    problem: Problem,
    world: World<Asked>,
}

impl Core {
    /// A problem whose operations' numbers are these; the rest is Python's.
    fn of(
        problem: &Bound<'_, PyAny>,
        classes: Vec<u32>,
        returned: Vec<bool>,
        events: Vec<u32>,
    ) -> PyResult<Self> {
        let states = |name: &str| -> PyResult<Vec<u32>> {
            let states: Vec<i64> = problem.getattr(name)?.extract()?;
            states.into_iter().map(state).collect()
        };
        let kinds: Vec<u8> = problem.getattr("kinds")?.extract()?;
        let kinds: Option<Vec<Kind>> = kinds.into_iter().map(Kind::of).collect();
        let posed = Problem {
            classes,
            returned,
            events,
            kinds: kinds.ok_or_else(|| PyValueError::new_err("an unknown kind"))?,
            at: states("at")?,
            to: states("to")?,
            initial: problem.getattr("initial")?.extract()?,
            mute: state(problem.getattr("mute")?.extract()?)?,
            commutes: problem.getattr("commutes")?.extract()?,
        };
        if let Some(fault) = posed.fault() {
            return Err(PyValueError::new_err(fault));
        }
        let next = problem.getattr("table")?.getattr("next")?.unbind();
        let world =
            World::new(Asked { next: Successors::Table(next), look: None }, posed.kinds.len());
        Ok(Core { problem: posed, world })
    }
}

#[pymethods]
impl Core {
    /// Copies a problem. Raises ValueError if its numbers do not fit together.
    #[new]
    fn new(problem: &Bound<'_, PyAny>) -> PyResult<Self> {
        let classes = problem.getattr("classes")?.extract()?;
        let returned = problem.getattr("returned")?.extract()?;
        let events = problem.getattr("events")?.extract()?;
        Core::of(problem, classes, returned, events)
    }

    /// The antichain: (order | None, dead | None, visited, widest). Only beams `first` to `last` (not
    /// included) are tried; neither an order nor a dead event means that they cut something off.
    #[pyo3(signature = (look, first=0, last=antichain::BEAMS.len()))]
    fn search(
        &mut self,
        py: Python<'_>,
        look: Py<PyAny>,
        first: usize,
        last: usize,
    ) -> PyResult<Solution> {
        let Some(widths) = antichain::BEAMS.get(first..last) else {
            return Err(PyValueError::new_err("no such beams"));
        };
        self.world.host.look = Some(look);
        let Core { problem, world } = self;
        let found = py.detach(|| {
            let found = antichain::search(problem, widths, world)?;
            let order = match &found.steps {
                Some(steps) => Some(witness::linearization(problem, world, steps, &found.ends)?),
                None => None,
            };
            Ok::<_, PyErr>((order, found.dead, found.visited, found.widest))
        })?;
        match found {
            (Some(Err(operation)), ..) => {
                Err(PyValueError::new_err(format!("nothing explains operation {operation}")))
            }
            (Some(Ok(order)), dead, visited, widest) => Ok((Some(order), dead, visited, widest)),
            (None, dead, visited, widest) => Ok((None, dead, visited, widest)),
        }
    }

    /// How many operations there are.
    fn operations(&self) -> usize {
        self.problem.classes.len()
    }

    /// See `Problem::sizes`.
    fn sizes(&self) -> Sizes {
        self.problem.sizes()
    }

    /// The attempts one after the other: (order | None, dead | None, visited, widest) of the first that
    /// decides, None if none does.
    fn solve(
        &mut self,
        py: Python<'_>,
        plan: &Plan,
        look: Py<PyAny>,
    ) -> PyResult<Option<Solution>> {
        self.world.host.look = Some(look);
        let Core { problem, world } = self;
        let solved = py.detach(|| attempts::solve(problem, world, &plan.attempts))?;
        Ok(solved.map(|it| (it.order, it.dead, it.visited, it.widest)))
    }

    /// A return that no legal order passes, if that is seen in polynomial time: see `refute`.
    fn refuted(&mut self, py: Python<'_>, look: Py<PyAny>) -> PyResult<Option<u32>> {
        self.world.host.look = Some(look);
        let Core { problem, world } = self;
        py.detach(|| refute::refuted(problem, world))
    }

    /// The verdict on a queue each of whose elements is put in once: (order | None, dead | None), or
    /// None if that decides nothing. Of each class: what it does, and with which element; see `queues`.
    fn queue(
        &mut self,
        py: Python<'_>,
        what: Vec<u8>,
        element: Vec<u32>,
        in_order: bool,
        look: Py<PyAny>,
    ) -> PyResult<Option<(Option<Vec<u32>>, Option<u32>)>> {
        let roles = what.iter().zip(&element).map(|(what, element)| Role::of(*what, *element));
        let roles: Option<Vec<Role>> = roles.collect();
        let fits = |it: &Vec<Role>| {
            it.len() == self.problem.kinds.len()
                && element.iter().all(|element| (*element as usize) < it.len())
        };
        let Some(roles) = roles.filter(fits) else {
            return Err(PyValueError::new_err("roles and classes do not fit"));
        };
        self.world.host.look = Some(look);
        let Core { problem, world } = self;
        let decided = py.detach(|| queues::decide(problem, &roles, in_order, world))?;
        Ok(decided.map(|it| match it {
            Decided::Order(order) => (Some(order), None),
            Decided::Dead(dead) => (None, Some(dead)),
        }))
    }

    /// Depth first, with a bit for each operation in the cache: as `walk`.
    fn plain(&mut self, py: Python<'_>, look: Py<PyAny>) -> PyResult<Walked> {
        self.world.host.look = Some(look);
        let Core { problem, world } = self;
        let walk = py.detach(|| plain::walk(problem, world))?;
        Ok((walk.order, walk.finished, walk.blocked, walk.steps))
    }

    /// Depth first: (order | None, finished, blocked, steps).
    #[pyo3(signature = (look, patience=None))]
    fn walk(&mut self, py: Python<'_>, look: Py<PyAny>, patience: Option<u64>) -> PyResult<Walked> {
        self.world.host.look = Some(look);
        let Core { problem, world } = self;
        let walk = py.detach(|| wgl::walk(problem, world, patience))?;
        Ok((walk.order, walk.finished, walk.blocked, walk.steps))
    }
}

type Solution = (Option<Vec<u32>>, Option<u32>, u64, usize);
type Walked = (Option<Vec<u32>>, bool, i64, u64);

/// A state's number; -1 is none.
fn state(number: i64) -> PyResult<u32> {
    if number == -1 {
        return Ok(NONE);
    }
    u32::try_from(number).map_err(|_| PyValueError::new_err("a state out of range"))
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("INTERFACE", INTERFACE)?;
    module.add_class::<table::Table>()?;
    module.add_class::<Plan>()?;
    module.add_class::<Core>()
}
