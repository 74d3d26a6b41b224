//! The requests about watches, which continue in tasks of their own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use blackbox_am::v1::study_event::Event;
use blackbox_am::v1::{StudyEvent, StudyState};
use blackbox_am::{Error, Watch};
use serde_json::{json, Value};
use tokio::task::JoinHandle;

use crate::request::{double, Request};
use crate::studies::{state, stop_reason};
use crate::{Answer, Driver, Failure};

/// The events of one watch that were not fetched yet.
#[derive(Default)]
struct Waiting {
    events: Vec<Value>,
    ended: bool,
    error: Option<Error>,
}

/// A watch in the background; dropping it ends the watch.
pub struct Collected {
    waiting: Arc<Mutex<Waiting>>,
    task: JoinHandle<()>,
}

impl Drop for Collected {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Driver {
    pub fn watch_start(&mut self, request: &Request) -> Answer {
        let study = self.study(request)?;
        let after = request.optional_whole("after_sequence").unwrap_or(0);
        let interval = request.seconds("min_interval_s").unwrap_or_default();
        let mut watch = study.watch(after, interval);
        if let Some(limit) = request.seconds("reconnect_s") {
            watch = watch.reconnect(limit);
        }
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let task = tokio::spawn(collect(watch, waiting.clone()));
        self.watches
            .insert(request.text("watch")?, Collected { waiting, task });
        Ok(json!({}))
    }

    pub async fn watch_next(&mut self, request: &Request) -> Answer {
        let name = request.text("watch")?;
        let count = usize::try_from(request.whole("count")?).unwrap_or(0);
        let limit = request.seconds("timeout_s").unwrap_or_default();
        let found = self.watches.get(&name);
        let found = found.ok_or_else(|| Failure::Driver(format!("no watch {name:?}")))?;
        let started = Instant::now();
        loop {
            let late = started.elapsed() >= limit;
            if let Some(answer) = found.taken(count, late) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn watch_stop(&mut self, request: &Request) -> Answer {
        self.watches.remove(&request.text("watch")?);
        Ok(json!({}))
    }
}

impl Collected {
    /// Up to `count` events; None if there may soon be more of them.
    fn taken(&self, count: usize, late: bool) -> Option<Answer> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.events.len() < count && !waiting.ended && !late {
            return None;
        }
        if let (true, Some(error)) = (waiting.events.is_empty(), &waiting.error) {
            return Some(Err(error.clone().into()));
        }
        let count = count.min(waiting.events.len());
        let events: Vec<Value> = waiting.events.drain(..count).collect();
        let ended = waiting.ended && waiting.error.is_none() && waiting.events.is_empty();
        Some(Ok(json!({"events": events, "ended": ended})))
    }
}

async fn collect(mut watch: Watch, waiting: Arc<Mutex<Waiting>>) {
    loop {
        let next = watch.next().await;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match next {
            Ok(Some(event)) => waiting.events.push(event_json(&event)),
            Ok(None) => waiting.ended = true,
            Err(error) => {
                waiting.ended = true;
                waiting.error = Some(error);
            }
        }
        if waiting.ended {
            return;
        }
    }
}

fn event_json(event: &StudyEvent) -> Value {
    let sequence = event.sequence;
    let doubles = |values: &[f64]| values.iter().copied().map(double).collect::<Vec<Value>>();
    match &event.event {
        Some(Event::Created(_)) => json!({"sequence": sequence, "kind": "created"}),
        Some(Event::StateChanged(changed)) => json!({
            "sequence": sequence,
            "kind": "state_changed",
            "state": state(StudyState::try_from(changed.state).ok()),
            "stop_reason": stop_reason(changed.stop_reason),
            "message": changed.message,
        }),
        Some(Event::GenerationOpened(opened)) => json!({
            "sequence": sequence,
            "kind": "generation_opened",
            "generation": opened.generation,
            "candidates": opened.candidates,
        }),
        Some(Event::RowsTold(told)) => json!({
            "sequence": sequence,
            "kind": "rows_told",
            "generation": told.generation,
            "rows": told.rows,
            "failed": told.failed,
        }),
        Some(Event::GenerationClosed(closed)) => json!({
            "sequence": sequence,
            "kind": "generation_closed",
            "generation": closed.generation,
            "targets": closed.targets,
            "best_scores": doubles(&closed.best_scores),
            "mean_scores": doubles(&closed.mean_scores),
            "best_so_far": doubles(&closed.best_so_far),
            "total_rows": closed.total_rows,
        }),
        Some(Event::BudgetChanged(changed)) => json!({
            "sequence": sequence,
            "kind": "budget_changed",
            "queries_per_target": changed.budget.clone().unwrap_or_default().queries_per_target,
        }),
        Some(Event::Resumed(resumed)) => json!({
            "sequence": sequence,
            "kind": "resumed",
            "generation": resumed.generation,
            "exact": resumed.exact,
        }),
        Some(Event::Adopted(_)) => json!({"sequence": sequence, "kind": "adopted"}),
        Some(Event::BaselineMeasured(_)) => {
            json!({"sequence": sequence, "kind": "baseline_measured"})
        }
        Some(Event::BestRechecked(_)) => json!({"sequence": sequence, "kind": "best_rechecked"}),
        _ => json!({"sequence": sequence, "kind": ""}),
    }
}
