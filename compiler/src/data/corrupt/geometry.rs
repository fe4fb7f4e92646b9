//! Places moved.

use rand_chacha::ChaCha8Rng;

use super::field::lattice;
use super::picture::Picture;

/// Length over which what is stretched changes its direction, in parts of the side.
const WAVE: f32 = 0.14;

/// Stretches the picture like rubber: every place moves by at most this part of the side along each axis, places near it alike.
pub(super) fn elastic(picture: &mut Picture, most: f32, rng: &mut ChaCha8Rng) {
    let (size, side) = (picture.size(), picture.side());
    let [down, along] = [(); 2].map(|()| lattice(size, WAVE * side, rng));
    let most = most * side;
    picture.warp(|index, [row, column]| [row + most * down[index], column + most * along[index]]);
}
