//! A profile for people: the nodes that matter, in order of execution.

use std::fmt;

use super::{NodeTime, Profile};
use crate::text::{number, printable, write_table, write_wrapped};

/// Nodes with less of the time are told together.
const SHARE: f64 = 0.01;

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (told, rest): (Vec<_>, Vec<_>) = self.nodes.iter().partition(|node| node.share >= SHARE);
        let mut rows: Vec<_> = told.into_iter().map(row).collect();
        if !rest.is_empty() {
            let mut others = [const { String::new() }; 7];
            others[0] = format!("{} others", rest.len());
            others[2] = number(Some(1e3 * rest.iter().map(|node| node.ms).sum::<f64>()), 1);
            others[3] = number(Some(100.0 * rest.iter().map(|node| node.share).sum::<f64>()), 1);
            rows.push(others);
        }
        let head = ["layer", "operator", "us", "%", "million MACs", "GFLOP/s", "% of peak"];
        write_table(f, head, rows)?;
        let text = format!(
            "{:.3} of {:.3} ms a profiled run are in the nodes; peak {:.1} GFLOP/s ({})",
            self.nodes_ms,
            self.run_ms,
            self.peak.gflops,
            printable(&self.peak.of)
        );
        write_wrapped(f, "nodes: ", &text)
    }
}

fn row(node: &NodeTime) -> [String; 7] {
    let name = node.layer.as_ref().unwrap_or(&node.node);
    [
        printable(name),
        printable(&node.operator),
        number(Some(1e3 * node.ms), 1),
        number(Some(100.0 * node.share), 1),
        number(node.macs.map(|macs| macs as f64 / 1e6), 3),
        number(node.gflops, 1),
        number(node.of_peak.map(|part| 100.0 * part), 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Peak;

    #[test]
    fn small_nodes_are_told_together() {
        let node = |layer: Option<&str>, share| NodeTime {
            layer: layer.map(str::to_owned),
            node: "node".to_owned(),
            operator: "Conv".to_owned(),
            provider: String::new(),
            ms: 0.1 * share,
            share,
            macs: layer.map(|_| 1_500_000),
            gflops: layer.map(|_| 30.0),
            of_peak: layer.map(|_| 0.6),
        };
        let profile = Profile {
            runs: 10,
            run_ms: 0.2,
            nodes_ms: 0.1,
            macs: 1_500_000,
            peak: Peak {
                gflops: 50.0,
                threads: 1,
                of: "x".to_owned(),
            },
            nodes: vec![node(Some("conv1"), 0.985), node(None, 0.008), node(None, 0.007)],
        };
        let text = profile.to_string();
        let lines: Vec<_> = text.lines().collect();
        let words: Vec<Vec<_>> = lines.iter().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1], ["conv1", "Conv", "98.5", "98.5", "1.500", "30.0", "60"]);
        assert_eq!(words[2], ["2", "others", "1.5", "1.5"]);
        assert_eq!(
            lines[3],
            "nodes: 0.100 of 0.200 ms a profiled run are in the nodes; peak 50.0 GFLOP/s (x)"
        );
    }
}
