//! When images arrive.

use super::report::Scenario;

/// How images arrive at a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrivals {
    /// Each when the one before is done.
    BackToBack,
    /// By the clock, whether the one before is done or not.
    Scheduled {
        /// Images a second; positive.
        rate: f64,
        /// Images that arrive together; 1 or more.
        burst: usize,
    },
}

impl Arrivals {
    /// The scenario's name.
    pub fn scenario(&self) -> Scenario {
        match self {
            Self::BackToBack => Scenario::BackToBack,
            Self::Scheduled { burst: 1, .. } => Scenario::OpenLoop,
            Self::Scheduled { .. } => Scenario::Bursts,
        }
    }

    /// Images a second at each stream; `None` back to back.
    pub(super) fn rate(&self) -> Option<f64> {
        match *self {
            Self::BackToBack => None,
            Self::Scheduled { rate, .. } => Some(rate),
        }
    }

    /// Images that arrive together.
    pub(super) fn burst(&self) -> usize {
        match *self {
            Self::BackToBack => 1,
            Self::Scheduled { burst, .. } => burst.max(1),
        }
    }

    /// When the image at `index` arrives, in nanoseconds since the first; `None` for when the one before is done. Each is
    /// counted from the first, so that no rounding adds up.
    pub(super) fn due(&self, index: usize) -> Option<u64> {
        match *self {
            Self::BackToBack => None,
            Self::Scheduled { rate, .. } => {
                let burst = self.burst();
                let before = (index / burst) * burst;
                Some((before as f64 * 1e9 / rate).round() as u64)
            }
        }
    }

    /// Whether `count` images are whole bursts.
    pub(super) fn is_whole(&self, count: usize) -> bool {
        count.is_multiple_of(self.burst())
    }

    /// The images of the whole bursts that hold `count` images.
    pub(super) fn whole(&self, count: usize) -> usize {
        count.checked_next_multiple_of(self.burst()).unwrap_or(count)
    }

    /// Images that arrive in `seconds` at most, where each takes `nanoseconds`.
    pub(super) fn expected_in(&self, seconds: f64, nanoseconds: u64) -> f64 {
        match *self {
            Self::BackToBack => seconds * 1e9 / nanoseconds.max(1) as f64,
            Self::Scheduled { rate, burst } => seconds * rate + burst as f64,
        }
    }

    /// Seconds that `count` images take, where each takes `nanoseconds`: at least as long as they take to arrive.
    pub(super) fn seconds_of(&self, count: usize, nanoseconds: u64) -> f64 {
        let apart = self.rate().map_or(0.0, |rate| 1.0 / rate);
        count as f64 * apart.max(nanoseconds as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_arrive_by_the_clock_alone_or_together() {
        let due = |rate, burst, index| Arrivals::Scheduled { rate, burst }.due(index).unwrap();
        assert_eq!(
            [0, 1, 2, 3].map(|index| due(3.0, 1, index)),
            [0, 333_333_333, 666_666_667, 1_000_000_000]
        );
        // ten images a second, five together: two bursts a second
        assert_eq!(
            [0, 4, 5, 9, 10].map(|index| due(10.0, 5, index)),
            [0, 0, 500_000_000, 500_000_000, 1_000_000_000]
        );
        // a day at 30 images a second, to the nanosecond
        assert_eq!(due(30.0, 1, 30 * 86_400), 86_400_000_000_000);
        assert_eq!(Arrivals::BackToBack.due(7), None);
    }

    #[test]
    fn scenarios_have_names() {
        let scenario = |burst| Arrivals::Scheduled { rate: 1.0, burst }.scenario();
        assert_eq!((scenario(1), scenario(2)), (Scenario::OpenLoop, Scenario::Bursts));
        assert_eq!(Arrivals::BackToBack.scenario(), Scenario::BackToBack);
        for scenario in [Scenario::BackToBack, Scenario::OpenLoop, Scenario::Bursts] {
            assert_eq!(serde_json::to_value(scenario).unwrap(), scenario.name());
        }
        assert!(Arrivals::Scheduled { rate: 1.0, burst: 4 }.is_whole(8));
        assert!(!Arrivals::Scheduled { rate: 1.0, burst: 4 }.is_whole(9));
        let whole = |count| Arrivals::Scheduled { rate: 1.0, burst: 4 }.whole(count);
        assert_eq!([0, 1, 8, 9].map(whole), [0, 4, 8, 12]);
        assert_eq!((whole(usize::MAX), Arrivals::BackToBack.whole(9)), (usize::MAX, 9));
    }

    #[test]
    fn a_device_slower_than_the_rate_takes_its_own_time() {
        let scheduled = Arrivals::Scheduled { rate: 100.0, burst: 1 };
        assert_eq!(
            (scheduled.seconds_of(50, 1), scheduled.seconds_of(50, 20_000_000)),
            (0.5, 1.0)
        );
        assert_eq!(Arrivals::BackToBack.seconds_of(50, 20_000_000), 1.0);
    }
}
