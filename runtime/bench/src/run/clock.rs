//! The clock that runs are timed by. It is the caller's, so that all that hangs on it can be tested to the nanosecond.

use std::thread;
use std::time::{Duration, Instant};

/// The system's sleep ends late by some tens of microseconds: what is left of a sleep at this many nanoseconds before its end is
/// spent spinning.
const SPIN: u64 = 200_000;

/// Tells the time, and waits.
pub trait Clock: Sync {
    /// Nanoseconds since any fixed moment; never less than before.
    fn now(&self) -> u64;

    /// Returns at `time`, or at once if it has passed.
    fn sleep_until(&self, time: u64);
}

/// The system's monotonic clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> u64 {
        // 584 years fit
        self.0.elapsed().as_nanos() as u64
    }

    fn sleep_until(&self, time: u64) {
        if let Some(left) = time
            .saturating_sub(SPIN)
            .checked_sub(self.now())
            .filter(|left| *left > 0)
        {
            thread::sleep(Duration::from_nanos(left));
        }
        while self.now() < time {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that stands still but for what is spent on it.
    #[derive(Debug, Default)]
    pub(crate) struct Spent(AtomicU64);

    impl Spent {
        pub(crate) fn spend(&self, nanoseconds: u64) {
            self.0.fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }

    impl Clock for Spent {
        fn now(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        fn sleep_until(&self, time: u64) {
            self.0.fetch_max(time, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_sleep_does_not_end_early_and_a_past_moment_is_not_waited_for() {
        let clock = SystemClock::start();
        for sleep in [0, 50_000, 2_000_000] {
            let end = clock.now() + sleep;
            clock.sleep_until(end);
            assert!(clock.now() >= end);
        }
        let clock = Spent::default();
        clock.sleep_until(50);
        clock.sleep_until(20);
        clock.spend(7);
        assert_eq!(clock.now(), 57);
    }
}
