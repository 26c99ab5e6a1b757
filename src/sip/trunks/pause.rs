//! How long to wait before trying again: longer after each failure, and never at the same moment as
//! everybody else (the shape is that of RFC 5626 §4.5).

/// Doubles from `first_ms` to `longest_ms` with the number of failures; a random half of it is left
/// out. `dice` is any number.
pub fn pause_ms(first_ms: u64, longest_ms: u64, failures: u32, dice: u64) -> u64 {
    let factor = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    let upper = first_ms.saturating_mul(factor).min(longest_ms);
    upper - dice % (upper / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_spread_over_half_of_it() {
        assert_eq!(
            [1, 2, 3, 99].map(|n| pause_ms(5_000, 60_000, n, 0)),
            [5_000, 10_000, 20_000, 60_000]
        );
        for dice in [1, 77, u64::MAX] {
            assert!((30_000..=60_000).contains(&pause_ms(5_000, 60_000, 9, dice)));
        }
        assert_eq!(pause_ms(5_000, 60_000, 0, 0), 5_000);
    }
}
