//! A random number generator whose numbers can be repeated with the environment variable `SEED`.

/// The `SplitMix64` generator.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// Takes the seed from the environment or at random, and prints it.
    pub fn new() -> Self {
        let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| getrandom::u64().unwrap() >> 32);
        println!("SEED={seed}");
        Self(seed)
    }

    /// A second generator, seeded from this one.
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `most`.
    pub fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    /// A random item, or none if there are none.
    pub fn one_of<T>(&mut self, mut all: impl ExactSizeIterator<Item = T>) -> Option<T> {
        let n = all.len();
        (n > 0).then(|| all.nth(self.below(n)).unwrap())
    }
}
