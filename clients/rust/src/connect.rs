//! Connecting to a server, and the ways of making a call.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status};

use crate::client::Client;
use crate::error::{Error, Kind};
use crate::loopback::is_loopback;
use crate::status::from_status;
use crate::v1::catalog_service_client::CatalogServiceClient;
use crate::v1::oracle_service_client::OracleServiceClient;
use crate::v1::study_service_client::StudyServiceClient;
use crate::Result;

/// The version of the service that this client speaks: MAJOR.MINOR.
pub const API_VERSION: &str = "0.1";

/// Requests that are larger are split, so that any server accepts them.
pub(crate) const SEND_BYTES: usize = 3 << 20;
pub(crate) const PAGE_SIZE: i32 = 1000;

/// How to connect to a server.
#[derive(Clone, Debug)]
pub struct Connect {
    target: String,
    token: Option<String>,
    tls: bool,
    ca: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    client_id: String,
    timeout: Duration,
    reconnect: Duration,
}

impl Connect {
    /// To the server at `target`, host:port.
    pub fn to(target: impl Into<String>) -> Connect {
        Connect {
            target: target.into(),
            token: None,
            tls: false,
            ca: None,
            identity: None,
            client_id: String::new(),
            timeout: Duration::from_secs(30),
            reconnect: Duration::from_secs(60),
        }
    }

    /// Sends a token with each call; without TLS only to an address of this machine.
    pub fn token(mut self, token: impl Into<String>) -> Connect {
        self.token = Some(token.into());
        self
    }

    /// Encrypts the connection, and trusts the certificates of the system.
    pub fn tls(mut self) -> Connect {
        self.tls = true;
        self
    }

    /// Encrypts the connection, and trusts these certificates, in PEM.
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Connect {
        self.tls = true;
        self.ca = Some(pem.into());
        self
    }

    /// The client's own certificate and its key, in PEM. It needs `tls` or `ca`.
    pub fn certificate(mut self, pem: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Connect {
        self.identity = Some((pem.into(), key.into()));
        self
    }

    /// The name of this client in leases, such as `rig-2`, which no other client may have at the
    /// same time. A client that starts again under its name gets the candidates that it held back
    /// at once; without a name they are handed out when their lease has expired.
    pub fn client_id(mut self, name: impl Into<String>) -> Connect {
        self.client_id = name.into();
        self
    }

    /// The time limit of each call; 30 seconds. Watches have none.
    pub fn timeout(mut self, limit: Duration) -> Connect {
        self.timeout = limit;
        self
    }

    /// The longest wait of `ask`, `tell`, `ask_tell` and `watch` for a server that is away; 60 s.
    pub fn reconnect(mut self, limit: Duration) -> Connect {
        self.reconnect = limit;
        self
    }

    /// Connects, and compares the versions of the API.
    ///
    /// The error is of the kind `ServerUnavailable` if no server answers, `Unsupported` if the
    /// server has another version, and `InvalidInput` for settings that do not fit together.
    pub async fn connect(self) -> Result<Client> {
        let bearer = self.bearer()?;
        let channel = self.endpoint()?.connect_lazy();
        let service = InterceptedService::new(channel, bearer);
        let link = Link {
            studies: StudyServiceClient::new(service.clone()).max_decoding_message_size(usize::MAX),
            catalog: CatalogServiceClient::new(service.clone())
                .max_decoding_message_size(usize::MAX),
            oracles: OracleServiceClient::new(service).max_decoding_message_size(usize::MAX),
            session: session(),
            target: self.target,
            client_id: self.client_id,
            timeout: self.timeout,
            reconnect: self.reconnect,
        };
        let client = Client::new(link);
        client.check_version().await?;
        Ok(client)
    }

    fn bearer(&self) -> Result<Bearer> {
        let Some(token) = &self.token else {
            return Ok(Bearer(None));
        };
        if !self.tls && !is_loopback(&self.target) {
            let message = format!(
                "a token for {} would be sent unencrypted; use TLS, or an address of this machine",
                self.target
            );
            return Err(Error::new(Kind::InvalidInput, message).at("token"));
        }
        let value = format!("Bearer {token}").parse().map_err(|_| {
            Error::new(Kind::InvalidInput, "a token has printable ASCII characters").at("token")
        })?;
        Ok(Bearer(Some(value)))
    }

    fn endpoint(&self) -> Result<Endpoint> {
        let scheme = if self.tls { "https" } else { "http" };
        let wrong = |error: tonic::transport::Error| {
            let message = format!("cannot connect to {}: {error}", self.target);
            Error::new(Kind::InvalidInput, message).at("target")
        };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.target))
            .map_err(wrong)?
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10));
        match (self.tls, &self.identity) {
            (true, _) => endpoint.tls_config(self.tls_config()).map_err(wrong),
            (false, None) => Ok(endpoint),
            (false, Some(_)) => Err(Error::new(
                Kind::InvalidInput,
                "a client's certificate needs TLS; call tls or ca",
            )
            .at("certificate")),
        }
    }

    fn tls_config(&self) -> ClientTlsConfig {
        let mut config = ClientTlsConfig::new();
        config = match &self.ca {
            Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
            None => config.with_native_roots(),
        };
        match &self.identity {
            Some((pem, key)) => config.identity(Identity::from_pem(pem, key)),
            None => config,
        }
    }
}

/// Adds the token to every call.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> std::result::Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

pub(crate) type Service = InterceptedService<Channel, Bearer>;

/// The connection to one server.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) studies: StudyServiceClient<Service>,
    pub(crate) catalog: CatalogServiceClient<Service>,
    pub(crate) oracles: OracleServiceClient<Service>,
    pub(crate) session: String,
    pub(crate) target: String,
    pub(crate) client_id: String,
    pub(crate) timeout: Duration,
    pub(crate) reconnect: Duration,
}

impl Link {
    /// Waits for the answer to one call.
    pub(crate) async fn call<T>(
        &self,
        answer: impl Future<Output = std::result::Result<Response<T>, Status>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.failure(status)),
            Err(_) => Err(self.late()),
        }
    }

    /// Waits for a result that takes several messages, at most as long as for one call.
    pub(crate) async fn within<T>(&self, result: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(self.timeout, result).await {
            Ok(result) => result,
            Err(_) => Err(self.late()),
        }
    }

    pub(crate) fn failure(&self, status: Status) -> Error {
        from_status(status, &self.target)
    }

    fn late(&self) -> Error {
        let message = format!(
            "{} did not answer in time; give it more time, or see what keeps it busy",
            self.target
        );
        Error::new(Kind::ServerUnavailable, message)
    }
}

/// A text that differs at each start of a program.
fn session() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}-{}", std::process::id(), now.as_nanos())
}
