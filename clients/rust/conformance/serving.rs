//! The requests about an oracle that the driver serves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use blackbox_am::{serve_oracle, Error, Kind, Layer, Oracle, OracleServer, Stimuli, Unit};
use serde_json::{json, Value};

use crate::models::linear;
use crate::request::Request;
use crate::{Answer, Driver, Failure};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The oracle that the driver serves, and the calls of its observe function and rows in them.
pub struct Served {
    server: OracleServer,
    calls: Arc<AtomicUsize>,
    rows: Arc<AtomicUsize>,
}

impl Served {
    pub async fn stop(self) -> Value {
        self.server.stop().await;
        let (calls, rows) = (
            self.calls.load(Ordering::SeqCst),
            self.rows.load(Ordering::SeqCst),
        );
        json!({"calls": calls, "rows": rows})
    }
}

impl Driver {
    pub async fn serve_oracle(&mut self, request: &Request) -> Answer {
        if let Some(before) = self.served.take() {
            before.stop().await;
        }
        let (calls, rows) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted_calls, counted_rows) = (calls.clone(), rows.clone());
        let model = request.text("model")?;
        let error = request.optional_text("error").unwrap_or_default();
        let observe = move |stimuli: &Stimuli, units: &[Unit]| {
            counted_calls.fetch_add(1, Ordering::SeqCst);
            counted_rows.fetch_add(stimuli.rows, Ordering::SeqCst);
            (0..stimuli.rows)
                .map(|i| activations(&model, &error, stimuli.row(i), units))
                .collect()
        };
        let lengths = request.list("stimulus_shape");
        let oracle = Oracle {
            name: request.text("name")?,
            kind: "conformance".to_owned(),
            stimulus_shape: lengths
                .iter()
                .filter_map(Value::as_u64)
                .map(|n| n as usize)
                .collect(),
            layers: vec![Layer {
                name: "out".to_owned(),
                kind: "scores".to_owned(),
                units: usize::try_from(request.whole("units")?).unwrap_or(0),
                labels: Vec::new(),
            }],
            deterministic: true,
            batch_size: 16,
            fingerprint: "conformance-1".to_owned(),
            observe: Box::new(observe),
        };
        let port = request.optional_whole("port").unwrap_or(0);
        let server = serve_oracle(&format!("127.0.0.1:{port}"), oracle, None).await?;
        let address = server.address.to_string();
        self.served = Some(Served {
            server,
            calls,
            rows,
        });
        Ok(json!({"address": address}))
    }

    pub async fn stop_oracle(&mut self) -> Answer {
        match self.served.take() {
            Some(served) => Ok(served.stop().await),
            None => Err(Failure::Driver("no oracle is served".to_owned())),
        }
    }
}

/// The activations of one stimulus.
fn activations(model: &str, error: &str, x: &[f32], units: &[Unit]) -> Result<Vec<f32>, Fault> {
    match model {
        "unit_sums" => Ok(units.iter().map(|unit| unit_sum(x, unit.index)).collect()),
        "first" => Ok(units.iter().map(|unit| x[unit.index]).collect()),
        "raises" => {
            let kind = Kind::named(error).unwrap_or(Kind::BlackboxError);
            Err(Box::new(Error::new(kind, "no memory for this batch")))
        }
        _ => Err("the rig fell over".into()),
    }
}

fn unit_sum(x: &[f32], unit: usize) -> f32 {
    if x[0] == 0.0 {
        return f32::NAN;
    }
    linear(x.iter().map(|value| f64::from(*value)), unit) as f32
}
