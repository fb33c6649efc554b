//! Random numbers that a seed repeats.

/// Dice whose throws follow from a seed (`SplitMix64`).
pub(crate) struct Dice(u64);

impl Dice {
    /// Seeded by `VEN_SEED`, or anew each time; the seed is printed, so that a failure can be repeated.
    #[expect(clippy::disallowed_methods, reason = "a test asks who started it")]
    pub(crate) fn seeded() -> Self {
        let told = std::env::var("VEN_SEED").ok().and_then(|text| text.parse().ok());
        let seed = told.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            u64::from(now.subsec_nanos())
        });
        eprintln!("VEN_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, and not including, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// One of these.
    pub(crate) fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        let at = self.below(all.len() as u64);
        all[usize::try_from(at).unwrap()].clone()
    }

    /// One octet.
    pub(crate) fn octet(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A place in something of that length; 0 where it is empty.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length.max(1) as u64)).unwrap()
    }

    /// Whether one of so many throws hits.
    pub(crate) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// Fuzzes: `round` after `round` with dice of their own, for `VEN_FUZZ_SECONDS`, or for 5 s.
///
/// The seed of a round is printed where it fails, so that `VEN_SEED` repeats that round first.
#[expect(clippy::disallowed_methods, reason = "a fuzzer stops by the clock, and a test asks who started it")]
pub(crate) fn fuzz(mut round: impl FnMut(&mut Dice)) {
    let told = std::env::var("VEN_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let (from, long) = (std::time::Instant::now(), std::time::Duration::from_secs(told.unwrap_or(5)));
    let Dice(first) = Dice::seeded();
    let mut rounds = 0_u64;
    while rounds == 0 || from.elapsed() < long {
        let seed = first.wrapping_add(rounds);
        let shown = ShowSeed(seed);
        round(&mut Dice(seed));
        std::mem::forget(shown);
        rounds += 1;
    }
    eprintln!("{rounds} rounds");
}

/// Prints the seed of a round when that panics.
struct ShowSeed(u64);

impl Drop for ShowSeed {
    fn drop(&mut self) {
        eprintln!("repeat this round with VEN_SEED={}", self.0);
    }
}
