//! The model functions of the protocol.

use std::time::Duration;

use blackbox_am::{Candidates, Tensor, Values};

use crate::request::Request;

/// One model function, which counts its candidates.
pub struct Model {
    pub name: String,
    pub arguments: Request,
    pub pause: Duration,
    pub number: i64,
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

impl Model {
    pub fn measure(&mut self, candidates: &Candidates) -> Result<Values, Fault> {
        let inputs = candidates.stimuli.as_ref().unwrap_or(&candidates.latents);
        let rows = inputs.rows();
        std::thread::sleep(self.pause * rows as u32);
        if self.name == "units" {
            return self.units(inputs);
        }
        let mut scores = Vec::with_capacity(rows);
        for i in 0..rows {
            self.number += 1;
            scores.push(self.score(&inputs.row(i))?);
        }
        if self.name == "short" {
            scores.pop();
        }
        Ok(Values::Scores(scores))
    }

    fn score(&self, x: &[f64]) -> Result<f64, Fault> {
        let argument = |name: &str| self.arguments.optional_whole(name).unwrap_or(0);
        match self.name.as_str() {
            "sphere" | "short" => Ok(sphere(x)),
            "linear" => Ok(linear(x.iter().copied(), argument("shift") as usize)),
            "codes" => Ok(codes(x, argument("categories") as usize)),
            "mean" => Ok(x.iter().fold(0.0, |sum, value| sum + value) / x.len() as f64),
            "nan" if self.number % argument("every").max(1) == 0 => Ok(f64::NAN),
            "nan" => Ok(sphere(x)),
            "throws" if self.number > argument("after") => Err("the rig fell over".into()),
            "throws" => Ok(sphere(x)),
            other => Err(format!("unknown model {other:?}").into()),
        }
    }

    fn units(&mut self, inputs: &Tensor) -> Result<Values, Fault> {
        let units = self.arguments.optional_whole("units").unwrap_or(0) as usize;
        let mut values = Vec::new();
        for i in 0..inputs.rows() {
            self.number += 1;
            let x = inputs.row(i);
            values.extend((0..units).map(|j| linear(x.iter().copied(), j)));
        }
        Ok(Values::Activations(Tensor::float64(
            &values,
            &[inputs.rows(), units],
        )))
    }
}

fn sphere(x: &[f64]) -> f64 {
    -x.iter().fold(0.0, |sum, value| sum + value * value)
}

pub fn linear(x: impl Iterator<Item = f64>, shift: usize) -> f64 {
    x.enumerate().fold(0.0, |sum, (i, value)| {
        let weight = ((i + shift) % 7) as f64 - 3.0;
        sum + weight * value
    })
}

fn codes(x: &[f64], categories: usize) -> f64 {
    let right = |(i, code): &(usize, &f64)| **code == (i % categories.max(1)) as f64;
    x.iter().enumerate().filter(right).count() as f64
}
