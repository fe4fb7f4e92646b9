//! Smooth random fields: clouds, ice and rubber.

use rand::Rng;

use super::picture::mix;

/// Random values from -1 to 1 on a lattice with `cell` pixels between its points, at least one, and smooth between them.
///
/// # Shapes
/// - `size`: `[height, width]`
/// - returns: height x width
///
/// Source: value noise; Perlin 2002, doi:10.1145/566654.566636, for the curve between points, whose first two derivatives are 0 there.
pub(super) fn lattice([height, width]: [usize; 2], cell: f32, rng: &mut impl Rng) -> Vec<f32> {
    let cell = cell.max(1.0);
    let points = |length: usize| (length as f32 / cell) as usize + 2;
    let (rows, columns) = (points(height), points(width));
    let values: Vec<f32> = (0..rows * columns).map(|_| rng.random_range(-1.0..=1.0)).collect();
    let axis = |length: usize| -> Vec<(usize, f32)> {
        let place = |at: usize| {
            let place = at as f32 / cell;
            (place as usize, between(place.fract()))
        };
        (0..length).map(place).collect()
    };
    let (down, along) = (axis(height), axis(width));
    let mut field = Vec::with_capacity(height * width);
    for (y, down) in down {
        let [top, bottom] = [y, y + 1].map(|row| &values[row * columns..][..columns]);
        for (x, along) in &along {
            let [above, below] = [top, bottom].map(|row| mix(row[*x], row[x + 1], *along));
            field.push(mix(above, below, down));
        }
    }
    field
}

/// The sum of `octaves` lattices, each with half the cell and half the weight of the one before, stretched to `0..=1`.
///
/// # Shapes
/// - as [`lattice`]
pub(super) fn fractal(size: [usize; 2], cell: f32, octaves: i32, rng: &mut impl Rng) -> Vec<f32> {
    let mut sum = vec![0.0; size[0] * size[1]];
    for octave in 0..octaves {
        let share = 0.5_f32.powi(octave);
        let finer = lattice(size, cell * share, rng);
        sum.iter_mut().zip(finer).for_each(|(sum, value)| *sum += share * value);
    }
    let least = sum.iter().copied().fold(f32::INFINITY, f32::min);
    let most = sum.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // a single pixel has no range
    let range = (most - least).max(f32::MIN_POSITIVE);
    sum.iter_mut().for_each(|value| *value = (*value - least) / range);
    sum
}

/// 0 at 0 and 1 at 1, with both derivatives 0 there.
fn between(share: f32) -> f32 {
    share * share * share * (share * (share * 6.0 - 15.0) + 10.0)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_lattice_is_smooth_and_a_fractal_fills_its_range() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let field = lattice([40, 30], 8.0, &mut rng);
        assert!(field.len() == 1200 && field.iter().all(|value| value.abs() <= 1.0));
        // 15/8 is the curve's steepest, 2 the largest difference of two points
        let steepest = field.chunks_exact(30).flat_map(|row| row.windows(2));
        assert!(steepest.map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max) < 2.0 * 15.0 / 8.0 / 8.0);
        let clouds = fractal([40, 30], 20.0, 5, &mut rng);
        assert!(clouds.contains(&0.0) && clouds.contains(&1.0));
        assert_eq!(fractal([1, 1], 0.1, 2, &mut rng).len(), 1);
    }
}
