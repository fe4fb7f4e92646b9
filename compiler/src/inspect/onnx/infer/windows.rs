//! Operators that move a window over a map, and those that cut or add at its edges.

use super::super::shape::Dimension;
use super::super::shape::Dimension::{Known, Unknown};
use super::axes::place;
use super::{Operands, Shape, meets};

/// A convolution whose filters are input number `weight`.
pub(super) fn convolution(operands: &Operands<'_>, weight: usize) -> Shape {
    let [batch, channels, pixels @ ..] = operands.shape(0)? else {
        return None;
    };
    let [filters, of_group, kernel @ ..] = operands.shape(weight)? else {
        return None;
    };
    let groups = u64::try_from(operands.integer("group", 1)).ok()?;
    let wanted = Dimension::from(of_group.known().and_then(|each| each.checked_mul(groups)));
    if !meets(channels, &wanted) || kernel.len() != pixels.len() {
        return None;
    }
    let kernel = kernel
        .iter()
        .map(|size| i64::try_from(size.known()?).ok())
        .collect::<Option<Vec<_>>>()?;
    let sizes = slid(operands, pixels, &kernel)?;
    Some([batch.clone(), filters.clone()].into_iter().chain(sizes).collect())
}

/// A pooling by `kernel_shape`.
pub(super) fn pool(operands: &Operands<'_>) -> Shape {
    let [batch, channels, pixels @ ..] = operands.shape(0)? else {
        return None;
    };
    let kernel = operands.integers("kernel_shape")?;
    let sizes = slid(operands, pixels, kernel)?;
    Some([batch.clone(), channels.clone()].into_iter().chain(sizes).collect())
}

/// How many windows there are along each of `pixels`.
fn slid(operands: &Operands<'_>, pixels: &[Dimension], kernel: &[i64]) -> Option<Vec<Dimension>> {
    let of = |name: &str, default: i64, count: usize| {
        let given = operands.integers(name).filter(|given| !given.is_empty());
        let values = given.map_or_else(|| vec![default; count], <[i64]>::to_vec);
        (values.len() == count).then_some(values)
    };
    let rank = pixels.len();
    let (strides, dilations) = (of("strides", 1, rank)?, of("dilations", 1, rank)?);
    let pads = of("pads", 0, 2 * rank)?;
    if kernel.len() != rank {
        return None;
    }
    let automatic = operands
        .attribute("auto_pad")
        .map_or(&b"NOTSET"[..], |attribute| attribute.s.as_slice());
    let ceil = operands.integer("ceil_mode", 0) != 0;
    let along = |axis: usize| {
        let Some(size) = pixels[axis].known() else {
            return Some(Unknown);
        };
        // wide enough for any product of two numbers of the file
        let [kernel, stride, dilation] = [kernel[axis], strides[axis], dilations[axis]].map(i128::from);
        if kernel < 1 || stride < 1 || dilation < 1 {
            return None;
        }
        let size = i128::from(size);
        let padded = match automatic {
            b"" | b"NOTSET" => size + i128::from(pads[axis]) + i128::from(pads[axis + rank]),
            b"VALID" => size,
            b"SAME_UPPER" | b"SAME_LOWER" => return count(size.checked_sub(1)? / stride + 1),
            _ => return None,
        };
        let steps = padded - ((kernel - 1) * dilation + 1);
        if steps < 0 {
            return None;
        }
        // rounded up, versions differ in whether a window may begin in the padding
        if ceil && steps % stride != 0 {
            return Some(Unknown);
        }
        count(steps / stride + 1)
    };
    (0..rank).map(along).collect()
}

fn count(number: i128) -> Option<Dimension> {
    u64::try_from(number).ok().map(Known)
}

/// Every `step`-th place from `start` to `end` along each of `axes`; inputs since opset 10, attributes before.
pub(super) fn slice(operands: &Operands<'_>) -> Shape {
    let shape = operands.shape(0)?;
    let setting = |name: &str, index: usize| operands.setting(name, index, 10).ok();
    let (starts, ends) = (setting("starts", 1)??, setting("ends", 2)??);
    let all: Vec<i64> = (0..starts.len()).map(|axis| axis as i64).collect();
    let axes = setting("axes", 3)?.unwrap_or(&all);
    let ones = vec![1; starts.len()];
    let steps = setting("steps", 4)?.unwrap_or(&ones);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return None;
    }
    let mut result = shape.to_vec();
    for (((start, end), axis), step) in starts.iter().zip(ends).zip(axes).zip(steps) {
        let at = place(*axis, shape.len())?;
        let Some(size) = shape[at].known() else {
            result[at] = Unknown;
            continue;
        };
        let (size, step) = (i128::from(size), i128::from(*step));
        // negative places count from behind, and what lies outside is moved to the edge
        let bound = |place: i64, low: i128, high: i128| {
            let place = i128::from(place);
            (if place < 0 { place + size } else { place }).clamp(low, high.max(low))
        };
        let length = match step {
            0 => return None,
            1.. => bound(*end, 0, size) - bound(*start, 0, size),
            _ => bound(*start, 0, size - 1) - bound(*end, -1, size - 1),
        };
        let stride = step.abs();
        result[at] = count((length.max(0) + stride - 1) / stride)?;
    }
    Some(result)
}

/// Values before and behind; input since opset 11, attribute before.
pub(super) fn pad(operands: &Operands<'_>) -> Shape {
    let shape = operands.shape(0)?;
    let pads = operands.setting("pads", 1, 11).ok()??;
    // with axes of one's own, since opset 18
    if operands.has(3) || pads.len() != 2 * shape.len() {
        return None;
    }
    let size = |(at, size): (usize, &Dimension)| {
        let added = i128::from(pads[at]) + i128::from(pads[at + shape.len()]);
        match size.known() {
            Some(size) => count(i128::from(size) + added),
            None if added == 0 => Some(size.clone()),
            None => Some(Unknown),
        }
    };
    shape.iter().enumerate().map(size).collect()
}
