//! A model of yours that others can search.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Server, ServerTlsConfig};

use crate::error::{Error, Kind};
use crate::oracle_service::OracleService;
use crate::v1::oracle_service_server::OracleServiceServer;
use crate::Result;

/// The longest single message that a served oracle reads.
const MAX_MESSAGE_BYTES: usize = 32 << 20;

/// A layer with the units `name:0` to `name:units-1`.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    pub name: String,
    /// `scores` is the model's own output.
    pub kind: String,
    pub units: usize,
    /// Names of the units, where they have any.
    pub labels: Vec<String>,
}

/// A unit that a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub layer: String,
    pub index: usize,
}

/// A batch of stimuli with values in [0, 1].
#[derive(Clone, Debug)]
pub struct Stimuli {
    /// The number of stimuli, at least 1.
    pub rows: usize,
    /// (rows, *stimulus), row-major.
    pub values: Vec<f32>,
}

impl Stimuli {
    /// The values of stimulus `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        let size = self.values.len() / self.rows;
        &self.values[i * size..(i + 1) * size]
    }
}

/// What an observe function returns: one row for each stimulus, with one number for each unit; NaN
/// where a measurement failed. An error that is an [`Error`] comes to the caller as it is, another
/// one as `OracleFailed`.
pub type Observed = std::result::Result<Vec<Vec<f32>>, Box<dyn std::error::Error + Send + Sync>>;

/// A model: a server of blackbox_am with an oracle of the kind `remote` calls it.
pub struct Oracle {
    /// On the wire; a request without a name means this oracle, too.
    pub name: String,
    /// The kind of the model, in a word.
    pub kind: String,
    /// The shape of one stimulus.
    pub stimulus_shape: Vec<usize>,
    pub layers: Vec<Layer>,
    /// The same stimuli always give the same activations.
    pub deterministic: bool,
    /// The number of rows that one call serves best, and the largest number of rows of a call for
    /// ObserveStream.
    pub batch_size: usize,
    /// Changes whenever the model changes; empty where nobody knows.
    pub fingerprint: String,
    /// Measures stimuli. It runs on threads for blocking work, several at once.
    pub observe: Box<dyn Fn(&Stimuli, &[Unit]) -> Observed + Send + Sync>,
}

/// A server of an oracle. It ends when it is stopped or dropped.
pub struct OracleServer {
    /// Address of the server.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::result::Result<(), tonic::transport::Error>>,
}

/// Serves an oracle at `address`, host:port; a free port where the port is 0. It serves
/// OracleService and grpc.health.v1.Health, encrypted where `tls` is given.
pub async fn serve_oracle(
    address: &str,
    oracle: Oracle,
    tls: Option<ServerTlsConfig>,
) -> Result<OracleServer> {
    if oracle.layers.is_empty() || oracle.layers.iter().any(|layer| layer.units == 0) {
        let message = "expected at least one layer, and at least one unit in each";
        return Err(Error::new(Kind::InvalidSpec, message).at("layers"));
    }
    let wrong = |error: String| {
        let message = format!("cannot serve at {address}: {error}");
        Error::new(Kind::InvalidInput, message).at("address")
    };
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| wrong(error.to_string()))?;
    let bound = listener
        .local_addr()
        .map_err(|error| wrong(error.to_string()))?;
    let (_, health) = tonic_health::server::health_reporter();
    let mut builder = Server::builder();
    if let Some(tls) = tls {
        builder = builder
            .tls_config(tls)
            .map_err(|error| wrong(error.to_string()))?;
    }
    let service = OracleServiceServer::new(OracleService::new(oracle))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let (stop, stopped) = oneshot::channel::<()>();
    let router = builder.add_service(health).add_service(service);
    let serving = router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
        let _ = stopped.await; // also when the sender is dropped
    });
    Ok(OracleServer {
        address: bound,
        stop: Some(stop),
        served: tokio::spawn(serving),
    })
}

impl OracleServer {
    /// Ends the server after the calls that it serves.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = self.served.await;
    }
}

impl Oracle {
    /// The unit of an address `layer:index`, in which the layer may stand in quotes.
    pub(crate) fn unit(&self, address: &str, place: usize) -> Result<Unit> {
        if let Some((layer, index)) = address.rsplit_once(':') {
            let layer = unquoted(layer);
            let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
            let index = index.parse::<usize>().ok().filter(|_| digits);
            let known = self.layers.iter().find(|known| known.name == layer);
            if let (Some(index), Some(known)) = (index, known) {
                if index < known.units {
                    return Ok(Unit { layer, index });
                }
            }
        }
        let units: Vec<String> = self
            .layers
            .iter()
            .map(|layer| format!("{0}:0 to {0}:{1}", layer.name, layer.units - 1))
            .collect();
        let message = format!(
            "the oracle has no unit {address:?}; it has {}",
            units.join(", ")
        );
        Err(Error::new(Kind::UnknownUnit, message).at(format!("units[{place}]")))
    }
}

/// The name of a layer without quotes around it, and without their backslashes.
fn unquoted(layer: &str) -> String {
    let inner = layer
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => layer.to_owned(),
    }
}
