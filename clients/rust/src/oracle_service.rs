//! An oracle on the wire.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::chunks::{split, TensorJoiner, MAX_STREAM_BYTES};
use crate::error::{Error, Kind};
use crate::oracle::{Oracle, Stimuli, Unit};
use crate::status::to_status;
use crate::study::{message_of, tensor_of};
use crate::tensor::{announced, Dtype, Tensor};
use crate::v1::{observe_stream_request, observe_stream_response, oracle_service_server};
use crate::{v1, Result};

type Answer<T> = std::result::Result<Response<T>, Status>;

pub(crate) struct OracleService {
    oracle: Arc<Oracle>,
}

impl OracleService {
    pub(crate) fn new(oracle: Oracle) -> OracleService {
        OracleService {
            oracle: Arc::new(oracle),
        }
    }

    /// Measures on a thread for blocking work.
    async fn measured(&self, stimuli: Tensor, units: Vec<Unit>, batch: usize) -> Result<Tensor> {
        let oracle = self.oracle.clone();
        let work = move || activations(&oracle, &stimuli, &units, batch);
        match tokio::task::spawn_blocking(work).await {
            Ok(found) => found,
            Err(panic) => {
                let message = format!("the model failed: {panic}");
                Err(Error::new(Kind::OracleFailed, message))
            }
        }
    }

    async fn received(
        &self,
        mut parts: Streaming<v1::ObserveStreamRequest>,
    ) -> std::result::Result<(Tensor, Vec<Unit>), Status> {
        use observe_stream_request::Part;
        let mut joined = TensorJoiner::new("stimuli", MAX_STREAM_BYTES);
        let mut units = Vec::new();
        while let Some(message) = parts.message().await? {
            let added = match message.part {
                Some(Part::Header(header)) => match units_of(&self.oracle, &header) {
                    Ok(found) => {
                        units = found;
                        let stimuli = header.stimuli.unwrap_or_default();
                        check(&self.oracle, &stimuli).and_then(|()| joined.header(stimuli))
                    }
                    Err(error) => Err(error),
                },
                Some(Part::Chunk(chunk)) => joined.chunk(&chunk),
                None => Err(joined.unexpected()),
            };
            added.map_err(to_status)?;
        }
        Ok((joined.result().map_err(to_status)?, units))
    }
}

#[tonic::async_trait]
impl oracle_service_server::OracleService for OracleService {
    type ObserveStreamStream =
        Pin<Box<dyn Stream<Item = std::result::Result<v1::ObserveStreamResponse, Status>> + Send>>;

    async fn describe_oracle(
        &self,
        request: Request<v1::DescribeOracleRequest>,
    ) -> Answer<v1::DescribeOracleResponse> {
        check_name(&self.oracle, &request.into_inner().oracle).map_err(to_status)?;
        Ok(Response::new(description(&self.oracle)))
    }

    async fn observe(&self, request: Request<v1::ObserveRequest>) -> Answer<v1::ObserveResponse> {
        let request = request.into_inner();
        let units = units_of(&self.oracle, &request).map_err(to_status)?;
        let message = request.stimuli.unwrap_or_default();
        check(&self.oracle, &message).map_err(to_status)?;
        let stimuli = tensor_of(message, "stimuli").map_err(to_status)?;
        let rows = stimuli.rows();
        let found = self
            .measured(stimuli, units, rows)
            .await
            .map_err(to_status)?;
        let activations = Some(message_of(&found, found.data.clone()));
        Ok(Response::new(v1::ObserveResponse { activations }))
    }

    async fn observe_stream(
        &self,
        request: Request<Streaming<v1::ObserveStreamRequest>>,
    ) -> Answer<Self::ObserveStreamStream> {
        use observe_stream_response::Part;
        let (stimuli, units) = self.received(request.into_inner()).await?;
        let batch = self.oracle.batch_size;
        let found = self
            .measured(stimuli, units, batch)
            .await
            .map_err(to_status)?;
        let activations = Some(message_of(&found, Vec::new()));
        let mut parts = vec![Part::Header(v1::ObserveResponse { activations })];
        parts.extend(split(&found.data).into_iter().map(Part::Chunk));
        let messages = parts
            .into_iter()
            .map(|part| Ok(v1::ObserveStreamResponse { part: Some(part) }));
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }
}

fn description(oracle: &Oracle) -> v1::DescribeOracleResponse {
    let layer = |layer: &crate::oracle::Layer| v1::Layer {
        name: layer.name.clone(),
        kind: layer.kind.clone(),
        shape: vec![layer.units as i32],
        axes: vec!["unit".to_owned()],
        units: layer.units as i32,
        labels: layer.labels.clone(),
        ..Default::default()
    };
    v1::DescribeOracleResponse {
        oracle: oracle.name.clone(),
        kind: oracle.kind.clone(),
        capabilities: vec![v1::Capability::Scores as i32, v1::Capability::Units as i32],
        deterministic: oracle.deterministic,
        stimulus_shape: oracle
            .stimulus_shape
            .iter()
            .map(|length| *length as i32)
            .collect(),
        layers: oracle.layers.iter().map(layer).collect(),
        batch_size: oracle.batch_size as i32,
        fingerprint: oracle.fingerprint.clone(),
        ..Default::default()
    }
}

fn check_name(oracle: &Oracle, name: &str) -> Result<()> {
    if name.is_empty() || name == oracle.name {
        return Ok(());
    }
    let message = format!(
        "this server has the oracle {:?}, and none with the name {name:?}",
        oracle.name
    );
    Err(Error::new(Kind::NotFound, message).at("oracle"))
}

/// Checks the oracle's name, and returns the units of a request.
fn units_of(oracle: &Oracle, request: &v1::ObserveRequest) -> Result<Vec<Unit>> {
    check_name(oracle, &request.oracle)?;
    let places = request.units.iter().enumerate();
    places
        .map(|(place, address)| oracle.unit(address, place))
        .collect()
}

/// Checks the dtype and the shape of stimuli.
fn check(oracle: &Oracle, stimuli: &v1::Tensor) -> Result<()> {
    let (dtype, shape, _) = announced(stimuli.dtype, &stimuli.shape, "stimuli")?;
    let numbers = matches!(dtype, Dtype::Float32 | Dtype::Float64 | Dtype::Uint8);
    if numbers && !shape.is_empty() && shape[1..] == oracle.stimulus_shape[..] {
        return Ok(());
    }
    let message = format!(
        "stimuli: expected float32, float64 or uint8 of the shape (N, {:?}), got {dtype:?} of the \
         shape {shape:?}",
        oracle.stimulus_shape
    );
    Err(Error::new(Kind::ShapeMismatch, message).at("stimuli"))
}

/// (N, U) activations, measured in batches.
fn activations(oracle: &Oracle, stimuli: &Tensor, units: &[Unit], batch: usize) -> Result<Tensor> {
    let rows = stimuli.rows();
    let mut values: Vec<f32> = Vec::with_capacity(rows * units.len());
    let mut start = 0;
    while start < rows {
        let stop = (start + batch.max(1)).min(rows);
        let piece = unit_interval(&stimuli.slice(start, stop));
        let found = (oracle.observe)(&piece, units).map_err(typed)?;
        if found.len() != piece.rows || found.iter().any(|row| row.len() != units.len()) {
            let message = format!(
                "the model returned another shape than {} rows of {} numbers",
                piece.rows,
                units.len()
            );
            return Err(Error::new(Kind::OracleFailed, message));
        }
        values.extend(found.into_iter().flatten());
        start = stop;
    }
    Ok(Tensor::float32(&values, &[rows, units.len()]))
}

/// The values of stimuli; uint8 from 0..255 to 0..1.
fn unit_interval(stimuli: &Tensor) -> Stimuli {
    let values = match stimuli.dtype {
        Dtype::Uint8 => stimuli
            .data
            .iter()
            .map(|value| f32::from(*value) / 255.0)
            .collect(),
        _ => stimuli
            .to_f64()
            .into_iter()
            .map(|value| value as f32)
            .collect(),
    };
    Stimuli {
        rows: stimuli.rows(),
        values,
    }
}

/// The error of a model, as a typed one.
fn typed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    match error.downcast::<Error>() {
        Ok(known) => *known,
        Err(other) => Error::new(Kind::OracleFailed, format!("the model failed: {other}")),
    }
}
