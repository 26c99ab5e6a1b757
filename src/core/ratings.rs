//! What customers thought, in figures: mean, share of the content, and how sure both are.

use serde::Serialize;

use crate::dialplan::plan::Loyalty;
use crate::domain::PromiseState;

/// The 97.5 % quantile of the normal distribution: a two-sided interval of 95 %.
const Z: f64 = 1.959_964;

/// Scores from 1 to 5, counted. Counts of parts add up to those of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scores {
    /// How many gave a 1, a 2, … a 5.
    counts: [u64; 5],
}

/// Where a figure lies with 95 % certainty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Scores {
    /// A score outside 1 to 5 is none.
    pub fn add(&mut self, score: u8) {
        let count = score.checked_sub(1).and_then(|index| self.counts.get_mut(usize::from(index)));
        if let Some(count) = count {
            *count += 1;
        }
    }

    /// How many scores there are.
    pub fn n(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many gave a 4 or a 5.
    pub fn content(&self) -> u64 {
        self.counts[3] + self.counts[4]
    }

    /// `None`: there is no score.
    pub fn mean(&self) -> Option<f64> {
        let sum: u64 = (1..).zip(self.counts).map(|(score, count)| score * count).sum();
        share(sum, self.n())
    }

    /// Student's t interval of the mean: mean ± t(n − 1) · s / √n, with the sample's standard
    /// deviation s, and nothing outside 1 to 5. `None`: fewer than two scores.
    pub fn mean_interval(&self) -> Option<Interval> {
        let (n, mean) = (self.n(), self.mean()?);
        let freedom = n.checked_sub(2)? + 1;
        let squares = (1..).zip(self.counts).map(|(score, count): (u8, u64)| {
            let distance = f64::from(score) - mean;
            distance * distance * float(count)
        });
        let deviation = (squares.sum::<f64>() / float(freedom)).sqrt();
        let half = student(freedom) * deviation / float(n).sqrt();
        Some(Interval { low: (mean - half).max(1.0), high: (mean + half).min(5.0) })
    }

    /// The share of 4 and 5, from 0 to 1.
    pub fn content_share(&self) -> Option<f64> {
        share(self.content(), self.n())
    }

    /// The loyalty index, from 0 to 100. `None`: there is no score.
    pub fn loyalty(&self, formula: Loyalty) -> Option<f64> {
        match formula {
            Loyalty::ShareOf4And5 => self.content_share().map(|share| share * 100.0),
            Loyalty::MeanOf100 => self.mean().map(|mean| (mean - 1.0) / 4.0 * 100.0),
        }
    }
}

/// Wilson's score interval of a share, which also holds for few cases and for shares near 0 and 1
/// (E. B. Wilson 1927, JASA 22, 209–212). `None`: no case.
pub fn wilson(count: u64, of: u64) -> Option<Interval> {
    let (p, n) = (share(count, of)?, float(of));
    let spread = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / spread;
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / spread;
    Some(Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) })
}

/// `None` of nothing.
pub fn share(count: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| float(count) / float(of))
}

/// Whether the robot asked: the survey is over, and the customer was called at least once. Who was
/// never called can't have answered.
pub fn was_asked(state: PromiseState, attempts: u32) -> bool {
    state.is_over() && attempts > 0
}

/// The 97.5 % quantile of Student's t distribution; above 30 degrees of freedom by the first terms
/// of its expansion (Abramowitz and Stegun 26.7.5), exact to three digits.
fn student(freedom: u64) -> f64 {
    const TO_30: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    let index = usize::try_from(freedom).unwrap_or(usize::MAX).saturating_sub(1);
    TO_30.get(index).copied().unwrap_or_else(|| {
        let v = float(freedom);
        let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / (96.0 * v * v);
        Z + (Z.powi(3) + Z) / (4.0 * v) + second
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(all: &[u8]) -> Scores {
        let mut scores = Scores::default();
        all.iter().for_each(|&score| scores.add(score));
        scores
    }

    fn near(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 0.001
    }

    #[test]
    fn mean_and_its_interval_are_those_of_a_textbook() {
        let scores = scores(&[5, 4, 4, 3, 5, 1, 5, 4, 0, 6]);
        assert_eq!((scores.n(), scores.content()), (8, 6), "0 and 6 are no scores");
        assert!(near(scores.mean().unwrap(), 3.875));
        // s = 1.3562, t(7) = 2.365
        let interval = scores.mean_interval().unwrap();
        assert!(near(interval.low, 2.741) && near(interval.high, 5.0), "{interval:?}");
    }

    #[test]
    fn the_index_runs_from_0_to_100_by_both_formulas() {
        let some = scores(&[5, 4, 4, 2]);
        assert!(near(some.loyalty(Loyalty::ShareOf4And5).unwrap(), 75.0));
        assert!(near(some.loyalty(Loyalty::MeanOf100).unwrap(), 68.75), "mean 3.75");
        for formula in Loyalty::ALL {
            assert_eq!(scores(&[]).loyalty(formula), None);
            assert!(near(scores(&[1]).loyalty(formula).unwrap(), 0.0));
            assert!(near(scores(&[5, 5]).loyalty(formula).unwrap(), 100.0));
        }
    }

    #[test]
    fn a_month_is_all_its_ratings_and_not_a_mean_of_its_days() {
        let (quiet, busy) = (scores(&[1]), scores(&[5, 5, 5, 5, 4, 4, 4, 4, 3]));
        let mut month = Scores::default();
        [1, 5, 5, 5, 5, 4, 4, 4, 4, 3].into_iter().for_each(|score| month.add(score));
        let index = |scores: &Scores| scores.loyalty(Loyalty::ShareOf4And5).unwrap();
        assert!(near(index(&month), 80.0));
        assert!(f64::midpoint(index(&quiet), index(&busy)) < 45.0);
    }

    #[test]
    fn nothing_is_made_of_too_few() {
        assert_eq!((scores(&[]).mean(), scores(&[]).content_share()), (None, None));
        assert_eq!(scores(&[4]).mean_interval(), None);
        let same = scores(&[4, 4]).mean_interval().unwrap();
        assert!(near(same.low, 4.0) && near(same.high, 4.0));
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn shares_of_few_are_wide_and_never_beyond_the_possible() {
        let all = wilson(10, 10).unwrap();
        assert!(near(all.low, 0.7225) && near(all.high, 1.0), "{all:?}");
        let none = wilson(0, 10).unwrap();
        assert!(near(none.low, 0.0) && near(none.high, 0.2775), "{none:?}");
        let many = wilson(80, 100).unwrap();
        assert!(near(many.low, 0.7112) && near(many.high, 0.8666), "{many:?}");
    }

    #[test]
    fn quantiles_go_on_smoothly_where_the_table_ends() {
        for (freedom, expected) in [(1, 12.706), (30, 2.042), (31, 2.0395), (60, 2.000)] {
            assert!(near(student(freedom), expected), "{freedom}: {}", student(freedom));
        }
        assert!(near(student(1_000_000), Z));
    }
}
