//! The operations a network is made of: their shapes, their parameters, their cost.
//!
//! Letters: C channels, H height, W width, K classes. Shapes are those of one image: the batch is not part of a graph.

use std::fmt;

/// What a batch norm adds to the variance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Epsilon {
    /// 1e-5: PyTorch's default.
    ///
    /// Source: `torch.nn.BatchNorm2d`, argument `eps`.
    #[default]
    PyTorch,
    /// 1e-3: TensorFlow's default, of networks whose weights come from there.
    ///
    /// Source: `tf.keras.layers.BatchNormalization`, argument `epsilon`.
    TensorFlow,
}

impl Epsilon {
    /// The number.
    pub fn value(self) -> f64 {
        match self {
            Self::PyTorch => 1e-5,
            Self::TensorFlow => 1e-3,
        }
    }
}

/// Shape of what a node outputs for one image.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A feature map `(C, H, W)`.
    Map([usize; 3]),
    /// A vector `(K)`.
    Vector(usize),
}

impl Shape {
    /// Number of values for one image.
    pub fn elements(&self) -> usize {
        match self {
            Self::Map([c, h, w]) => c * h * w,
            Self::Vector(k) => *k,
        }
    }

    /// Channels of a map, or length of a vector.
    pub fn channels(&self) -> usize {
        match self {
            Self::Map([c, _, _]) => *c,
            Self::Vector(k) => *k,
        }
    }

    /// Whether the two differ in their channels at most.
    fn joins(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Map([_, h, w]), Self::Map([_, other_h, other_w])) => (h, w) == (other_h, other_w),
            (Self::Vector(_), Self::Vector(_)) => true,
            _ => false,
        }
    }

    /// The dimensions without the batch.
    pub fn dims(&self) -> Vec<usize> {
        match self {
            Self::Map(dims) => dims.to_vec(),
            Self::Vector(k) => vec![*k],
        }
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map([c, h, w]) => write!(f, "({c}, {h}, {w})"),
            Self::Vector(k) => write!(f, "({k})"),
        }
    }
}

/// A two-dimensional convolution with square kernel, stride and padding.
///
/// Source: ONNX `Conv`, <https://onnx.ai/onnx/operators/onnx__Conv.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Channels in.
    pub in_channels: usize,
    /// Channels out.
    pub out_channels: usize,
    /// Kernel height and width, pixels.
    pub kernel: usize,
    /// Step between output pixels, input pixels.
    pub stride: usize,
    /// Zeros added on every side, pixels.
    pub padding: usize,
    /// Number of groups the channels are split into; both channel counts are multiples of it.
    pub groups: usize,
    /// Whether a bias `(out_channels)` is added.
    pub bias: bool,
}

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// The image: `(C, H, W)`, normalised, or raw pixels where [`Op::Normalise`] reads it.
    Input,
    /// Raw pixels `0..=255` to `(p - mean) / std` for each channel, mean and std in units of a pixel; without the one or the other
    /// where another node does it.
    ///
    /// Only the input is read by it: a network that has one takes images as cameras give them, `u8` in the order `(H, W, C)`.
    Normalise {
        /// Channels.
        channels: usize,
        /// Whether the mean is subtracted.
        shift: bool,
        /// Whether the standard deviation divides.
        scale: bool,
    },
    /// Convolution.
    Conv2d(Conv2d),
    /// Batch normalisation over `channels`.
    BatchNorm {
        /// Channels.
        channels: usize,
        /// What is added to the variance.
        epsilon: Epsilon,
    },
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    ///
    /// Source: Krizhevsky 2010, "Convolutional Deep Belief Networks on CIFAR-10"; `torch.nn.ReLU6`.
    Relu6,
    /// Sum of two maps of the same shape.
    Add,
    /// Mean of two or more inputs of one shape, element by element.
    ///
    /// Source: ONNX `Mean`, <https://onnx.ai/onnx/operators/onnx__Mean.html>.
    Mean,
    /// Two or more maps of one height and width, or vectors, one behind the other along their channels.
    ///
    /// Source: ONNX `Concat`, <https://onnx.ai/onnx/operators/onnx__Concat.html>.
    Concat,
    /// Option-A shortcut: every `stride`-th pixel, zero channels before and after.
    ///
    /// Source: He et al. 2015, arXiv:1512.03385, section 4.2; layout of the zero channels as in the `resnet.py` whose
    /// checkpoints are in use (a quarter of the planes on each side).
    SubsamplePad {
        /// Step between kept pixels.
        stride: usize,
        /// Zero channels in front.
        before: usize,
        /// Zero channels behind.
        after: usize,
    },
    /// A map with zeros around it.
    ///
    /// Source: ONNX `Pad`, <https://onnx.ai/onnx/operators/onnx__Pad.html>, along axes 2 and 3.
    ZeroPad {
        /// Rows above.
        top: usize,
        /// Rows below.
        bottom: usize,
        /// Columns on the left.
        left: usize,
        /// Columns on the right.
        right: usize,
    },
    /// Channels `(groups, C / groups)` in the order `(C / groups, groups)`: each later group meets channels of all.
    ///
    /// Source: Zhang et al. 2017, ShuffleNet, arXiv:1707.01083, section 3.1.
    ChannelShuffle {
        /// Groups, a divisor of the channels.
        groups: usize,
    },
    /// Some of a map's channels, from one on.
    ///
    /// Source: ONNX `Slice`, <https://onnx.ai/onnx/operators/onnx__Slice.html>, along axis 1.
    Channels {
        /// The first, from 0.
        from: usize,
        /// How many.
        count: usize,
    },
    /// Maximum over windows of a map padded with minus infinity (`torch.nn.MaxPool2d` without `ceil_mode` and dilation).
    ///
    /// Source: ONNX `MaxPool`, <https://onnx.ai/onnx/operators/onnx__MaxPool.html>.
    MaxPool {
        /// Height and width of the window, pixels.
        kernel: usize,
        /// Step between windows, input pixels.
        stride: usize,
        /// Pixels added on every side; fewer than `kernel`, so that no window is empty.
        padding: usize,
    },
    /// Average over windows of a map padded with zeros, which count (`torch.nn.AvgPool2d` without `ceil_mode`).
    ///
    /// Source: ONNX `AveragePool`, <https://onnx.ai/onnx/operators/onnx__AveragePool.html>, with `count_include_pad`.
    AveragePool {
        /// Height and width of the window, pixels.
        kernel: usize,
        /// Step between windows, input pixels.
        stride: usize,
        /// Pixels added on every side; fewer than `kernel`, so that no window is empty.
        padding: usize,
    },
    /// Average over bins so that the map becomes `height` x `width` (`torch.nn.AdaptiveAvgPool2d`).
    AdaptiveAveragePool {
        /// Rows out.
        height: usize,
        /// Columns out.
        width: usize,
    },
    /// Average over all pixels: `(C, H, W)` to `(C)`.
    GlobalAveragePool,
    /// Fully connected layer with bias.
    Linear {
        /// Values in.
        in_features: usize,
        /// Values out.
        out_features: usize,
    },
}

/// What a parameter is to the optimiser and to batch norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A convolution's or linear layer's weight.
    Weight,
    /// A convolution's or linear layer's bias.
    Bias,
    /// Batch norm's scale.
    Scale,
    /// Batch norm's shift.
    Shift,
    /// Batch norm's running mean: kept, not trained.
    RunningMean,
    /// Batch norm's running variance: kept, not trained.
    RunningVariance,
    /// Mean of the pixels of a channel: a fact of the data.
    PixelMean,
    /// Standard deviation of the pixels of a channel: a fact of the data.
    PixelDeviation,
}

impl Role {
    /// Whether gradient descent moves it.
    pub fn is_trained(self) -> bool {
        match self {
            Self::Weight | Self::Bias | Self::Scale | Self::Shift => true,
            Self::RunningMean | Self::RunningVariance | Self::PixelMean | Self::PixelDeviation => false,
        }
    }
}

/// One tensor that a node owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Full name, as in the PyTorch checkpoint: `layer1.0.conv1.weight`.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// What it is.
    pub role: Role,
}

impl Op {
    /// Short name for tables, as ONNX calls it where there is one.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Normalise { .. } => "Normalise",
            Self::Conv2d(_) => "Conv",
            Self::BatchNorm { .. } => "BatchNormalization",
            Self::Relu => "Relu",
            Self::Relu6 => "Relu6",
            Self::Add => "Add",
            Self::Mean => "Mean",
            Self::Concat => "Concat",
            Self::SubsamplePad { .. } => "SubsamplePad",
            Self::ZeroPad { .. } => "ZeroPad",
            Self::ChannelShuffle { .. } => "ChannelShuffle",
            Self::Channels { .. } => "Channels",
            Self::MaxPool { .. } => "MaxPool",
            Self::AveragePool { .. } => "AveragePool",
            Self::AdaptiveAveragePool { .. } => "AdaptiveAveragePool",
            Self::GlobalAveragePool => "GlobalAveragePool",
            Self::Linear { .. } => "Linear",
        }
    }

    /// Output shape for these input shapes; `Err` holds what the operation takes.
    pub(crate) fn infer(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match (self, inputs) {
            (Self::Conv2d(conv), [Shape::Map([c, h, w])]) if conv.fits(*c, *h, *w) => {
                Ok(Shape::Map([conv.out_channels, conv.extent(*h), conv.extent(*w)]))
            }
            (Self::Conv2d(conv), _) => Err(format!(
                "one map with {} channels, at least {} pixels a side with padding, channels divisible by {} groups",
                conv.in_channels, conv.kernel, conv.groups
            )),
            (Self::BatchNorm { channels, .. } | Self::Normalise { channels, .. }, [Shape::Map([c, h, w])])
                if c == channels =>
            {
                Ok(Shape::Map([*c, *h, *w]))
            }
            (Self::BatchNorm { channels, .. } | Self::Normalise { channels, .. }, _) => {
                Err(format!("one map with {channels} channels"))
            }
            (Self::Relu | Self::Relu6, [shape]) => Ok(*shape),
            (Self::Relu | Self::Relu6, _) => Err("one input".to_owned()),
            (Self::Add, [a, b]) if a == b => Ok(*a),
            (Self::Add, _) => Err("two inputs of one shape".to_owned()),
            (Self::Mean, [first, rest @ ..]) if !rest.is_empty() && rest.iter().all(|shape| shape == first) => {
                Ok(*first)
            }
            (Self::Mean, _) => Err("two or more inputs of one shape".to_owned()),
            (Self::Concat, [first, rest @ ..]) if !rest.is_empty() && rest.iter().all(|shape| shape.joins(first)) => {
                let channels = inputs.iter().map(Shape::channels).sum();
                Ok(match first {
                    Shape::Map([_, h, w]) => Shape::Map([channels, *h, *w]),
                    Shape::Vector(_) => Shape::Vector(channels),
                })
            }
            (Self::Concat, _) => Err("two or more vectors, or maps of one height and width".to_owned()),
            (Self::SubsamplePad { stride, before, after }, [Shape::Map([c, h, w])]) if *stride > 0 => Ok(Shape::Map([
                before + c + after,
                h.div_ceil(*stride),
                w.div_ceil(*stride),
            ])),
            (Self::SubsamplePad { .. }, _) => Err("one map and a stride of at least 1".to_owned()),
            (
                Self::ZeroPad {
                    top,
                    bottom,
                    left,
                    right,
                },
                [Shape::Map([c, h, w])],
            ) => Ok(Shape::Map([*c, top + h + bottom, left + w + right])),
            (Self::ZeroPad { .. }, _) => Err("one map".to_owned()),
            (Self::ChannelShuffle { groups }, [Shape::Map([c, h, w])]) if *groups > 0 && c.is_multiple_of(*groups) => {
                Ok(Shape::Map([*c, *h, *w]))
            }
            (Self::ChannelShuffle { groups }, _) => Err(format!("one map of channels divisible by {groups} groups")),
            (Self::Channels { from, count }, [Shape::Map([c, h, w])])
                if *count > 0 && from.checked_add(*count).is_some_and(|end| end <= *c) =>
            {
                Ok(Shape::Map([*count, *h, *w]))
            }
            (Self::Channels { from, count }, _) => Err(format!(
                "one map with channels {from} to {}",
                from.saturating_add(*count)
            )),
            (
                Self::MaxPool {
                    kernel,
                    stride,
                    padding,
                }
                | Self::AveragePool {
                    kernel,
                    stride,
                    padding,
                },
                [Shape::Map([c, h, w])],
            ) if *stride > 0 && padding < kernel && (*h).min(*w) + 2 * padding >= *kernel => {
                let extent = |pixels| windows(pixels, *kernel, *stride, *padding);
                Ok(Shape::Map([*c, extent(*h), extent(*w)]))
            }
            (Self::MaxPool { kernel, padding, .. } | Self::AveragePool { kernel, padding, .. }, _) => Err(format!(
                "one map of at least {kernel} pixels a side with padding, a stride of at least 1, a kernel above the padding \
                 of {padding}"
            )),
            (Self::AdaptiveAveragePool { height, width }, [Shape::Map([c, h, w])])
                if (1..=*h).contains(height) && (1..=*w).contains(width) =>
            {
                Ok(Shape::Map([*c, *height, *width]))
            }
            (Self::AdaptiveAveragePool { height, width }, _) => Err(format!("one map of at least {height}x{width}")),
            (Self::GlobalAveragePool, [Shape::Map([c, _, _])]) => Ok(Shape::Vector(*c)),
            (Self::GlobalAveragePool, _) => Err("one map".to_owned()),
            (
                Self::Linear {
                    in_features,
                    out_features,
                },
                [Shape::Vector(k)],
            ) if k == in_features => Ok(Shape::Vector(*out_features)),
            (Self::Linear { in_features, .. }, _) => Err(format!("one vector of {in_features}")),
            (Self::Input, _) => Err("no inputs".to_owned()),
        }
    }

    /// The tensors a node of this operation owns, in PyTorch's order.
    pub(crate) fn parameters(&self, node: &str) -> Vec<Parameter> {
        let parameter = |suffix: &str, shape: Vec<usize>, role| Parameter {
            name: format!("{node}.{suffix}"),
            shape,
            role,
        };
        match self {
            Self::Conv2d(c) => {
                let shape = vec![c.out_channels, c.in_channels / c.groups, c.kernel, c.kernel];
                let mut all = vec![parameter("weight", shape, Role::Weight)];
                if c.bias {
                    all.push(parameter("bias", vec![c.out_channels], Role::Bias));
                }
                all
            }
            Self::BatchNorm { channels, .. } => vec![
                parameter("weight", vec![*channels], Role::Scale),
                parameter("bias", vec![*channels], Role::Shift),
                parameter("running_mean", vec![*channels], Role::RunningMean),
                parameter("running_var", vec![*channels], Role::RunningVariance),
            ],
            Self::Normalise { channels, shift, scale } => {
                [(*shift, "mean", Role::PixelMean), (*scale, "std", Role::PixelDeviation)]
                    .into_iter()
                    .filter(|(present, ..)| *present)
                    .map(|(_, suffix, role)| parameter(suffix, vec![*channels], role))
                    .collect()
            }
            Self::Linear {
                in_features,
                out_features,
            } => vec![
                parameter("weight", vec![*out_features, *in_features], Role::Weight),
                parameter("bias", vec![*out_features], Role::Bias),
            ],
            _ => Vec::new(),
        }
    }
}

impl Conv2d {
    fn fits(&self, channels: usize, height: usize, width: usize) -> bool {
        channels == self.in_channels
            && self.groups > 0
            && self.stride > 0
            && self.in_channels.is_multiple_of(self.groups)
            && self.out_channels.is_multiple_of(self.groups)
            && height.min(width) + 2 * self.padding >= self.kernel
    }

    fn extent(&self, pixels: usize) -> usize {
        windows(pixels, self.kernel, self.stride, self.padding)
    }
}

/// How many windows fit side by side into `pixels` with the padding of both ends.
fn windows(pixels: usize, kernel: usize, stride: usize, padding: usize) -> usize {
    (pixels + 2 * padding - kernel) / stride + 1
}
