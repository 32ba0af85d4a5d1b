//! The steps that led to each configuration, for the witness.

use crate::problem::NONE;

/// One step: taken just before the event at `position`; the state after it.
#[derive(Clone, Copy)]
pub struct Step {
    pub earlier: u32,
    pub position: u32,
    /// The operation, or the complement of the class of an unanswered one.
    pub what: i32,
    pub after: u32,
}

/// Trails share their beginnings; each is named by its last step. An earlier step has a smaller
/// number.
pub struct Trails {
    steps: Vec<Step>,
    limit: usize,
}

const AT_LEAST: usize = 1 << 16;
const AT_FIRST: usize = 128;

impl Trails {
    pub fn new() -> Self {
        Trails { steps: Vec::with_capacity(AT_FIRST), limit: AT_LEAST }
    }

    #[inline(always)]
    pub fn push(&mut self, earlier: u32, position: u32, what: i32, after: u32) -> u32 {
        self.steps.push(Step { earlier, position, what, after });
        self.steps.len() as u32 - 1
    }

    /// For a new search.
    pub fn clear(&mut self) {
        self.steps.clear();
        self.limit = AT_LEAST;
    }

    /// Steps there is room for.
    pub fn room(&self) -> usize {
        self.steps.capacity()
    }

    /// Whether it is time to collect: twice as many as were alive at the last time.
    pub fn is_long(&self) -> bool {
        self.steps.len() > self.limit
    }

    /// Drops all steps that no trail of these needs, and renames the trails.
    pub fn collect<'a>(&mut self, trails: impl Iterator<Item = &'a mut u32>) {
        let trails: Vec<&mut u32> = trails.collect();
        // 0: not needed; then the step's new number plus one.
        let mut renamed = vec![0u32; self.steps.len()];
        for trail in &trails {
            let mut step = **trail;
            while step != NONE && renamed[step as usize] == 0 {
                renamed[step as usize] = 1;
                step = self.steps[step as usize].earlier;
            }
        }
        let mut count = 0;
        for place in 0..self.steps.len() {
            if renamed[place] != 0 {
                let mut step = self.steps[place];
                if step.earlier != NONE {
                    step.earlier = renamed[step.earlier as usize] - 1;
                }
                self.steps[count as usize] = step;
                count += 1;
                renamed[place] = count;
            }
        }
        self.steps.truncate(count as usize);
        self.limit = (2 * count as usize).max(AT_LEAST);
        for trail in trails {
            if *trail != NONE {
                *trail = renamed[*trail as usize] - 1;
            }
        }
    }

    /// A trail, first step first.
    pub fn unroll(&self, mut trail: u32) -> Vec<Step> {
        let mut steps = Vec::new();
        while trail != NONE {
            steps.push(self.steps[trail as usize]);
            trail = self.steps[trail as usize].earlier;
        }
        steps.reverse();
        steps
    }
}
