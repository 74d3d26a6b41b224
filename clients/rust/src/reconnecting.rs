//! Waiting for a server that is away.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind};
use crate::Result;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Waits longer after each attempt, up to a limit.
#[derive(Debug)]
pub(crate) struct Reconnecting {
    limit: Duration,
    pause: Duration,
    lost_since: Option<Instant>,
}

impl Reconnecting {
    pub(crate) fn new(limit: Duration) -> Reconnecting {
        Reconnecting {
            limit,
            pause: FIRST_PAUSE,
            lost_since: None,
        }
    }

    /// Notes that the server answered: a later failure counts as the first one.
    pub(crate) fn answered(&mut self) {
        self.pause = FIRST_PAUSE;
        self.lost_since = None;
    }

    /// Waits before the next attempt. Returns the error if it is no lost connection, or if the
    /// server did not come back in time.
    pub(crate) async fn failed(&mut self, error: Error) -> Result<()> {
        let since = *self.lost_since.get_or_insert_with(Instant::now);
        let wait = self.pause.max(error.retry_after.unwrap_or_default());
        if !error.is(Kind::ServerUnavailable) || since.elapsed() + wait > self.limit {
            return Err(error);
        }
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        tokio::time::sleep(wait).await;
        Ok(())
    }
}
