//! Queues each of whose elements is put in once: the counterpart of `harness.check.monitors.queues`,
//! where it is argued. The names are those there; only times are doubled, so that an instant between
//! two events is a whole number.

use crate::problem::{Host, Problem, World, NONE};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

type Time = i64;
const NEVER: Time = Time::MAX;

/// What operations of a class do; elements are small numbers.
#[derive(Clone, Copy)]
pub enum Role {
    Put(u32),
    Take(u32),
    /// A dequeue that found nothing.
    Nothing,
    /// A dequeue without an answer.
    Unanswered,
}

impl Role {
    /// None for what is no role.
    pub fn of(number: u8, element: u32) -> Option<Role> {
        [Role::Put(element), Role::Take(element), Role::Nothing, Role::Unanswered]
            .get(number as usize)
            .copied()
    }
}

/// What a monitor came to: a legal order, or the position of the event that none can pass.
pub enum Decided {
    Order(Vec<u32>),
    Dead(u32),
}

/// One element's way: operations with the times of calls and returns.
#[derive(Clone, Copy)]
struct Element {
    enqueue: u32,
    put_call: Time,
    put_end: Time,
    dequeue: u32,
    take_call: Time,
    take_end: Time,
}

/// The verdict; None if elements are not unique, or if there are gaps and unanswered dequeues.
pub fn decide<H: Host>(
    problem: &Problem,
    roles: &[Role],
    in_order: bool,
    world: &mut World<H>,
) -> Result<Option<Decided>, H::Error> {
    let Some(queue) = Queue::of(problem, roles, in_order) else { return Ok(None) };
    let all = problem.events.len();
    if let Some(order) = queue.order(all) {
        return Ok(queue.keeps_time(&order, all).then_some(Decided::Order(order)));
    }
    // If a prefix has an order, so has each shorter one: halving finds the first that has none.
    let events = problem.events.iter().enumerate();
    let returns: Vec<usize> = events.filter(|(_, event)| *event & 1 != 0).map(|it| it.0).collect();
    let (mut from, mut to) = (0, returns.len());
    while from < to {
        world.tick(all as u32)?;
        let middle = (from + to) / 2;
        match queue.order(returns[middle] + 1) {
            Some(_) => from = middle + 1,
            None => to = middle,
        }
    }
    Ok(returns.get(from).map(|dead| Decided::Dead(*dead as u32)))
}

struct Queue {
    in_order: bool,
    calls: Vec<Time>,
    ends: Vec<Time>,
    /// (element, operation) in order of call.
    enqueues: Vec<(u32, u32)>,
    /// Dequeues of each element in order of call: from `first[element]` on, to that of the next.
    dequeues: Vec<u32>,
    first: Vec<u32>,
    empty: Vec<u32>,
    unanswered: Vec<u32>,
}

impl Queue {
    fn of(problem: &Problem, roles: &[Role], in_order: bool) -> Option<Queue> {
        let operations = problem.classes.len();
        let role = |operation: u32| roles[problem.classes[operation as usize] as usize];
        let (mut calls, mut ends) = (vec![0; operations], vec![NEVER; operations]);
        let mut by_call = Vec::with_capacity(operations);
        for (position, event) in problem.events.iter().enumerate() {
            let (operation, time) = (event >> 1, 2 * position as Time);
            if event & 1 != 0 {
                ends[operation as usize] = time;
            } else {
                calls[operation as usize] = time;
                by_call.push(operation);
            }
        }
        let elements = roles.iter().filter_map(|role| match role {
            Role::Put(element) | Role::Take(element) => Some(*element as usize + 1),
            _ => None,
        });
        let elements = elements.max().unwrap_or(0);
        let mut put = vec![false; elements];
        let mut first = vec![0u32; elements + 1];
        let (mut enqueues, mut empty, mut unanswered) = (Vec::new(), Vec::new(), Vec::new());
        for &operation in &by_call {
            match role(operation) {
                Role::Put(element) => {
                    if std::mem::replace(&mut put[element as usize], true) {
                        return None;
                    }
                    enqueues.push((element, operation));
                }
                Role::Take(element) => first[element as usize + 1] += 1,
                Role::Nothing => empty.push(operation),
                Role::Unanswered => unanswered.push(operation),
            }
        }
        if !empty.is_empty() && !unanswered.is_empty() {
            return None;
        }
        for element in 0..elements {
            first[element + 1] += first[element];
        }
        let mut dequeues = vec![NONE; first[elements] as usize];
        let mut place = first.clone();
        for &operation in &by_call {
            if let Role::Take(element) = role(operation) {
                let place = &mut place[element as usize];
                dequeues[*place as usize] = operation;
                *place += 1;
            }
        }
        // What nobody put in is, to whoever took it, an element without an enqueue.
        for (element, there) in put.iter().enumerate() {
            if !there && first[element] < first[element + 1] {
                enqueues.push((element as u32, NONE));
            }
        }
        Some(Queue { in_order, calls, ends, enqueues, dequeues, first, empty, unanswered })
    }

    fn call(&self, operation: u32) -> Time {
        self.calls[operation as usize]
    }

    /// Where an operation returns; NEVER if not before `last`.
    fn end(&self, operation: u32, last: Time) -> Time {
        match self.ends[operation as usize] {
            end if end < last => end,
            _ => NEVER,
        }
    }

    /// A legal order of what was called before an event, or None if there is none.
    fn order(&self, position: usize) -> Option<Vec<u32>> {
        let last = 2 * position as Time;
        let mut elements = self.elements(last)?;
        let instants = self.instants(&elements, last)?;
        let mut gaps: Vec<Time> = instants.iter().map(|it| it.0).collect();
        gaps.sort_unstable();
        gaps.dedup();
        if self.in_order {
            self.take_away(&mut elements, last);
            elements = line(&elements, &gaps)?;
        }
        Some(self.scheduled(&elements, &instants, &gaps))
    }

    /// What was put in, or must have been; None if something came out wrongly.
    fn elements(&self, last: Time) -> Option<Vec<Element>> {
        let mut found = Vec::with_capacity(self.enqueues.len());
        for &(element, put) in &self.enqueues {
            let place = element as usize;
            let takers = &self.dequeues[self.first[place] as usize..self.first[place + 1] as usize];
            if put == NONE || self.call(put) >= last {
                if takers.iter().any(|taker| self.end(*taker, last) < NEVER) {
                    return None;
                }
                continue;
            }
            let (put_call, put_end) = (self.call(put), self.end(put, last));
            let mut element = Element {
                enqueue: put,
                put_call,
                put_end,
                dequeue: NONE,
                take_call: NEVER,
                take_end: NEVER,
            };
            for &taker in takers.iter().filter(|taker| self.call(**taker) < last) {
                let end = self.end(taker, last);
                // One that has not returned may wait for ever: the one that has took the element.
                if end < NEVER && element.take_end < NEVER {
                    return None;
                }
                if element.dequeue == NONE || end < element.take_end {
                    element.dequeue = taker;
                    element.take_call = self.call(taker);
                    element.take_end = end;
                }
            }
            if element.take_end < put_call {
                return None;
            }
            if element.put_end.min(element.take_end) < NEVER {
                found.push(element);
            }
        }
        Some(found)
    }

    /// For each dequeue that found nothing an instant without certain elements.
    fn instants(&self, elements: &[Element], last: Time) -> Option<Vec<(Time, u32)>> {
        let returned = |operation: &u32| self.end(*operation, last) < NEVER;
        let wanted: Vec<u32> = self.empty.iter().copied().filter(returned).collect();
        if wanted.is_empty() {
            return Some(Vec::new());
        }
        let certain = elements.iter().filter(|it| it.put_end < it.take_call);
        let mut certain: Vec<(Time, Time)> = certain.map(|it| (it.put_end, it.take_call)).collect();
        certain.sort_unstable();
        let mut spans: Vec<(Time, Time)> = Vec::new();
        for (begin, end) in certain {
            match spans.last_mut() {
                Some(span) if begin < span.1 => span.1 = span.1.max(end),
                _ => spans.push((begin, end)),
            }
        }
        let mut instants = Vec::with_capacity(wanted.len());
        for operation in wanted {
            let mut instant = self.call(operation) + 1;
            let after = spans.partition_point(|span| span.0 < instant);
            if let Some(span) = after.checked_sub(1).map(|place| spans[place]) {
                if instant < span.1 {
                    instant = span.1.saturating_add(1);
                }
            }
            if instant > self.end(operation, last) {
                return None;
            }
            instants.push((instant, operation));
        }
        Some(instants)
    }

    /// Gives unanswered dequeues what must have been taken away.
    fn take_away(&self, elements: &mut [Element], last: Time) {
        let taken = elements.iter().filter(|it| it.take_end < NEVER);
        let mut taken: Vec<(Time, Time)> = taken.map(|it| (it.put_call, it.take_end)).collect();
        taken.sort_by_key(|it| it.0);
        // The first return of a dequeue, of all elements from a place on.
        let mut soonest = vec![NEVER; taken.len() + 1];
        for place in (0..taken.len()).rev() {
            soonest[place] = soonest[place + 1].min(taken[place].1);
        }
        let mut urgent: Vec<(Time, usize)> = Vec::new();
        for (number, element) in elements.iter().enumerate() {
            if element.dequeue == NONE {
                let until = soonest[taken.partition_point(|it| it.0 <= element.put_end)];
                if until < NEVER {
                    urgent.push((until, number));
                }
            }
        }
        urgent.sort_unstable();
        let free = self.unanswered.iter().filter(|operation| self.call(**operation) < last);
        for (&(_, number), &operation) in urgent.iter().zip(free) {
            elements[number].dequeue = operation;
            elements[number].take_call = self.call(operation);
        }
    }

    /// All operations, each as early as it can be.
    fn scheduled(&self, elements: &[Element], instants: &[(Time, u32)], gaps: &[Time]) -> Vec<u32> {
        let mut points: Vec<(Time, i64, u32)> =
            instants.iter().map(|it| (it.0, -1, it.1)).collect();
        points.reserve(2 * elements.len());
        let (mut put, mut take, mut gap) = (-1, -1, -1);
        for (number, element) in elements.iter().enumerate() {
            if !self.in_order {
                (put, take, gap) = (-1, -1, -1);
            }
            let latest = element.put_call.max(element.take_call);
            let before = gaps.partition_point(|gap| *gap < latest);
            gap = gap.max(before.checked_sub(1).map_or(-1, |place| gaps[place]));
            put = put.max(gap).max(element.put_call);
            take = take.max(put).max(element.take_call);
            points.push((put, 2 * number as i64, element.enqueue));
            if take < NEVER {
                points.push((take, 2 * number as i64 + 1, element.dequeue));
            }
        }
        points.sort_unstable();
        points.into_iter().map(|(_, _, operation)| operation).collect()
    }

    /// Whether no operation comes after one that was called when it had returned: by P, Q, S and R
    /// it does. If it did not, the searches would have to say what is true.
    fn keeps_time(&self, order: &[u32], position: usize) -> bool {
        let (mut latest, last) = (-1, 2 * position as Time);
        order.iter().all(|&operation| {
            let in_time = self.end(operation, last) >= latest;
            latest = latest.max(self.call(operation));
            in_time
        })
    }
}

/// The elements in an order that P, Q, S and R allow; None if there is none.
fn line(elements: &[Element], gaps: &[Time]) -> Option<Vec<Element>> {
    let beyond = |end: Time| gaps.get(gaps.partition_point(|gap| *gap < end)).copied();
    let places = || elements.iter().enumerate();
    let first = places().map(|(place, it)| Reverse((it.put_end.min(it.take_end), place)));
    let second = places()
        .map(|(place, it)| Reverse((it.take_end.min(beyond(it.put_end).unwrap_or(NEVER)), place)));
    let (mut first, mut second): (BinaryHeap<_>, BinaryHeap<_>) =
        (first.collect(), second.collect());
    let mut by_put: Vec<usize> = (0..elements.len()).collect();
    let mut by_take = by_put.clone();
    by_put.sort_by_key(|place| elements[*place].put_call);
    by_take.sort_by_key(|place| elements[*place].take_call);
    let mut passed = vec![0u8; elements.len()];
    let mut done = vec![false; elements.len()];
    let mut ready: Vec<usize> = Vec::new();
    let mut ordered = Vec::with_capacity(elements.len());
    let (mut puts, mut takes) = (0, 0);
    let least = |heap: &mut BinaryHeap<Reverse<(Time, usize)>>, done: &[bool]| loop {
        match heap.peek() {
            Some(Reverse((_, place))) if done[*place] => drop(heap.pop()),
            Some(Reverse((time, _))) => return *time,
            None => return NEVER,
        }
    };
    while ordered.len() < elements.len() {
        let (a, b) = (least(&mut first, &done), least(&mut second, &done));
        while puts < by_put.len() && elements[by_put[puts]].put_call < a {
            passed[by_put[puts]] += 1;
            if passed[by_put[puts]] == 2 {
                ready.push(by_put[puts]);
            }
            puts += 1;
        }
        // An element that stays is called away at NEVER: nothing must precede that but what returns.
        while takes < by_take.len() && elements[by_take[takes]].take_call <= b {
            passed[by_take[takes]] += 1;
            if passed[by_take[takes]] == 2 {
                ready.push(by_take[takes]);
            }
            takes += 1;
        }
        let place = ready.pop()?;
        done[place] = true;
        ordered.push(elements[place]);
    }
    Some(ordered)
}
