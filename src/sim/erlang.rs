//! What queueing theory says of a line of callers: Erlang C, whose callers never give up, and
//! Erlang A, whose callers do.
//!
//! Both assume one group, calls that come independently of each other at a steady rate (Poisson),
//! exponential handling times, first come, first served, and a day that never ends.
//!
//! Sources: A. K. Erlang, "Solution of some problems in the theory of probabilities of significance
//! in automatic telephone exchanges" (1917); F. Baccelli and G. Hebuterne, "On queues with impatient
//! customers" (1981), whose density of the offered wait is used here; C. Palm (1957) for M/M/n+M.

/// More operators than this are never proposed.
pub const OPERATORS_MAX: u32 = 5_000;

/// Steps of the integral over the wait, for each of its two parts; even, for Simpson's rule. With
/// them the figures of the tests are right to 9 digits.
const STEPS: u32 = 2_000;

/// The wait's density is nothing where it is `e^-50` of its peak.
const NEGLIGIBLE: f64 = 50.0;

/// The work that comes and those who do it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    pub calls_per_hour: f64,
    /// Mean of talk, hold and wrap-up, seconds.
    pub handle_s: f64,
    /// Mean time after which a waiting caller hangs up, seconds; `None`: nobody ever does.
    pub patience_s: Option<f64>,
    pub operators: u32,
}

/// What a model says of a [`Load`]. Shares are of all calls, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Prediction {
    /// Calls that find no free operator.
    pub must_wait: f64,
    /// Answered within the time that was asked for.
    pub answered_in_time: f64,
    pub answered: f64,
    pub abandoned: f64,
    /// Hung up within the same time.
    pub abandoned_in_time: f64,
    /// Mean wait of answered calls, seconds; `None`: it grows without end.
    pub mean_wait_s: Option<f64>,
    /// Share of their time that operators are busy.
    pub occupancy: f64,
}

impl Load {
    /// Traffic in erlangs: the mean number of operators at work if nobody ever waited.
    pub fn erlangs(&self) -> f64 {
        self.calls_per_second() * self.handle_s
    }

    fn calls_per_second(&self) -> f64 {
        self.calls_per_hour / 3_600.0
    }

    /// Erlang C: callers wait for ever. `Pw = (Aⁿ/n!)(n/(n−A)) / (Σ_{k<n} Aᵏ/k! + (Aⁿ/n!)(n/(n−A)))`
    /// and `SL = 1 − Pw·e^{−(n−A)T/AHT}`. With `A ≥ n` the line grows without end and nobody is
    /// answered in time.
    pub fn erlang_c(&self, within_s: f64) -> Prediction {
        let (a, n) = (self.erlangs(), f64::from(self.operators));
        if a <= 0.0 || a >= n {
            return self.without_end();
        }
        let blocked = erlang_b(self.operators, a);
        let must_wait = blocked / (1.0 - (a / n) * (1.0 - blocked));
        let rate = (n - a) / self.handle_s;
        Prediction {
            must_wait,
            answered_in_time: 1.0 - must_wait * (-rate * within_s).exp(),
            answered: 1.0,
            abandoned: 0.0,
            abandoned_in_time: 0.0,
            mean_wait_s: Some(must_wait / rate),
            occupancy: a / n,
        }
    }

    /// No traffic at all, or more than can be done: everybody is answered some day, nobody in time.
    fn without_end(&self) -> Prediction {
        let is_idle = self.erlangs() <= 0.0;
        let share = f64::from(u8::from(is_idle));
        Prediction {
            must_wait: 1.0 - share,
            answered_in_time: share,
            answered: 1.0,
            abandoned: 0.0,
            abandoned_in_time: 0.0,
            mean_wait_s: is_idle.then_some(0.0),
            occupancy: 1.0 - share,
        }
    }

    /// Erlang A (M/M/n+M): each caller has an exponential patience. Without one it is Erlang C.
    ///
    /// A caller who had all patience of the world would wait 0 s with a probability in proportion to
    /// `1/B` (`B`: Erlang B of n − 1 servers), else x with the density
    /// `v(x) = λ·exp((λ/θ)(1 − e^{−θx}) − nμx)`. This one is answered if the own patience, longer
    /// than x with `e^{−θx}`, allows.
    pub fn erlang_a(&self, within_s: f64) -> Prediction {
        let Some(patience_s) = self.patience_s else { return self.erlang_c(within_s) };
        if self.erlangs() <= 0.0 {
            return self.without_end();
        }
        if self.operators == 0 || patience_s <= 0.0 {
            return self.nobody_works(patience_s, within_s);
        }
        let wait = OfferedWait::of(self, patience_s);
        let (early, late) = (wait.between(0.0, within_s), wait.between(within_s, wait.longest_s));
        let at_once = (-wait.peak).exp();
        let scale = erlang_b(self.operators - 1, self.erlangs()) * self.calls_per_second();
        let whole = at_once + scale * (early.all + late.all);
        let patient_until = (-within_s / patience_s).exp();
        let answered_in_time = (at_once + scale * early.answered) / whole;
        let answered = (at_once + scale * (early.answered + late.answered)) / whole;
        let given_up = early.all - early.answered + late.all * (1.0 - patient_until);
        Prediction {
            must_wait: scale * (early.all + late.all) / whole,
            answered_in_time,
            answered,
            abandoned: 1.0 - answered,
            abandoned_in_time: scale * given_up / whole,
            mean_wait_s: Some(scale * (early.waited_s + late.waited_s) / whole / answered),
            occupancy: self.erlangs() * answered / f64::from(self.operators),
        }
    }

    fn nobody_works(&self, patience_s: f64, within_s: f64) -> Prediction {
        let given_up = if patience_s > 0.0 { 1.0 - (-within_s / patience_s).exp() } else { 1.0 };
        Prediction {
            must_wait: 1.0,
            answered_in_time: 0.0,
            answered: 0.0,
            abandoned: 1.0,
            abandoned_in_time: given_up,
            mean_wait_s: None,
            occupancy: 0.0,
        }
    }

    /// The fewest operators with whom a share of all calls, 0 to 1, is answered within a time.
    /// Callers give up as this load says. `None`: more than [`OPERATORS_MAX`].
    pub fn operators_needed(&self, share: f64, within_s: f64) -> Option<u32> {
        let is_enough =
            |operators| Self { operators, ..*self }.erlang_a(within_s).answered_in_time >= share;
        let (mut too_few, mut enough) = (0, OPERATORS_MAX);
        if !is_enough(enough) {
            return None;
        }
        while enough - too_few > 1 {
            let middle = too_few + (enough - too_few) / 2;
            if is_enough(middle) {
                enough = middle;
            } else {
                too_few = middle;
            }
        }
        Some(enough)
    }
}

/// The share of calls that find all servers busy and are turned away. The recursion
/// `B(n) = A·B(n−1) / (n + A·B(n−1))` keeps away from factorials and is good for any `n`.
fn erlang_b(servers: u32, erlangs: f64) -> f64 {
    (1..=servers).fold(1.0, |blocked, n| {
        let carried = erlangs * blocked;
        carried / (f64::from(n) + carried)
    })
}

/// The density of the wait that would be asked of a caller of infinite patience, divided by `e^peak`
/// so that no load is too much for it.
struct OfferedWait {
    arrivals: f64,
    departures: f64,
    patience_s: f64,
    /// Logarithm of the density at its highest point.
    peak: f64,
    /// Before it and behind `longest_s` the density is nothing.
    shortest_s: f64,
    longest_s: f64,
}

/// Integrals over a part of the waits.
struct Part {
    all: f64,
    /// Of those whose patience was longer.
    answered: f64,
    /// The wait of the answered ones, in seconds, summed up.
    waited_s: f64,
}

impl OfferedWait {
    fn of(load: &Load, patience_s: f64) -> Self {
        let arrivals = load.calls_per_second();
        let departures = f64::from(load.operators) / load.handle_s;
        // Where those who are patient for so long come as fast as operators become free.
        let peak_s = patience_s * (arrivals / departures).ln().max(0.0);
        let mut wait = Self {
            arrivals,
            departures,
            patience_s,
            peak: 0.0,
            shortest_s: peak_s,
            longest_s: peak_s,
        };
        wait.peak = wait.logarithm(peak_s);
        let mut step_s = 1.0 / departures;
        while wait.logarithm(wait.longest_s) > -NEGLIGIBLE {
            wait.longest_s = peak_s + step_s;
            step_s *= 2.0;
        }
        let mut step_s = 1.0 / departures;
        while wait.shortest_s > 0.0 && wait.logarithm(wait.shortest_s) > -NEGLIGIBLE {
            wait.shortest_s = (peak_s - step_s).max(0.0);
            step_s *= 2.0;
        }
        wait
    }

    fn logarithm(&self, x: f64) -> f64 {
        let came = self.arrivals * self.patience_s * (1.0 - (-x / self.patience_s).exp());
        came - self.departures * x - self.peak
    }

    /// Simpson's rule over `from..to`, in seconds.
    fn between(&self, from: f64, to: f64) -> Part {
        let (from, to) = (from.max(self.shortest_s), to.min(self.longest_s));
        let mut part = Part { all: 0.0, answered: 0.0, waited_s: 0.0 };
        if to <= from {
            return part;
        }
        let width = (to - from) / f64::from(STEPS);
        for step in 0..=STEPS {
            let weight = match step {
                0 | STEPS => 1.0,
                odd if odd % 2 == 1 => 4.0,
                _ => 2.0,
            };
            let x = from + width * f64::from(step);
            let density = weight * width / 3.0 * self.logarithm(x).exp();
            let answered = density * (-x / self.patience_s).exp();
            part.all += density;
            part.answered += answered;
            part.waited_s += answered * x;
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64, tolerance: f64) {
        assert!((value - expected).abs() <= tolerance, "{value}, expected {expected}");
    }

    fn load(calls_per_hour: f64, handle_s: f64, patience_s: f64, operators: u32) -> Load {
        Load { calls_per_hour, handle_s, patience_s: Some(patience_s), operators }
    }

    /// The same from the probabilities of the states 0, 1, 2… calls in the house, one by one.
    fn abandoned_by_states(load: &Load) -> f64 {
        let (arrivals, n) = (load.calls_per_second(), load.operators);
        let (mut state, mut sum, mut waiting) = (1.0_f64, 1.0, 0.0);
        for calls in 1..200_000 {
            let behind = f64::from(calls) - f64::from(n);
            let serving = f64::from(calls.min(n)) / load.handle_s;
            state *= arrivals / (serving + behind.max(0.0) / load.patience_s.unwrap());
            sum += state;
            waiting += state * behind.max(0.0);
            if sum > 1e200 {
                (state, sum, waiting) = (state / sum, 1.0, waiting / sum);
            }
            if behind > 0.0 && state < sum * 1e-18 {
                break;
            }
        }
        waiting / sum / load.patience_s.unwrap() / arrivals
    }

    #[test]
    fn erlang_c_of_a_textbook_is_met() {
        let load = Load { calls_per_hour: 720.0, handle_s: 240.0, patience_s: None, operators: 55 };
        let said = load.erlang_c(15.0);
        near(said.must_wait, 0.239, 0.000_5);
        near(said.answered_in_time, 0.846, 0.000_5);
        assert_eq!(load.erlang_a(15.0), said);
        near(said.occupancy, 48.0 / 55.0, 1e-12);
    }

    #[test]
    fn erlang_a_counts_those_who_hang_up() {
        for (operators, of_offered, of_answered, abandoned, by_c) in
            [(11, 0.742, 0.819, 0.094, 0.390), (12, 0.826, 0.880, 0.062, 0.640)]
        {
            let load = load(200.0, 180.0, 120.0, operators);
            let said = load.erlang_a(20.0);
            near(said.answered_in_time, of_offered, 0.000_5);
            near(said.answered_in_time / said.answered, of_answered, 0.000_5);
            near(said.abandoned, abandoned, 0.000_5);
            near(load.erlang_c(20.0).answered_in_time, by_c, 0.000_5);
        }
    }

    #[test]
    fn the_integral_and_the_states_agree() {
        for load in [
            load(200.0, 180.0, 120.0, 11),
            load(200.0, 180.0, 120.0, 5),
            load(6_000.0, 240.0, 60.0, 380),
            load(12_000.0, 180.0, 600.0, 500),
            load(10.0, 60.0, 5.0, 1),
        ] {
            let said = load.erlang_a(20.0);
            near(said.abandoned, abandoned_by_states(&load), 1e-7);
            near(said.answered + said.abandoned, 1.0, 1e-9);
            assert!(said.answered_in_time <= said.answered && said.abandoned_in_time >= 0.0);
            assert!(said.abandoned_in_time <= said.abandoned + 1e-9, "{said:?}");
        }
    }

    #[test]
    fn great_and_strange_loads_give_numbers() {
        for operators in [0, 1, 2, 500, OPERATORS_MAX] {
            for calls_per_hour in [0.0, 0.1, 100.0, 9_990.0, 10_000.0, 1e6] {
                for patience_s in [None, Some(0.0), Some(0.5), Some(120.0), Some(86_400.0)] {
                    let load = Load { calls_per_hour, handle_s: 180.0, patience_s, operators };
                    for said in [load.erlang_c(20.0), load.erlang_a(20.0)] {
                        let shares = [said.must_wait, said.answered_in_time, said.occupancy];
                        for share in shares.into_iter().chain([said.answered, said.abandoned]) {
                            assert!((-1e-9..=1.0 + 1e-9).contains(&share), "{load:?} {said:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn very_patient_callers_make_erlang_a_into_c() {
        let load = load(200.0, 180.0, 1e8, 12);
        near(load.erlang_a(20.0).answered_in_time, load.erlang_c(20.0).answered_in_time, 1e-4);
    }

    #[test]
    fn the_fewest_operators_for_a_target_are_found() {
        let load = load(200.0, 180.0, 120.0, 0);
        assert_eq!(load.operators_needed(0.8, 20.0), Some(12));
        let endless = Load { patience_s: None, ..load };
        assert_eq!(endless.operators_needed(0.8, 20.0), Some(14));
        assert_eq!(load.operators_needed(1.1, 20.0), None);
    }
}
