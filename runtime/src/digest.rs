//! SHA-256 as the lower-case hexadecimal text that `askd.json` holds.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The SHA-256 digest of `bytes`: 64 lower-case hexadecimal digits.
///
/// ```
/// assert!(askd_runtime::sha256_hex(b"").starts_with("e3b0c44298fc1c14"));
/// ```
///
/// Source: FIPS 180-4.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// `digest` in lower-case hexadecimal.
pub(crate) fn hex(digest: &[u8]) -> String {
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::sha256_hex;

    #[test]
    fn standard_vectors() {
        // FIPS 180-4 examples: one block, and the empty message.
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            sha256_hex(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
