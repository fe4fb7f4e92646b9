//! How fast a processor counts: tells that a clock moved also where no frequency is told, or not the true one.

use std::hint::black_box;
use std::time::Instant;

/// Steps of one try: 0.2 to 1 ms, shorter than the time that a scheduler leaves a thread.
const STEPS: u32 = 200_000;
/// Tries, of which the fastest counts: the one that nothing interrupted.
const TRIES: usize = 40;

/// Millions of steps a second of a chain of multiplications, each of which waits for the one before: a fixed number of
/// clock cycles each, whatever else the processor could do meanwhile. Takes 10 to 50 ms.
pub(super) fn rate() -> f64 {
    let fastest = (0..TRIES).map(|_| seconds_of_one_try()).fold(f64::INFINITY, f64::min);
    f64::from(STEPS) / fastest / 1e6
}

fn seconds_of_one_try() -> f64 {
    let start = Instant::now();
    // The seed is hidden from the compiler, and the shift keeps it from doing several steps at once.
    let end = (0..STEPS).fold(black_box(1u64), |value, _| {
        (value ^ value >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    black_box(end);
    start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4 to 60 cycles a step in builds with and without optimisation, at 0.2 to 7 GHz.
    #[test]
    fn the_rate_is_one_of_a_processor() {
        let rate = rate();
        assert!((1.0..2000.0).contains(&rate), "{rate}");
    }
}
