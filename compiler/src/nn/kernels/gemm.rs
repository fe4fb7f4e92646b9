//! Matrix product: one safe, bounds-checked door to the `gemm` crate.

#![expect(
    unsafe_code,
    reason = "gemm::gemm takes raw pointers; `matmul` checks every bound before the call"
)]

use super::element::Element;

/// A matrix inside a slice: element `(i, j)` lies at `i * row_stride + j * col_stride`.
#[derive(Debug, Clone, Copy)]
pub struct MatrixRef<'a, T> {
    /// The elements.
    pub data: &'a [T],
    /// Distance between rows, in elements.
    pub row_stride: usize,
    /// Distance between columns, in elements.
    pub col_stride: usize,
}

impl<'a, T> MatrixRef<'a, T> {
    /// Rows of `cols` elements, one after the other.
    pub fn row_major(data: &'a [T], cols: usize) -> Self {
        MatrixRef {
            data,
            row_stride: cols,
            col_stride: 1,
        }
    }

    /// The same elements with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        MatrixRef {
            data: self.data,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// A matrix to be written: rows of contiguous elements.
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    /// The elements.
    pub data: &'a mut [T],
    /// Distance between rows, in elements; at least their length.
    pub row_stride: usize,
}

impl<'a, T> MatrixMut<'a, T> {
    /// Rows of `cols` elements, one after the other.
    pub fn row_major(data: &'a mut [T], cols: usize) -> Self {
        MatrixMut { data, row_stride: cols }
    }
}

/// One past the offset of the last element of a `rows` by `cols` matrix; `None` on overflow.
fn extent(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Option<usize> {
    if rows == 0 || cols == 0 {
        return Some(0);
    }
    let last = (rows - 1)
        .checked_mul(row_stride)?
        .checked_add((cols - 1).checked_mul(col_stride)?)?;
    last.checked_add(1)
}

/// [`matmul_into`] for a `dst` of contiguous rows.
///
/// # Panics
/// As [`matmul_into`].
pub fn matmul<T: Element>(
    size: (usize, usize, usize),
    dst: &mut [T],
    a: MatrixRef<'_, T>,
    b: MatrixRef<'_, T>,
    accumulate: bool,
) {
    matmul_into(size, MatrixMut::row_major(dst, size.1), a, b, accumulate);
}

/// `dst = a * b`, or `dst += a * b` with `accumulate`, on the calling thread.
///
/// # Shapes
/// - `dst`: `(m, n)`; `a`: `(m, k)`; `b`: `(k, n)`
///
/// # Panics
/// If a slice is too short for its matrix, or rows of `dst` overlap: an error of the calling kernel, never of its user's data.
pub fn matmul_into<T: Element>(
    (m, n, k): (usize, usize, usize),
    dst: MatrixMut<'_, T>,
    a: MatrixRef<'_, T>,
    b: MatrixRef<'_, T>,
    accumulate: bool,
) {
    let MatrixMut { data: dst, row_stride } = dst;
    let fits = |rows, cols, rs, cs, len| extent(rows, cols, rs, cs).is_some_and(|end| end <= len);
    assert!(
        row_stride >= n && fits(m, n, row_stride, 1, dst.len()),
        "matmul: dst of {} elements for ({m}, {n})",
        dst.len()
    );
    assert!(
        fits(m, k, a.row_stride, a.col_stride, a.data.len()),
        "matmul: a too short for ({m}, {k})"
    );
    assert!(
        fits(k, n, b.row_stride, b.col_stride, b.data.len()),
        "matmul: b too short for ({k}, {n})"
    );
    let beta = if accumulate { T::ONE } else { T::ZERO };
    // SAFETY: the three asserts above bound every offset that an (m, n, k) product reads or writes; `dst` is borrowed
    // mutably, so it overlaps neither input; slices cannot exceed isize::MAX bytes, so neither can a stride that is
    // used (one along a dimension of length 1 is never stepped). `T` is f32 or f64, which gemm dispatches on.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            1,
            row_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            beta,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_and_accumulation() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
        let mut dst = [f64::NAN; 4];
        matmul(
            (2, 2, 3),
            &mut dst,
            MatrixRef::row_major(&a, 3),
            MatrixRef::row_major(&b, 2),
            false,
        );
        assert_eq!(dst, [4.0, 5.0, 10.0, 11.0]);
        matmul(
            (2, 2, 3),
            &mut dst,
            MatrixRef::row_major(&a, 3),
            MatrixRef::row_major(&b, 2),
            true,
        );
        assert_eq!(dst, [8.0, 10.0, 20.0, 22.0]);
        let transposed = MatrixRef::row_major(&a, 2).transposed();
        matmul((2, 2, 3), &mut dst, transposed, MatrixRef::row_major(&b, 2), false);
        assert_eq!(dst, [6.0, 8.0, 8.0, 10.0]);
    }

    #[test]
    #[should_panic(expected = "b too short")]
    fn short_slice_panics_before_the_product() {
        let mut dst = [0f32; 4];
        matmul(
            (2, 2, 3),
            &mut dst,
            MatrixRef::row_major(&[0.0; 6], 3),
            MatrixRef::row_major(&[0.0; 5], 2),
            false,
        );
    }
}
