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

    /// Images that arrive in `seconds` at most, where each takes `nanoseconds`.
    pub(super) fn expected_in(&self, seconds: f64, nanoseconds: u64) -> f64 {
        match *self {
            Self::BackToBack => seconds * 1e9 / nanoseconds.max(1) as f64,
            Self::Scheduled { rate, burst } => seconds * rate + burst as f64,
        }
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
        assert!(Arrivals::Scheduled { rate: 1.0, burst: 4 }.is_whole(8));
        assert!(!Arrivals::Scheduled { rate: 1.0, burst: 4 }.is_whole(9));
    }
}
