//! The arguments of a request, and values in JSON.

use std::time::Duration;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use blackbox_am::{Dtype, Tensor};
use serde_json::{json, Value};

use crate::Failure;

const DTYPES: [(&str, Dtype); 6] = [
    ("float32", Dtype::Float32),
    ("float64", Dtype::Float64),
    ("float16", Dtype::Float16),
    ("uint8", Dtype::Uint8),
    ("int32", Dtype::Int32),
    ("int64", Dtype::Int64),
];

/// A request; an argument that is missing is null.
pub struct Request(pub Value);

impl Request {
    pub fn value(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    fn needed<T>(&self, name: &str, value: Option<T>) -> Result<T, Failure> {
        value.ok_or_else(|| Failure::Driver(format!("the argument {name:?} is missing")))
    }

    pub fn optional_text(&self, name: &str) -> Option<String> {
        self.value(name).as_str().map(str::to_owned)
    }

    pub fn text(&self, name: &str) -> Result<String, Failure> {
        self.needed(name, self.optional_text(name))
    }

    pub fn flag(&self, name: &str) -> bool {
        self.value(name).as_bool().unwrap_or(false)
    }

    pub fn optional_whole(&self, name: &str) -> Option<i64> {
        self.value(name).as_i64()
    }

    pub fn whole(&self, name: &str) -> Result<i64, Failure> {
        self.needed(name, self.optional_whole(name))
    }

    pub fn optional_double(&self, name: &str) -> Option<f64> {
        number(self.value(name))
    }

    pub fn seconds(&self, name: &str) -> Option<Duration> {
        self.optional_double(name).map(Duration::from_secs_f64)
    }

    pub fn list(&self, name: &str) -> Vec<Value> {
        self.value(name).as_array().cloned().unwrap_or_default()
    }

    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.list(name);
        list.iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }

    pub fn doubles(&self, name: &str) -> Vec<f64> {
        self.list(name).iter().filter_map(number).collect()
    }

    pub fn ids(&self, name: &str) -> Vec<u64> {
        self.texts(name)
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect()
    }

    pub fn seed(&self, name: &str) -> Option<i64> {
        self.optional_text(name).and_then(|text| text.parse().ok())
    }

    pub fn object(&self, name: &str) -> Request {
        Request(self.value(name).clone())
    }

    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let text = self.text(name)?;
        STANDARD
            .decode(text)
            .map_err(|error| Failure::Driver(error.to_string()))
    }

    /// The content of the file with the name in an argument.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let Some(path) = self.optional_text(name) else {
            return Ok(None);
        };
        let content = std::fs::read(&path);
        content
            .map(Some)
            .map_err(|error| Failure::Driver(format!("{path}: {error}")))
    }

    pub fn tensor(&self, name: &str) -> Result<Tensor, Failure> {
        let tensor = self.object(name);
        let dtype = tensor.text("dtype")?;
        let known = DTYPES.into_iter().find(|(name, _)| *name == dtype);
        let lengths = tensor.list("shape");
        Ok(Tensor {
            dtype: self.needed("dtype", known)?.1,
            shape: lengths
                .iter()
                .filter_map(Value::as_u64)
                .map(|n| n as usize)
                .collect(),
            data: tensor.bytes("data")?,
        })
    }
}

/// A number; also one of the names of numbers that JSON lacks.
fn number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

pub fn double(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        json!(value)
    }
}

pub fn tensor(tensor: &Tensor) -> Value {
    let known = DTYPES.into_iter().find(|(_, dtype)| *dtype == tensor.dtype);
    json!({
        "dtype": known.map(|(name, _)| name),
        "shape": tensor.shape,
        "data": bytes(&tensor.data),
    })
}

pub fn bytes(data: &[u8]) -> String {
    STANDARD.encode(data)
}
