//! One tensor of a checkpoint: a view of a storage.

use half::{bf16, f16};

use super::Damage;
use crate::weights::HostTensor;

/// A storage's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    BF16,
    F32,
    F64,
    /// Whole numbers or truth values of so many bytes.
    Integer(usize),
    /// Of so many bytes, and of no network here: complex and quantised numbers.
    Foreign(usize),
}

impl Element {
    /// That of one of PyTorch's storage classes.
    pub(super) fn of_class(name: &str) -> Option<Self> {
        Some(match name {
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "FloatStorage" => Self::F32,
            "DoubleStorage" => Self::F64,
            "BoolStorage" | "ByteStorage" | "CharStorage" => Self::Integer(1),
            "ShortStorage" => Self::Integer(2),
            "IntStorage" => Self::Integer(4),
            "LongStorage" => Self::Integer(8),
            "QInt8Storage" | "QUInt8Storage" => Self::Foreign(1),
            "QInt32Storage" => Self::Foreign(4),
            "ComplexFloatStorage" => Self::Foreign(8),
            "ComplexDoubleStorage" => Self::Foreign(16),
            _ => return None,
        })
    }

    /// Bytes of one.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Integer(size) | Self::Foreign(size) => size,
        }
    }
}

/// A storage as the pickle names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    pub(super) class: &'a str,
    pub(super) element: Element,
    /// Elements.
    pub(super) len: usize,
}

impl Storage<'_> {
    /// Bytes of all elements, if they can be counted.
    pub(super) fn bytes(&self) -> Result<usize, Damage> {
        let bytes = self.len.checked_mul(self.element.size());
        bytes.ok_or_else(|| format!("storage {:?} of {} elements", self.key, self.len))
    }
}

/// A tensor: the elements of its storage that it has, in order.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) name: &'a str,
    pub(super) storage: Storage<'a>,
    /// Elements before the first one.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// Elements from one index to the next, of each dimension.
    pub(super) strides: Vec<usize>,
}

impl View<'_> {
    /// Its elements, of which a storage has at least as many.
    pub(super) fn len(&self) -> Result<usize, Damage> {
        let elements = self.shape.iter().try_fold(1usize, |all, size| all.checked_mul(*size));
        elements
            .filter(|elements| *elements <= self.storage.len)
            .ok_or_else(|| {
                format!(
                    "tensor {:?} of shape {:?} in a storage of {} elements",
                    self.name, self.shape, self.storage.len
                )
            })
    }

    /// Its elements as f32; `bytes` are the storage's.
    pub(super) fn values(&self, bytes: &[u8]) -> Result<HostTensor, Damage> {
        let data = match self.storage.element {
            Element::F16 => self.gather(bytes, |value| f16::from_le_bytes(value).to_f32()),
            Element::BF16 => self.gather(bytes, |value| bf16::from_le_bytes(value).to_f32()),
            Element::F32 => self.gather(bytes, f32::from_le_bytes),
            Element::F64 => self.gather(bytes, |value| f64::from_le_bytes(value) as f32),
            Element::Integer(_) | Element::Foreign(_) => {
                Err(format!("tensor {:?} of {}", self.name, self.storage.class))
            }
        }?;
        Ok(HostTensor::new(self.shape.clone(), data))
    }

    fn gather<const N: usize>(&self, bytes: &[u8], decode: impl Fn([u8; N]) -> f32) -> Result<Vec<f32>, Damage> {
        let len = self.len()?;
        if len == 0 {
            return Ok(Vec::new());
        }
        let (elements, _) = bytes.as_chunks::<N>();
        let end = self.end().filter(|end| *end <= elements.len()).ok_or_else(|| {
            let (offset, shape, strides) = (self.offset, &self.shape, &self.strides);
            let storage = elements.len();
            format!(
                "tensor {:?} of shape {shape:?}, strides {strides:?} from element {offset} in a storage of {storage}",
                self.name
            )
        })?;
        if self.is_contiguous() {
            return Ok(elements[self.offset..end].iter().map(|value| decode(*value)).collect());
        }
        let mut positions = vec![self.offset];
        for (size, stride) in self.shape.iter().zip(&self.strides) {
            let along = |from: usize| (0..*size).map(move |index| from + index * stride);
            positions = positions.into_iter().flat_map(along).collect();
        }
        Ok(positions.into_iter().map(|at| decode(elements[at])).collect())
    }

    /// One past the last element, of a view that has any.
    fn end(&self) -> Option<usize> {
        let steps = self.shape.iter().zip(&self.strides);
        let last = steps.map(|(size, stride)| (size - 1).checked_mul(*stride));
        last.chain([Some(1)])
            .try_fold(self.offset, |end, step| end.checked_add(step?))
    }

    /// Whether the elements lie one behind the other, the last index the fastest.
    fn is_contiguous(&self) -> bool {
        let mut want = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(size, stride)| {
            let is_next = *size == 1 || *stride == want;
            want *= size;
            is_next
        })
    }
}
