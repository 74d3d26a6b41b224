//! Serves a model that a server of blackbox_am can search: three units, each of which prefers one
//! colour. The configuration of the server names it:
//!
//!     [oracles.colours]
//!     kind = "remote"
//!     target = "localhost:50061"
//!
//! Usage: oracle [ADDRESS]

use std::process::ExitCode;

use blackbox_am::{serve_oracle, Layer, Oracle, Stimuli, Unit};

#[tokio::main]
async fn main() -> ExitCode {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "localhost:50061".to_owned());
    let oracle = Oracle {
        name: "colours".to_owned(),
        kind: "example".to_owned(),
        stimulus_shape: vec![3, 8, 8],
        layers: vec![Layer {
            name: "scores".to_owned(),
            kind: "scores".to_owned(),
            units: 3,
            labels: ["red", "green", "blue"].map(str::to_owned).to_vec(),
        }],
        deterministic: true,
        batch_size: 64,
        fingerprint: "colours-1".to_owned(),
        observe: Box::new(|stimuli, units| Ok(observe(stimuli, units))),
    };
    match serve_oracle(&address, oracle, None).await {
        Ok(server) => {
            println!("serving at {}", server.address);
            let _ = tokio::signal::ctrl_c().await;
            server.stop().await;
            println!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("oracle: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Unit j is the mean of channel j less half the means of the others.
fn observe(stimuli: &Stimuli, units: &[Unit]) -> Vec<Vec<f32>> {
    let response = |values: &[f32], unit: &Unit| {
        let size = values.len() / 3;
        let weight = |n: usize| if n / size == unit.index { 1.0 } else { -0.5 };
        let weighted = values
            .iter()
            .enumerate()
            .map(|(n, value)| weight(n) * f64::from(*value));
        (weighted.sum::<f64>() / size as f64) as f32
    };
    (0..stimuli.rows)
        .map(|i| {
            units
                .iter()
                .map(|unit| response(stimuli.row(i), unit))
                .collect()
        })
        .collect()
}
