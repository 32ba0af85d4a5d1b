//! Masks of any width: one bit for each open operation, or packed counts.

/// Words of a fixed or a dynamic number; both sides of an operation have the same.
pub trait Mask: Clone + Send {
    fn zero(words: usize) -> Self;
    fn words(&self) -> &[u64];
    fn words_mut(&mut self) -> &mut [u64];

    #[inline(always)]
    fn has(&self, bit: u32) -> bool {
        self.words()[(bit >> 6) as usize] >> (bit & 63) & 1 != 0
    }

    #[inline(always)]
    fn set(&mut self, bit: u32) {
        self.words_mut()[(bit >> 6) as usize] |= 1 << (bit & 63);
    }

    #[inline(always)]
    fn unset(&mut self, bit: u32) {
        self.words_mut()[(bit >> 6) as usize] &= !(1 << (bit & 63));
    }

    #[inline(always)]
    fn is_zero(&self) -> bool {
        self.words().iter().all(|word| *word == 0)
    }

    /// `self |= other`
    #[inline(always)]
    fn join(&mut self, other: &Self) {
        for (word, other) in self.words_mut().iter_mut().zip(other.words()) {
            *word |= other;
        }
    }

    /// `self & !other`
    #[inline(always)]
    fn without(&self, other: &Self) -> Self {
        let mut result = self.clone();
        for (word, other) in result.words_mut().iter_mut().zip(other.words()) {
            *word &= !other;
        }
        result
    }

    /// `self & !other != 0`
    #[inline(always)]
    fn exceeds(&self, other: &Self) -> bool {
        let pairs = self.words().iter().zip(other.words());
        pairs.fold(0, |rest, (word, other)| rest | word & !other) != 0
    }
}

impl<const N: usize> Mask for [u64; N] {
    #[inline(always)]
    fn zero(words: usize) -> Self {
        debug_assert!(words <= N);
        [0; N]
    }

    #[inline(always)]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline(always)]
    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}

impl Mask for Box<[u64]> {
    fn zero(words: usize) -> Self {
        vec![0; words].into_boxed_slice()
    }

    fn words(&self) -> &[u64] {
        self
    }

    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}
