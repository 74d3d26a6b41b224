//! Candidates, their measurements, and the loop over them.

use std::time::{Duration, Instant};

use crate::connect::SEND_BYTES;
use crate::error::{Error, Kind};
use crate::reconnecting::Reconnecting;
use crate::study::{message_of, tensor_of, Study};
use crate::tensor::{Dtype, Tensor};
use crate::v1::tell_request::Measurement;
use crate::watch::{duration_from, duration_of};
use crate::{v1, Result};

const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// The largest size of one candidate's id in a request.
const ID_BYTES: usize = 16;

/// What candidates to ask for.
#[derive(Clone, Debug, Default)]
pub struct AskOptions {
    /// The largest number of candidates; 0 for as many as fit into one message.
    pub max: i32,
    /// The dtype of rendered stimuli: `Uint8`, or `Float32`, which is exact; None for no stimuli.
    pub stimuli: Option<v1::Dtype>,
    /// How long the candidates are held for this client; 60 seconds without it.
    pub lease: Option<Duration>,
    /// The longest wait where others hold all candidates or the study is paused; no limit without
    /// it.
    pub patience: Option<Duration>,
}

/// Candidates to measure, held for this client for a limited time.
#[derive(Clone, Debug)]
pub struct Candidates {
    /// Numbers for [`Study::tell`].
    pub ids: Vec<u64>,
    /// The target of each candidate.
    pub targets: Vec<i32>,
    pub generation: i32,
    /// (N, D) float32, or int64 codes.
    pub latents: Tensor,
    /// (N, *stimulus); None unless asked for.
    pub stimuli: Option<Tensor>,
    pub lease_id: String,
    pub lease: Duration,
    /// A `v1::StudyState`, or a number of a later server.
    pub state: i32,
    /// The study has ended: there will be no candidates.
    pub done: bool,
    /// When to ask again where there are no candidates now.
    pub retry_after: Duration,
}

/// Measurements: one number, or one row of numbers, for each candidate; larger is better. NaN is a
/// measurement that failed.
#[derive(Clone, Debug)]
pub enum Values {
    /// One number for each candidate, for targets that read one unit.
    Scores(Vec<f64>),
    /// (N, U) floats: the units of each candidate's target, in the order of its objective.
    Activations(Tensor),
    /// (N, U) floats: all units of the study in each row, in the order of `Study.units`.
    AllUnits(Tensor),
}

/// What became of measurements.
#[derive(Clone, Debug, Default)]
pub struct TellResult {
    /// Rows that were new.
    pub accepted: i32,
    /// Rows that were told before, or are of a closed generation.
    pub repeated: i32,
    /// A `v1::StudyState`, or a number of a later server.
    pub state: i32,
    /// The open generation, and the number of the last event, afterwards.
    pub generation: i32,
    pub sequence: i64,
    /// The study has ended.
    pub done: bool,
}

/// What a loop did.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskTellResult {
    /// The number of candidates that the model measured, and of the model's calls.
    pub measured: usize,
    pub calls: usize,
}

impl Study {
    /// Candidates to measure. Waits where others hold all of them, where the study is paused, and
    /// for a server that is away.
    pub async fn ask(&self, options: &AskOptions) -> Result<Candidates> {
        let request = v1::AskRequest {
            name: self.name.clone(),
            max_candidates: options.max,
            with_stimuli: options.stimuli.is_some(),
            stimulus_dtype: options.stimuli.unwrap_or_default() as i32,
            lease_duration: options.lease.map(duration_of),
            client_id: self.link.client_id.clone(),
            session_id: self.link.session.clone(),
        };
        let started = Instant::now();
        loop {
            let found = candidates_of(self.ask_once(&request).await?)?;
            if !found.ids.is_empty() || found.done {
                return Ok(found);
            }
            let mut wait = found.retry_after.max(SHORTEST_WAIT);
            if let Some(patience) = options.patience {
                let left = patience.saturating_sub(started.elapsed());
                if left.is_zero() {
                    return Ok(found);
                }
                wait = wait.min(left);
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn ask_once(&self, request: &v1::AskRequest) -> Result<v1::AskResponse> {
        let mut attempts = Reconnecting::new(self.link.reconnect);
        loop {
            let mut stub = self.link.studies.clone();
            match self.link.call(stub.ask(request.clone())).await {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    /// Brings measurements. They are durable when it returns; telling them again is harmless.
    /// Waits for a server that is away.
    ///
    /// The error is of the kind `ShapeMismatch`, before anything is sent, unless there is one
    /// number or one row for each candidate, and `StudyClosed` if the study has ended.
    pub async fn tell(&self, ids: &[u64], values: &Values) -> Result<TellResult> {
        values.check(ids.len())?;
        let step = (SEND_BYTES / (ID_BYTES + values.row_bytes())).max(1);
        let mut result = TellResult::default();
        let mut start = 0;
        loop {
            let stop = (start + step).min(ids.len());
            let told = self
                .tell_once(&ids[start..stop], values.piece(start, stop))
                .await?;
            result = TellResult {
                accepted: result.accepted + told.accepted,
                repeated: result.repeated + told.repeated,
                state: told.state,
                generation: told.generation,
                sequence: told.sequence,
                done: told.done,
            };
            start = stop;
            if start == ids.len() {
                return Ok(result);
            }
        }
    }

    async fn tell_once(&self, ids: &[u64], piece: Measurement) -> Result<v1::TellResponse> {
        let request = v1::TellRequest {
            name: self.name.clone(),
            candidate_ids: ids.to_vec(),
            measurement: Some(piece),
        };
        let mut attempts = Reconnecting::new(self.link.reconnect);
        loop {
            let mut stub = self.link.studies.clone();
            match self.link.call(stub.tell(request.clone())).await {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    /// Extends a lease; returns the number of candidates that are still held.
    pub async fn renew(&self, lease_id: &str, lease: Duration) -> Result<i32> {
        let request = v1::RenewLeaseRequest {
            name: self.name.clone(),
            lease_id: lease_id.to_owned(),
            lease_duration: Some(duration_of(lease)),
        };
        let mut stub = self.link.studies.clone();
        Ok(self.link.call(stub.renew_lease(request)).await?.held)
    }

    /// Measures candidates with a model until the study has ended. Waits where the study is
    /// paused, where others hold all candidates, and for a server that is away.
    ///
    /// An error of the model stops the loop, and comes back as an error of the kind `Model` with
    /// its text. What was told before is kept; candidates that this client holds come back when it
    /// starts again under its name. The model runs on the thread of the task.
    pub async fn ask_tell<F>(&self, options: AskOptions, mut model: F) -> Result<AskTellResult>
    where
        F: FnMut(
            &Candidates,
        ) -> std::result::Result<Values, Box<dyn std::error::Error + Send + Sync>>,
    {
        let options = AskOptions {
            patience: None,
            ..options
        };
        let mut result = AskTellResult::default();
        loop {
            let candidates = self.ask(&options).await?;
            if candidates.done {
                return Ok(result);
            }
            result.calls += 1;
            let values =
                model(&candidates).map_err(|error| Error::new(Kind::Model, error.to_string()))?;
            values.check(candidates.ids.len())?;
            result.measured += candidates.ids.len();
            match self.tell(&candidates.ids, &values).await {
                // The study ended while the model measured: the next ask says so.
                Err(error) if error.is(Kind::StudyClosed) => continue,
                Err(error) => return Err(error),
                Ok(_) => continue,
            }
        }
    }
}

fn candidates_of(answer: v1::AskResponse) -> Result<Candidates> {
    let stimuli = match answer.stimuli {
        Some(stimuli) => Some(tensor_of(stimuli, "stimuli")?),
        None => None,
    };
    Ok(Candidates {
        ids: answer.candidate_ids,
        targets: answer.targets,
        generation: answer.generation,
        latents: tensor_of(answer.latents.unwrap_or_default(), "latents")?,
        stimuli,
        lease_id: answer.lease_id,
        lease: duration_from(answer.lease_duration),
        state: answer.state,
        done: answer.done,
        retry_after: duration_from(answer.retry_after),
    })
}

impl Values {
    fn check(&self, rows: usize) -> Result<()> {
        let (fits, got) = match self {
            Values::Scores(scores) => (scores.len() == rows, format!("{} numbers", scores.len())),
            Values::Activations(table) | Values::AllUnits(table) => {
                let float = matches!(table.dtype, Dtype::Float32 | Dtype::Float64);
                let bytes = table.shape.iter().product::<usize>() * table.dtype.size();
                let fits = float
                    && table.shape.len() == 2
                    && table.rows() == rows
                    && table.data.len() == bytes;
                (
                    fits,
                    format!("{:?} of the shape {:?}", table.dtype, table.shape),
                )
            }
        };
        if fits {
            return Ok(());
        }
        let message = format!(
            "values: expected one number, or one row of floats, for each of {rows} candidates, \
             got {got}"
        );
        Err(Error::new(Kind::ShapeMismatch, message).at("values"))
    }

    fn row_bytes(&self) -> usize {
        match self {
            Values::Scores(_) => 8,
            Values::Activations(table) | Values::AllUnits(table) => table.row_bytes(),
        }
    }

    fn piece(&self, start: usize, stop: usize) -> Measurement {
        let part = |table: &Tensor| {
            let rows = if start == stop {
                table.clone()
            } else {
                table.slice(start, stop)
            };
            let data = rows.data.clone();
            message_of(&rows, data)
        };
        match self {
            Values::Scores(scores) => Measurement::Scores(v1::Scores {
                values: scores[start..stop].to_vec(),
            }),
            Values::Activations(table) => Measurement::Activations(part(table)),
            Values::AllUnits(table) => Measurement::AllUnits(part(table)),
        }
    }
}
