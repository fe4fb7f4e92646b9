//! Average over bins so that a map takes a given size.
//!
//! Where the bins are equal they are an ordinary pooling; otherwise the pooling is two multiplications by constant
//! matrices, `rows * x * columns`, exact for any size.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__AveragePool.html>, opset 11, or
//! <https://onnx.ai/onnx/operators/onnx__MatMul.html>, opset 13.

use askd_models::Shape;

use super::super::emitter::{Emitter, Step, ints};
use super::unsupported;
use crate::Result;

pub(super) fn emit([height, width]: [usize; 2], step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let (&[input], &[Shape::Map([_, rows, columns])]) = (step.inputs.as_slice(), step.input_shapes.as_slice()) else {
        return Err(unsupported(step, "AdaptiveAveragePool of a vector"));
    };
    let name = &step.node.name;
    if rows.is_multiple_of(height) && columns.is_multiple_of(width) {
        let bin = [rows / height, columns / width];
        let attributes = vec![ints("kernel_shape", bin), ints("strides", bin)];
        return emitter.node("AveragePool", name, &[input], step.output, attributes);
    }
    let of = |suffix: &str| format!("{name}.{suffix}");
    let (by_column, by_row, pooled) = (of("columns"), of("rows"), of("columns_pooled"));
    emitter.floats(
        &by_column,
        &[columns, width],
        &transposed(&averages(columns, width), width),
    )?;
    emitter.floats(&by_row, &[height, rows], &averages(rows, height))?;
    emitter.node("MatMul", &of("pool_columns"), &[input, &by_column], &pooled, Vec::new())?;
    emitter.node("MatMul", name, &[&by_row, &pooled], step.output, Vec::new())
}

/// The `(bins, pixels)` matrix that averages `pixels` values in `bins` bins, which overlap where the sizes do not divide.
///
/// Source: PyTorch, `aten/src/ATen/native/AdaptivePooling.h`, `start_index` and `end_index`.
fn averages(pixels: usize, bins: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; bins * pixels];
    for bin in 0..bins {
        let (start, end) = (bin * pixels / bins, ((bin + 1) * pixels).div_ceil(bins));
        matrix[bin * pixels + start..bin * pixels + end].fill(1.0 / (end - start) as f32);
    }
    matrix
}

fn transposed(matrix: &[f32], rows: usize) -> Vec<f32> {
    let columns = matrix.len() / rows;
    (0..matrix.len())
        .map(|index| matrix[index % rows * columns + index / rows])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.nn.AdaptiveAvgPool1d(3)` of 5 values averages 0..2, 1..4, 3..5.
    #[test]
    fn unequal_bins_are_pytorchs() {
        let (half, third) = (0.5, 1.0 / 3.0);
        let expected = [
            [half, half, 0.0, 0.0, 0.0],
            [0.0, third, third, third, 0.0],
            [0.0, 0.0, 0.0, half, half],
        ];
        assert_eq!(averages(5, 3), expected.concat());
    }

    #[test]
    fn transposing_swaps_rows_and_columns() {
        assert_eq!(
            transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2),
            [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
        );
    }
}
