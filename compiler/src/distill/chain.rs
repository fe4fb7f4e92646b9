//! Small networks between a student's maps and a teacher's: one layer after the other, as graphs.

use askd_models::{Conv2d, Graph, GraphBuilder, NodeId, Op, PROJECTOR, Shape};
use candle_core::Tensor;

use crate::nn::ops;
use crate::{Error, Result};

/// Output name of a chain.
pub(super) const OUTPUT: &str = "out";

/// A chain in the making. Its layers are `projector.conv1`, `projector.bn1`, `projector.relu1`, `projector.conv2` and on: by
/// that prefix they begin with PyTorch's default weights, as in the published codes.
pub(super) struct Chain {
    builder: GraphBuilder,
    last: NodeId,
    convolutions: usize,
}

impl Chain {
    /// Starts from maps `(C, H, W)`.
    pub(super) fn new(name: &str, from: [usize; 3]) -> Self {
        let builder = GraphBuilder::new(name, from);
        Self {
            last: builder.input(),
            builder,
            convolutions: 0,
        }
    }

    /// A convolution with stride 1 that keeps the size.
    pub(super) fn conv(mut self, out_channels: usize, kernel: usize, bias: bool) -> Result<Self> {
        self.convolutions += 1;
        let conv = Conv2d {
            in_channels: self.builder.shape(self.last).channels(),
            out_channels,
            kernel,
            stride: 1,
            padding: kernel / 2,
            groups: 1,
            bias,
        };
        self.last = self.builder.push(&self.layer("conv"), Op::Conv2d(conv), &[self.last])?;
        Ok(self)
    }

    /// Batch norm.
    pub(super) fn batch_norm(mut self) -> Result<Self> {
        self.last = self.builder.batch_norm(&self.layer("bn"), self.last)?;
        Ok(self)
    }

    /// `max(x, 0)`.
    pub(super) fn relu(mut self) -> Result<Self> {
        self.last = self.builder.relu(&self.layer("relu"), self.last)?;
        Ok(self)
    }

    /// The finished chain.
    pub(super) fn finish(self) -> Graph {
        self.builder.finish(&[(OUTPUT, self.last)])
    }

    fn layer(&self, kind: &str) -> String {
        format!("{PROJECTOR}.{kind}{}", self.convolutions)
    }
}

/// Shape `(C, H, W)` of a network's map.
///
/// # Errors
/// [`Error::Network`] if it has no such output, [`Error::InvalidValue`] if that is a vector.
pub(super) fn map_of(graph: &Graph, output: &str) -> Result<[usize; 3]> {
    match graph.output(output)?.shape {
        Shape::Map(map) => Ok(map),
        vector => Err(Error::invalid(output, format!("a map of {}", graph.name()), vector)),
    }
}

/// The student's map with the height and width at which it is compared with the teacher's: the smaller one's.
pub(super) fn compared_at([channels, h, w]: [usize; 3], [_, height, width]: [usize; 3]) -> [usize; 3] {
    [channels, h.min(height), w.min(width)]
}

/// Both maps with the height and width of the smaller one: the larger is adaptively average-pooled.
///
/// # Shapes
/// - `a`: `(N, C, H, W)`; `b`: `(N, D, I, J)`
/// - returns: `(N, C, min(H, I), min(W, J))`, `(N, D, min(H, I), min(W, J))`
pub(super) fn same_size(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    let ((_, _, h, w), (_, _, i, j)) = (a.dims4()?, b.dims4()?);
    let size = (h.min(i), w.min(j));
    let pooled = |map: &Tensor, from: (usize, usize)| {
        if from == size {
            return Ok(map.clone());
        }
        ops::adaptive_average_pool(map, size.0, size.1)
    };
    Ok((pooled(a, (h, w))?, pooled(b, (i, j))?))
}
