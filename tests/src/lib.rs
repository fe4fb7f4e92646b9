//! Helpers shared by the cross-crate tests.

mod command;
mod data_sets;
mod random;
mod workspace;

pub use command::{Outcome, askd_compile};
pub use data_sets::{archive, cifar10, cifar100, fashion_mnist, image_files};
pub use random::{Random, parameter_range, random_weights};
pub use workspace::{Workspace, data_dir};

/// Largest absolute difference of two equally long slices; infinite if they are not, or if a value is not a number.
pub fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(
        0.0,
        |worst, next| if next.is_nan() { f32::INFINITY } else { worst.max(next) },
    )
}
