//! What a network or a bundle is, as data for programs and as text for people.

mod bundle;
mod graph;

pub use bundle::{BundleReport, FileReport, inspect_bundle};
pub use graph::{GraphReport, LayerReport, OutputReport, inspect_graph};

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_083_040_768, "1,083,040,768"),
        ] {
            assert_eq!(super::grouped(number), text);
        }
    }
}
