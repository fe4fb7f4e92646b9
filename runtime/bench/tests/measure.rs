//! Measuring disturbs nothing of what it measures.

#[path = "../../tests/common/counting.rs"]
mod counting;

use std::cell::Cell;
use std::time::Duration;

use askd_bench::measure::{Plan, Subject, measure};

#[test]
fn taking_times_allocates_nothing() {
    let allocations = |min_runs| {
        let now = Cell::new(Duration::ZERO);
        let subject = || -> Box<dyn Subject<Error = ()> + '_> {
            Box::new(|| {
                now.set(now.get() + Duration::from_micros(50));
                Ok(())
            })
        };
        let plan = Plan {
            min_time: Duration::ZERO,
            min_runs,
            max_runs: 1 << 20,
            warm_up_limit: Duration::from_secs(1),
        };
        let count = counting::allocations(|| {
            let measured = measure(&plan, &mut || now.get(), vec![subject(), subject()]);
            assert!(measured.results.iter().all(Result::is_ok));
        });
        assert!(now.get() > Duration::from_micros(100) * min_runs as u32);
        count
    };
    let few = allocations(80);
    assert!(few > 0);
    assert_eq!(allocations(100_000), few);
}
