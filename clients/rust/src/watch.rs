//! Watching a study.

use std::sync::Arc;
use std::time::Duration;

use tonic::Streaming;

use crate::connect::Link;
use crate::error::Error;
use crate::reconnecting::Reconnecting;
use crate::{v1, Result};

/// The events of a study in order, until the study ends. After a lost connection they continue
/// after the last event, without gaps or repeats. Dropping it ends the watch; the study continues.
#[derive(Debug)]
pub struct Watch {
    link: Arc<Link>,
    request: v1::WatchStudyRequest,
    after: i64,
    attempts: Reconnecting,
    stream: Option<Streaming<v1::WatchStudyResponse>>,
    ended: bool,
}

impl Watch {
    pub(crate) fn new(link: Arc<Link>, name: String, after: i64, interval: Duration) -> Watch {
        let attempts = Reconnecting::new(link.reconnect);
        let request = v1::WatchStudyRequest {
            name,
            min_interval: Some(duration_of(interval)),
            ..Default::default()
        };
        Watch {
            link,
            request,
            after,
            attempts,
            stream: None,
            ended: false,
        }
    }

    /// Waits at most this long for a server that is away; as long as the client otherwise.
    pub fn reconnect(mut self, limit: Duration) -> Watch {
        self.attempts = Reconnecting::new(limit);
        self
    }

    /// The next event; None at the end of the study. An event of a kind that this client does not
    /// know has no `event`.
    ///
    /// The error is of the kind `ServerUnavailable` if the server did not come back in time, and
    /// `NotFound` if the study was deleted.
    pub async fn next(&mut self) -> Result<Option<v1::StudyEvent>> {
        while !self.ended {
            match self.update().await {
                Ok(Some(update)) => {
                    self.attempts.answered();
                    if let Some(v1::watch_study_response::Update::Event(event)) = update.update {
                        if event.sequence > self.after {
                            self.after = event.sequence;
                            return Ok(Some(event));
                        }
                    }
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.stream = None;
                    if let Err(error) = self.attempts.failed(error).await {
                        self.ended = true;
                        return Err(error);
                    }
                }
            }
        }
        Ok(None)
    }

    async fn update(&mut self) -> std::result::Result<Option<v1::WatchStudyResponse>, Error> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.opened().await?,
        };
        let update = stream.message().await;
        self.stream = Some(stream);
        update.map_err(|status| self.link.failure(status))
    }

    async fn opened(&self) -> Result<Streaming<v1::WatchStudyResponse>> {
        let mut request = self.request.clone();
        request.after_sequence = Some(self.after);
        let mut stub = self.link.studies.clone();
        // Without a time limit: the server answers with the first event.
        match stub.watch_study(request).await {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(self.link.failure(status)),
        }
    }
}

pub(crate) fn duration_of(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos() as i32,
    }
}

pub(crate) fn duration_from(message: Option<prost_types::Duration>) -> Duration {
    let message = message.unwrap_or_default();
    let seconds = u64::try_from(message.seconds).unwrap_or(0);
    Duration::new(seconds, u32::try_from(message.nanos).unwrap_or(0))
}
