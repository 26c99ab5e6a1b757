//! How much of what was heard is a tone.

/// 0 to 1.
pub fn purity(samples: &[i16], hz: u32) -> f64 {
    let turn = std::f64::consts::TAU * f64::from(hz) / 8_000.0;
    let (mut sine, mut cosine, mut energy) = (0.0, 0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let (value, angle) = (f64::from(sample), turn * n as f64);
        sine += value * angle.sin();
        cosine += value * angle.cos();
        energy += value * value;
    }
    (sine * sine + cosine * cosine) * 2.0 / samples.len().max(1) as f64 / energy.max(1.0)
}
