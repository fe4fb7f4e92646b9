//! The five linear maps of F(4x4, 3x3), each for one dimension, on lanes: many independent tiles at once.
//!
//! A convolution of 3 taps over a tile of 6 inputs has 4 outputs: `y = A^T ((G w) * (B^T d))`, six products instead of twelve.
//! The interpolation points are 0, +-sqrt(1/2), +-sqrt(2) and infinity: with them the largest entry of every matrix is
//! smaller than with the usual 0, +-1, +-2, and so are the rounding errors.
//!
//! Source: Lavin and Gray 2015, arXiv:1509.09308, section 4; choice of points: Alam et al. 2022, arXiv:2201.10369.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use super::super::element::Element;

/// Values computed together: one row of a tile for each of so many tiles.
pub(super) const LANES: usize = 8;

/// One value for each lane.
pub(super) type Lanes<T> = [T; LANES];

/// The inner points, `a = sqrt(1/2)` and `b = sqrt(2)`, with the constants that follow from them.
#[derive(Clone, Copy)]
pub(super) struct Points<T> {
    a: T,
    b: T,
    /// `a^2`.
    half: T,
    /// `b^2`.
    two: T,
    /// `a^2 + b^2`.
    sum: T,
    /// `1 / (2 a^2 (a^2 - b^2))`, the scale of the filter at +-a.
    scale_a: T,
    /// `1 / (2 b^2 (b^2 - a^2))`, the scale of the filter at +-b.
    scale_b: T,
}

impl<T: Element> Points<T> {
    pub(super) fn new() -> Self {
        Self {
            a: T::from_f64(FRAC_1_SQRT_2),
            b: T::from_f64(SQRT_2),
            half: T::from_f64(0.5),
            two: T::from_f64(2.0),
            sum: T::from_f64(2.5),
            scale_a: T::from_f64(-2.0 / 3.0),
            scale_b: T::from_f64(1.0 / 6.0),
        }
    }

    /// `B^T d`: 6 inputs to 6 points.
    #[inline(always)]
    pub(super) fn input(&self, d: &[Lanes<T>; 6]) -> [Lanes<T>; 6] {
        let mut v = [[T::ZERO; LANES]; 6];
        for l in 0..LANES {
            let [d0, d1, d2, d3, d4, d5] = [d[0][l], d[1][l], d[2][l], d[3][l], d[4][l], d[5][l]];
            let (even, odd) = (d4 - self.two * d2, self.a * (d3 - self.two * d1));
            let (even_b, odd_b) = (d4 - self.half * d2, self.b * (d3 - self.half * d1));
            v[0][l] = (d0 + d4) - self.sum * d2;
            v[1][l] = even + odd;
            v[2][l] = even - odd;
            v[3][l] = even_b + odd_b;
            v[4][l] = even_b - odd_b;
            v[5][l] = (d1 + d5) - self.sum * d3;
        }
        v
    }

    /// `B v`, the transpose of [`Self::input`]: the gradient of the inputs.
    #[inline(always)]
    pub(super) fn input_gradient(&self, v: &[Lanes<T>; 6]) -> [Lanes<T>; 6] {
        let mut d = [[T::ZERO; LANES]; 6];
        for l in 0..LANES {
            let [v0, v1, v2, v3, v4, v5] = [v[0][l], v[1][l], v[2][l], v[3][l], v[4][l], v[5][l]];
            let (sum_a, sum_b) = (v1 + v2, v3 + v4);
            let (difference_a, difference_b) = (self.a * (v1 - v2), self.b * (v3 - v4));
            d[0][l] = v0;
            d[1][l] = v5 - self.two * difference_a - self.half * difference_b;
            d[2][l] = T::ZERO - self.sum * v0 - self.two * sum_a - self.half * sum_b;
            d[3][l] = difference_a + difference_b - self.sum * v5;
            d[4][l] = v0 + sum_a + sum_b;
            d[5][l] = v5;
        }
        d
    }

    /// `A^T m`: 6 points to 4 outputs.
    #[inline(always)]
    pub(super) fn output(&self, m: &[Lanes<T>; 6]) -> [Lanes<T>; 4] {
        let mut y = [[T::ZERO; LANES]; 4];
        for l in 0..LANES {
            let [m0, m1, m2, m3, m4, m5] = [m[0][l], m[1][l], m[2][l], m[3][l], m[4][l], m[5][l]];
            let (sum_a, sum_b) = (m1 + m2, m3 + m4);
            let (difference_a, difference_b) = (self.a * (m1 - m2), self.b * (m3 - m4));
            y[0][l] = m0 + sum_a + sum_b;
            y[1][l] = difference_a + difference_b;
            y[2][l] = self.half * sum_a + self.two * sum_b;
            y[3][l] = self.half * difference_a + self.two * difference_b + m5;
        }
        y
    }

    /// `A y`, the transpose of [`Self::output`]: the gradient at the points.
    #[inline(always)]
    pub(super) fn output_gradient(&self, y: &[Lanes<T>; 4]) -> [Lanes<T>; 6] {
        let mut m = [[T::ZERO; LANES]; 6];
        for l in 0..LANES {
            let [y0, y1, y2, y3] = [y[0][l], y[1][l], y[2][l], y[3][l]];
            let (even, odd) = (y0 + self.half * y2, self.a * (y1 + self.half * y3));
            let (even_b, odd_b) = (y0 + self.two * y2, self.b * (y1 + self.two * y3));
            m[0][l] = y0;
            m[1][l] = even + odd;
            m[2][l] = even - odd;
            m[3][l] = even_b + odd_b;
            m[4][l] = even_b - odd_b;
            m[5][l] = y3;
        }
        m
    }

    /// `G w`: 3 taps to 6 points.
    #[inline(always)]
    pub(super) fn filter(&self, w: &[Lanes<T>; 3]) -> [Lanes<T>; 6] {
        let mut u = [[T::ZERO; LANES]; 6];
        for l in 0..LANES {
            let [w0, w1, w2] = [w[0][l], w[1][l], w[2][l]];
            let (even, odd) = (self.scale_a * (w0 + self.half * w2), self.scale_a * self.a * w1);
            let (even_b, odd_b) = (self.scale_b * (w0 + self.two * w2), self.scale_b * self.b * w1);
            u[0][l] = w0;
            u[1][l] = even + odd;
            u[2][l] = even - odd;
            u[3][l] = even_b + odd_b;
            u[4][l] = even_b - odd_b;
            u[5][l] = w2;
        }
        u
    }

    /// `G^T u`, the transpose of [`Self::filter`]: the gradient of the taps.
    #[inline(always)]
    pub(super) fn filter_gradient(&self, u: &[Lanes<T>; 6]) -> [Lanes<T>; 3] {
        let mut w = [[T::ZERO; LANES]; 3];
        for l in 0..LANES {
            let [u0, u1, u2, u3, u4, u5] = [u[0][l], u[1][l], u[2][l], u[3][l], u[4][l], u[5][l]];
            let (sum_a, sum_b) = (self.scale_a * (u1 + u2), self.scale_b * (u3 + u4));
            let (difference_a, difference_b) = (self.scale_a * self.a * (u1 - u2), self.scale_b * self.b * (u3 - u4));
            w[0][l] = u0 + sum_a + sum_b;
            w[1][l] = difference_a + difference_b;
            w[2][l] = self.half * sum_a + self.two * sum_b + u5;
        }
        w
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_lane<const N: usize>(values: [f64; N]) -> [Lanes<f64>; N] {
        values.map(|value| [value; LANES])
    }

    #[test]
    fn four_outputs_are_the_convolution() {
        let points = Points::<f64>::new();
        let (d, w) = ([0.3, -1.2, 0.7, 2.0, -0.4, 1.1], [0.9, -0.5, 1.7]);
        let (v, u) = (points.input(&one_lane(d)), points.filter(&one_lane(w)));
        let mut products = v;
        products
            .iter_mut()
            .zip(u)
            .for_each(|(v, u)| v.iter_mut().for_each(|v| *v *= u[0]));
        for (i, y) in points.output(&products).iter().enumerate() {
            let expected: f64 = (0..3).map(|tap| d[i + tap] * w[tap]).sum();
            assert!((y[0] - expected).abs() < 1e-14, "{} instead of {expected}", y[0]);
        }
    }

    /// `<M x, y> = <x, M^T y>` for each map and its transpose.
    #[test]
    fn gradients_are_the_transposes() {
        let points = Points::<f64>::new();
        let (x, y) = ([0.3, -1.2, 0.7, 2.0, -0.4, 1.1], [1.3, 0.2, -0.9, 0.5, 1.9, -0.7]);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let lane = |values: &[Lanes<f64>]| values.iter().map(|v| v[0]).collect::<Vec<_>>();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-13, "{a} {b}");
        close(
            dot(&lane(&points.input(&one_lane(x))), &y),
            dot(&x, &lane(&points.input_gradient(&one_lane(y)))),
        );
        let four = [y[0], y[1], y[2], y[3]];
        close(
            dot(&lane(&points.output(&one_lane(x))), &four),
            dot(&x, &lane(&points.output_gradient(&one_lane(four)))),
        );
        let three = [y[0], y[1], y[2]];
        close(
            dot(&lane(&points.filter(&one_lane(three))), &x),
            dot(&three, &lane(&points.filter_gradient(&one_lane(x)))),
        );
    }
}
