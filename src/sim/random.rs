//! Chance that can be repeated: the same seed, the same day.
//!
//! The generator is xoshiro256** of David Blackman and Sebastiano Vigna, filled from the seed by
//! Vigna's splitmix64, as both authors advise (<https://prng.di.unimi.it>, public domain). It is
//! written here because a day that was rehearsed must come out the same after any update.

/// A stream of numbers that look random. Each question of a rehearsal (when do calls come, how long
/// do they take) has a stream of its own, so that another answer to one leaves the others alone.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of this number for this seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut filler = seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
        Self { state: std::array::from_fn(|_| split_mix(&mut filler)) }
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// Above 0, at most 1.
    pub fn share(&mut self) -> f64 {
        // 53 bits are what a double holds.
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// True in `percent` of 100 cases.
    pub fn happens(&mut self, percent: u8) -> bool {
        self.share() * 100.0 <= f64::from(percent)
    }

    /// Exponential, by inversion.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.share().ln()
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller, 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.share().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }

    /// Log-normal, by its own mean and deviation, not those of the logarithm.
    pub fn log_normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let variance = (deviation / mean).powi(2).ln_1p();
        mean * (variance.sqrt() * self.normal() - variance / 2.0).exp()
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_give_the_numbers_of_their_authors() {
        let mut state = 1_234_567;
        let given: Vec<u64> = (0..3).map(|_| split_mix(&mut state)).collect();
        let authors =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(given, authors);
        let mut random = Random { state: [1, 2, 3, 4] };
        let given: Vec<u64> = (0..4).map(|_| random.next()).collect();
        assert_eq!(given, [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240]);
    }

    #[test]
    fn means_and_deviations_are_what_was_asked_for() {
        let mut random = Random::new(1, 0);
        let mut sample = |draw: &mut dyn FnMut(&mut Random) -> f64| {
            let drawn: Vec<f64> = (0..100_000).map(|_| draw(&mut random)).collect();
            let mean = drawn.iter().sum::<f64>() / 1e5;
            let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
            assert!(drawn.iter().all(|x| *x >= 0.0));
            (mean, variance.sqrt())
        };
        let (mean, deviation) = sample(&mut |random| random.exponential(180.0));
        assert!((mean - 180.0).abs() < 2.5 && (deviation - 180.0).abs() < 4.0);
        let (mean, deviation) = sample(&mut |random| random.log_normal(180.0, 90.0));
        assert!((mean - 180.0).abs() < 1.5 && (deviation - 90.0).abs() < 3.0);
        let (mean, _) = sample(&mut |random| f64::from(u8::from(random.happens(5))));
        assert!((mean - 0.05).abs() < 0.005);
    }

    #[test]
    fn streams_of_one_seed_differ_and_come_again() {
        let mut streams: Vec<u64> = (0..8).map(|stream| Random::new(7, stream).next()).collect();
        assert_eq!(streams, (0..8).map(|s| Random::new(7, s).next()).collect::<Vec<_>>());
        streams.sort_unstable();
        streams.dedup();
        assert_eq!(streams.len(), 8);
    }
}
