//! A comparison for people.

use std::fmt;

use super::{Compared, Comparison};
use crate::text::{number, write_table, write_wrapped};

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |name: &str, compared: &Compared| {
            let ratio = compared.ratio;
            [
                name.to_owned(),
                number(Some(compared.before_ms), 3),
                number(Some(compared.after_ms), 3),
                number(Some(ratio.value), 3),
                format!("{:.3} to {:.3}", ratio.low, ratio.high),
                compared.verdict.words().to_owned(),
            ]
        };
        let interval = format!("{:.0} % interval", 100.0 * self.confidence);
        let head = ["", "before, ms", "after, ms", "ratio", interval.as_str(), "verdict"];
        write_table(f, head, vec![row("p50", &self.p50), row("p99", &self.p99)])?;
        writeln!(f)?;
        for note in &self.notes {
            write_wrapped(f, "note: ", note)?;
        }
        writeln!(
            f,
            "verdict: {} (differences up to {} % are put down to the luck of a start)",
            self.verdict.words(),
            self.margin
        )
    }
}
