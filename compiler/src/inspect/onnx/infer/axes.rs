//! Operators that move, join, drop or add dimensions.

use super::super::shape::Dimension;
use super::super::shape::Dimension::{Known, Unknown};
use super::{Operands, Shape, meets};

/// The place that `axis` means among `rank` dimensions, counted from behind where it is negative.
pub(super) fn place(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let place = if axis < 0 { axis.checked_add(rank)? } else { axis };
    (0..rank).contains(&place).then(|| usize::try_from(place).ok())?
}

/// The product of dimensions as one: a lone symbol stays one.
fn joined(dimensions: &[Dimension]) -> Dimension {
    let mut others = dimensions.iter().filter(|dimension| **dimension != Known(1));
    match (others.next(), others.next()) {
        (Some(symbol @ Dimension::Symbol(_)), None) => symbol.clone(),
        _ => {
            let product = |product: u64, size: &Dimension| product.checked_mul(size.known()?);
            Dimension::from(dimensions.iter().try_fold(1, product))
        }
    }
}

pub(super) fn flatten(operands: &Operands<'_>) -> Shape {
    let shape = operands.shape(0)?;
    let axis = operands.integer("axis", 1);
    // unlike elsewhere the place behind the last is one too
    let at = match usize::try_from(axis) {
        Ok(axis) => axis,
        Err(_) => place(axis, shape.len())?,
    };
    let (rows, columns) = shape.split_at_checked(at)?;
    Some(vec![joined(rows), joined(columns)])
}

pub(super) fn concat(operands: &Operands<'_>) -> Shape {
    let inputs = (0..operands.node.input.len()).map(|index| operands.shape(index));
    let inputs = inputs.collect::<Option<Vec<_>>>()?;
    let first = *inputs.first()?;
    let axis = place(operands.integer("axis", 0), first.len())?;
    let mut shape = first.to_vec();
    for (at, dimension) in shape.iter_mut().enumerate() {
        let all = inputs.iter().map(|input| input.get(at));
        let all = all.collect::<Option<Vec<_>>>()?;
        if at == axis {
            let sum = all.iter().try_fold(0u64, |sum, other| sum.checked_add(other.known()?));
            *dimension = Dimension::from(sum);
        } else if !all.iter().all(|other| meets(dimension, other)) {
            return None;
        } else if let Some(number) = all.iter().find(|other| other.known().is_some()) {
            *dimension = (*number).clone();
        }
    }
    inputs.iter().all(|input| input.len() == shape.len()).then_some(shape)
}

pub(super) fn transpose(operands: &Operands<'_>) -> Shape {
    let shape = operands.shape(0)?;
    let Some(order) = operands.integers("perm") else {
        return Some(shape.iter().rev().cloned().collect());
    };
    let places = order
        .iter()
        .map(|axis| place(*axis, shape.len()))
        .collect::<Option<Vec<_>>>()?;
    let mut sorted = places.clone();
    sorted.sort_unstable();
    let all_once = sorted.into_iter().eq(0..shape.len());
    all_once.then(|| places.into_iter().map(|at| shape[at].clone()).collect())
}

/// To a constant shape, in which 0 keeps a dimension and one -1 takes what is left.
pub(super) fn reshape(operands: &Operands<'_>) -> Shape {
    let (shape, wanted) = (operands.shape(0)?, operands.constant(1)?);
    let zero_is_zero = operands.integer("allowzero", 0) != 0;
    let mut kept = vec![false; shape.len()];
    let mut result = Vec::with_capacity(wanted.len());
    let mut rest = None;
    for (at, size) in wanted.iter().enumerate() {
        result.push(match size {
            0 if !zero_is_zero => {
                *kept.get_mut(at)? = true;
                shape[at].clone()
            }
            -1 if rest.replace(at).is_none() => Unknown,
            size => Known(u64::try_from(*size).ok()?),
        });
    }
    let Some(rest) = rest else { return Some(result) };
    // what is kept as it is, known or not, is on both sides
    let left: Vec<Dimension> = shape
        .iter()
        .zip(&kept)
        .filter(|(_, kept)| !**kept)
        .map(|(size, _)| size.clone())
        .collect();
    let others = result
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != rest && !kept.get(*at).is_some_and(|kept| *kept));
    let others: Vec<Dimension> = others.map(|(_, size)| size.clone()).collect();
    result[rest] = match (joined(&left), joined(&others)) {
        (whole, Known(1)) => whole,
        (Known(whole), Known(part)) if part > 0 && whole.is_multiple_of(part) => Known(whole / part),
        (Known(_), Known(_)) => return None,
        _ => Unknown,
    };
    Some(result)
}

pub(super) fn squeeze(operands: &Operands<'_>) -> Shape {
    let shape = operands.shape(0)?;
    let axes = operands.setting("axes", 1, 13).ok()?;
    let dropped = match axes {
        Some(axes) => axes
            .iter()
            .map(|axis| place(*axis, shape.len()))
            .collect::<Option<Vec<_>>>()?,
        // every dimension of 1, of which an unknown one may be one
        None if shape.iter().all(|size| size.known().is_some()) => {
            (0..shape.len()).filter(|at| shape[*at] == Known(1)).collect()
        }
        None => return None,
    };
    let kept = shape.iter().enumerate().filter(|(at, _)| !dropped.contains(at));
    Some(kept.map(|(_, size)| size.clone()).collect())
}

pub(super) fn unsqueeze(operands: &Operands<'_>) -> Shape {
    let shape = operands.shape(0)?;
    let axes = operands.setting("axes", 1, 13).ok()??;
    let rank = shape.len() + axes.len();
    let places = axes.iter().map(|axis| place(*axis, rank)).collect::<Option<Vec<_>>>()?;
    let mut rest = shape.iter();
    let result = (0..rank).map(|at| match places.contains(&at) {
        true => Some(Known(1)),
        false => rest.next().cloned(),
    });
    result.collect()
}

pub(super) fn reduce(operands: &Operands<'_>) -> Shape {
    let shape = operands.shape(0)?;
    let since = if operands.node.op_type == "ReduceSum" { 13 } else { 18 };
    let axes = operands.setting("axes", 1, since).ok()?.filter(|axes| !axes.is_empty());
    let reduced = match axes {
        Some(axes) => axes
            .iter()
            .map(|axis| place(*axis, shape.len()))
            .collect::<Option<Vec<_>>>()?,
        None if operands.integer("noop_with_empty_axes", 0) != 0 => return Some(shape.to_vec()),
        None => (0..shape.len()).collect(),
    };
    let keeps = operands.integer("keepdims", 1) != 0;
    let sizes = shape
        .iter()
        .enumerate()
        .filter_map(|(at, size)| match reduced.contains(&at) {
            true => keeps.then_some(Known(1)),
            false => Some(size.clone()),
        });
    Some(sizes.collect())
}
