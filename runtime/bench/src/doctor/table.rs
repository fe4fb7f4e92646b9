//! A report for people: at most 80 columns.

use std::fmt;

use super::{Finding, Report};
use crate::text::{counted, write_wrapped};

/// Columns before the text of a finding.
const INDENT: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let head = format!("{:<7}  {:<9}  ", finding.severity.name(), finding.subject);
            write_wrapped(f, &head, &finding.text)?;
            if let Some(advice) = &finding.advice {
                write_wrapped(f, &format!("{:INDENT$}-> ", ""), advice)?;
            }
        }
        let provider = self.provider_used.unwrap_or(self.provider);
        match (self.ready, &self.bundle) {
            (true, Some(bundle)) => {
                let variant = bundle.variant.escape_debug();
                writeln!(f, "ready: variant {variant} of the bundle runs on {provider}")
            }
            (true, None) => writeln!(f, "ready: the engine runs on {provider}"),
            (false, _) => {
                let problems = self.findings.iter().filter_map(Finding::exit_code).count();
                let problems = counted(problems, "problem", "problems");
                let (demanded, code) = (self.provider, self.exit_code);
                writeln!(f, "not ready to run on {demanded}: {problems}, exit code {code}")
            }
        }
    }
}
