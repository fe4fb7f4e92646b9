//! Which models an ONNX Runtime takes, by its version.

/// Minor version of ONNX Runtime 1.x, the highest opset and the highest IR version that it takes.
///
/// Source: <https://onnxruntime.ai/docs/reference/compatibility.html>, "ONNX opset support"; the table there ends at
/// 1.20. The same page: all versions take opset 7 and later, and newer versions take what older ones took.
const TABLE: [(u32, u32, u32); 4] = [(17, 20, 9), (18, 21, 10), (19, 21, 10), (20, 21, 10)];

/// Oldest opset that every version takes.
const OLDEST: u32 = 7;

/// Whether an engine takes a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    Yes,
    No,
    /// The table does not say.
    Untold,
}

/// Whether ONNX Runtime `version` takes opset `opset` and IR version `ir_version`.
pub(super) fn support(version: &str, opset: u32, ir_version: u32) -> Support {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let (Some(Some(1)), Some(Some(minor))) = (numbers.next(), numbers.next()) else {
        return Support::Untold;
    };
    let row = TABLE.into_iter().rev().find(|(listed, ..)| *listed <= minor);
    let Some((listed, highest_opset, highest_ir)) = row else {
        return Support::Untold;
    };
    if opset > highest_opset || ir_version > highest_ir {
        // A later version may take more than the last one listed.
        return if listed == minor { Support::No } else { Support::Untold };
    }
    if opset < OLDEST { Support::Untold } else { Support::Yes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_compiler_writes_is_taken_by_every_accepted_version() {
        for minor in 17..=40 {
            assert_eq!(support(&format!("1.{minor}.0"), 17, 8), Support::Yes, "1.{minor}");
        }
    }

    #[test]
    fn only_listed_versions_say_no() {
        assert_eq!(support("1.17.3", 21, 9), Support::No);
        assert_eq!(support("1.17.3", 20, 10), Support::No);
        assert_eq!(support("1.18.0", 21, 10), Support::Yes);
        assert_eq!(support("1.20.1", 22, 10), Support::No);
        assert_eq!(support("1.32.0", 22, 10), Support::Untold);
        assert_eq!(support("1.32.0", 6, 8), Support::Untold);
        for version in ["2.0.0", "1.16.3", "", "1", "one.two"] {
            assert_eq!(support(version, 17, 8), Support::Untold, "{version}");
        }
    }
}
