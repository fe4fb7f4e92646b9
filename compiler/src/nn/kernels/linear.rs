//! Fully connected layer.

use rayon::prelude::*;

use super::element::Element;
use super::gemm::{MatrixRef, matmul};

/// Rows of a product that one task computes.
const ROWS_PER_TASK: usize = 32;

/// `x * w^T + b`.
///
/// # Shapes
/// - `x`: `(N, I)`; `w`: `(O, I)`; `b`: `(O)`; returns `(N, O)`
pub fn forward<T: Element>(x: &[T], w: &[T], b: &[T], inputs: usize) -> Vec<T> {
    let outputs = b.len();
    let rows = x.len() / inputs.max(1);
    let mut y = vec![T::ZERO; rows * outputs];
    let work = y
        .par_chunks_mut((ROWS_PER_TASK * outputs).max(1))
        .zip(x.par_chunks((ROWS_PER_TASK * inputs).max(1)));
    work.for_each(|(y, x)| {
        y.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(b));
        let size = (y.len() / outputs, outputs, inputs);
        matmul(
            size,
            y,
            MatrixRef::row_major(x, inputs),
            MatrixRef::row_major(w, inputs).transposed(),
            true,
        );
    });
    y
}

/// Gradients of [`forward`]: of `w`, of `b`, and of `x` where `wants_dx`.
pub fn backward<T: Element>(
    x: &[T],
    w: &[T],
    dy: &[T],
    (inputs, outputs): (usize, usize),
    wants_dx: bool,
) -> (Vec<T>, Vec<T>, Option<Vec<T>>) {
    let rows = x.len() / inputs.max(1);
    let mut dw = vec![T::ZERO; w.len()];
    // Each task owns rows of the gradient, and so sums over the whole batch in one order.
    dw.par_chunks_mut((ROWS_PER_TASK * inputs).max(1))
        .enumerate()
        .for_each(|(task, dw)| {
            let dy = MatrixRef {
                data: &dy[task * ROWS_PER_TASK..],
                row_stride: outputs,
                col_stride: 1,
            };
            let size = (dw.len() / inputs, inputs, rows);
            matmul(size, dw, dy.transposed(), MatrixRef::row_major(x, inputs), false);
        });
    let db = (0..outputs)
        .map(|o| T::from_f64(dy.iter().skip(o).step_by(outputs).map(|v| v.to_f64()).sum()))
        .collect();
    let dx = wants_dx.then(|| {
        let mut dx = vec![T::ZERO; x.len()];
        let work = dx
            .par_chunks_mut((ROWS_PER_TASK * inputs).max(1))
            .zip(dy.par_chunks((ROWS_PER_TASK * outputs).max(1)));
        work.for_each(|(dx, dy)| {
            let size = (dx.len() / inputs, inputs, outputs);
            matmul(
                size,
                dx,
                MatrixRef::row_major(dy, outputs),
                MatrixRef::row_major(w, inputs),
                false,
            );
        });
        dx
    });
    (dw, db, dx)
}
