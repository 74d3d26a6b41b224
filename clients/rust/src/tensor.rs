//! Dense arrays.

use crate::error::{Error, Kind};
use crate::Result;

const MAX_AXES: usize = 32;

/// The type of the elements of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    Float32,
    Float64,
    Float16,
    Uint8,
    Int32,
    Int64,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Dtype::Uint8 => 1,
            Dtype::Float16 => 2,
            Dtype::Float32 | Dtype::Int32 => 4,
            Dtype::Float64 | Dtype::Int64 => 8,
        }
    }

    /// The dtype with this number on the wire.
    pub(crate) fn of_number(number: i32) -> Option<Dtype> {
        match number {
            1 => Some(Dtype::Float32),
            2 => Some(Dtype::Float64),
            3 => Some(Dtype::Float16),
            4 => Some(Dtype::Uint8),
            5 => Some(Dtype::Int32),
            6 => Some(Dtype::Int64),
            _ => None,
        }
    }

    /// The number of the dtype on the wire.
    pub(crate) fn number(self) -> i32 {
        match self {
            Dtype::Float32 => 1,
            Dtype::Float64 => 2,
            Dtype::Float16 => 3,
            Dtype::Uint8 => 4,
            Dtype::Int32 => 5,
            Dtype::Int64 => 6,
        }
    }
}

/// A dense array: row-major, little-endian.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: Vec<u8>,
}

impl Tensor {
    /// A tensor of float32.
    pub fn float32(values: &[f32], shape: &[usize]) -> Tensor {
        let data = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Tensor {
            dtype: Dtype::Float32,
            shape: shape.to_vec(),
            data,
        }
    }

    /// A tensor of float64.
    pub fn float64(values: &[f64], shape: &[usize]) -> Tensor {
        let data = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Tensor {
            dtype: Dtype::Float64,
            shape: shape.to_vec(),
            data,
        }
    }

    /// The length of the first axis; 0 without axes.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Row `i` of the first axis, converted to f64.
    pub fn row(&self, i: usize) -> Vec<f64> {
        let size = self.row_bytes();
        values(self.dtype, &self.data[i * size..(i + 1) * size])
    }

    /// All elements, converted to f64.
    pub fn to_f64(&self) -> Vec<f64> {
        values(self.dtype, &self.data)
    }

    /// Bytes of one row.
    pub(crate) fn row_bytes(&self) -> usize {
        self.data.len() / self.rows().max(1)
    }

    /// Rows `start` to `stop` (exclusive).
    pub(crate) fn slice(&self, start: usize, stop: usize) -> Tensor {
        let size = self.row_bytes();
        let mut shape = self.shape.clone();
        shape[0] = stop - start;
        let data = self.data[start * size..stop * size].to_vec();
        Tensor {
            dtype: self.dtype,
            shape,
            data,
        }
    }
}

/// The dtype, the lengths and the number of bytes that a header announces.
pub(crate) fn announced(
    number: i32,
    lengths: &[i64],
    field: &str,
) -> Result<(Dtype, Vec<usize>, usize)> {
    let wrong = |message: String| Error::new(Kind::ShapeMismatch, message).at(field);
    let dtype = Dtype::of_number(number).ok_or_else(|| {
        wrong(format!(
            "{field}: expected a dtype out of float32, float64, float16, uint8, int32, int64, got \
             number {number}; is the tensor filled in?"
        ))
    })?;
    if lengths.len() > MAX_AXES {
        return Err(wrong(format!(
            "{field}: expected at most {MAX_AXES} axes, got {}",
            lengths.len()
        )));
    }
    let mut size = dtype.size();
    let mut shape = Vec::with_capacity(lengths.len());
    for length in lengths {
        let length = usize::try_from(*length).ok();
        let product = length.and_then(|length| size.checked_mul(length));
        let (Some(length), Some(product)) = (length, product) else {
            return Err(wrong(format!(
                "{field}: no array has the shape {lengths:?}"
            )));
        };
        size = product;
        shape.push(length);
    }
    Ok((dtype, shape, size))
}

/// The tensor with these bytes.
pub(crate) fn filled(number: i32, lengths: &[i64], data: Vec<u8>, field: &str) -> Result<Tensor> {
    let (dtype, shape, size) = announced(number, lengths, field)?;
    if data.len() != size {
        let message = format!(
            "{field}: {dtype:?} of the shape {shape:?} is {size} bytes, got {}",
            data.len()
        );
        return Err(Error::new(Kind::ShapeMismatch, message).at(field));
    }
    Ok(Tensor { dtype, shape, data })
}

fn values(dtype: Dtype, data: &[u8]) -> Vec<f64> {
    match dtype {
        Dtype::Uint8 => data.iter().map(|value| f64::from(*value)).collect(),
        Dtype::Float16 => elements(data, |bytes| half(u16::from_le_bytes(bytes))),
        Dtype::Float32 => elements(data, |bytes| f64::from(f32::from_le_bytes(bytes))),
        Dtype::Float64 => elements(data, f64::from_le_bytes),
        Dtype::Int32 => elements(data, |bytes| f64::from(i32::from_le_bytes(bytes))),
        Dtype::Int64 => elements(data, |bytes| i64::from_le_bytes(bytes) as f64),
    }
}

fn elements<const N: usize>(data: &[u8], convert: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    let element = |bytes: &[u8]| {
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        convert(array)
    };
    data.chunks_exact(N).map(element).collect()
}

fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 1023);
    match i32::from((bits >> 10) & 31) {
        0 => sign * fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        exponent => sign * (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_converted() {
        let tensor = Tensor::float32(&[1.0, 2.5, -3.0, 4.0], &[2, 2]);
        assert_eq!(tensor.row(1), [-3.0, 4.0]);
        assert_eq!(tensor.slice(1, 2).to_f64(), [-3.0, 4.0]);
        assert_eq!(values(Dtype::Uint8, &[0, 255]), [0.0, 255.0]);
        assert_eq!(values(Dtype::Float16, &0x3c00u16.to_le_bytes()), [1.0]);
        assert_eq!(values(Dtype::Int64, &(-7i64).to_le_bytes()), [-7.0]);
    }

    #[test]
    fn a_wrong_shape_is_a_shape_mismatch() {
        for (number, lengths) in [
            (0, vec![1]),
            (1, vec![-1]),
            (1, vec![i64::MAX, 9]),
            (1, vec![1; 33]),
        ] {
            let error = announced(number, &lengths, "stimuli").unwrap_err();
            assert_eq!(
                (error.kind, error.field.as_str()),
                (Kind::ShapeMismatch, "stimuli")
            );
        }
        assert!(filled(1, &[2], vec![0; 7], "stimuli").is_err());
    }
}
