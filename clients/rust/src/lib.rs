//! A client of the service blackbox_am: gradient-free search for the stimuli that a unit of a
//! model responds to.
//!
//! ```no_run
//! # async fn example() -> Result<(), blackbox_am::Error> {
//! use blackbox_am::{AskOptions, Connect, Spec, Values};
//!
//! let client = Connect::to("localhost:50051").client_id("rig-2").connect().await?;
//! let study = client
//!     .create(Spec::of(["neuron:0"]).study_id("my-neuron").generator("cifar_vae"))
//!     .await?;
//! study
//!     .ask_tell(AskOptions::default(), |candidates| {
//!         Ok(Values::Scores(vec![0.0; candidates.ids.len()]))
//!     })
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod artifacts;
mod asking;
mod catalog;
mod chunks;
mod client;
mod connect;
mod error;
mod loopback;
mod oracle;
mod oracle_service;
mod reconnecting;
mod spec;
mod status;
mod study;
mod tensor;
mod watch;

/// The messages and services of the API.
pub mod v1 {
    #![allow(clippy::all, missing_docs)]
    tonic::include_proto!("blackbox_am.v1");
}

pub use asking::{AskOptions, AskTellResult, Candidates, TellResult, Values};
pub use client::Client;
pub use connect::{Connect, API_VERSION};
pub use error::{Error, Kind};
pub use oracle::{serve_oracle, Layer, Oracle, OracleServer, Stimuli, Unit};
pub use spec::Spec;
pub use study::{Best, Study};
pub use tensor::{Dtype, Tensor};
pub use watch::Watch;

/// The result of every call.
pub type Result<T> = std::result::Result<T, Error>;
