//! The requests about candidates and their measurements.

use std::time::Duration;

use blackbox_am::v1::{Dtype, StudyState};
use blackbox_am::{AskOptions, Study, Values};
use serde_json::json;

use crate::models::Model;
use crate::request::{tensor, Request};
use crate::studies::state;
use crate::{Answer, Failure};

pub async fn carry_out(verb: &str, study: &Study, request: &Request) -> Answer {
    match verb {
        "ask" => ask(study, request).await,
        "tell" => tell(study, request).await,
        "renew" => {
            let lease = request
                .seconds("lease_s")
                .unwrap_or(Duration::from_secs(60));
            let held = study.renew(&request.text("lease_id")?, lease).await?;
            Ok(json!({"held": held}))
        }
        _ => ask_tell(study, request).await,
    }
}

/// The dtype in which stimuli are asked for.
pub fn dtype(request: &Request) -> Dtype {
    match request.optional_text("dtype").as_deref() {
        Some("float32") => Dtype::Float32,
        _ => Dtype::Uint8,
    }
}

fn options(request: &Request, stimuli: bool) -> AskOptions {
    AskOptions {
        max: request.optional_whole("n").unwrap_or(0) as i32,
        stimuli: stimuli.then(|| dtype(request)),
        lease: request.seconds("lease_s"),
        patience: Some(request.seconds("timeout_s").unwrap_or_default()),
    }
}

async fn ask(study: &Study, request: &Request) -> Answer {
    let found = study
        .ask(&options(request, request.flag("stimuli")))
        .await?;
    let ids: Vec<String> = found.ids.iter().map(u64::to_string).collect();
    Ok(json!({
        "candidate_ids": ids,
        "targets": found.targets,
        "generation": found.generation,
        "latents": tensor(&found.latents),
        "stimuli": found.stimuli.as_ref().map(tensor),
        "lease_id": found.lease_id,
        "lease_s": found.lease.as_secs_f64(),
        "state": state(StudyState::try_from(found.state).ok()),
        "done": found.done,
        "retry_after_s": found.retry_after.as_secs_f64(),
    }))
}

async fn tell(study: &Study, request: &Request) -> Answer {
    let values = if request.value("values").is_null() {
        Values::Scores(request.doubles("scores"))
    } else if request.flag("all_units") {
        Values::AllUnits(request.tensor("values")?)
    } else {
        Values::Activations(request.tensor("values")?)
    };
    let told = study.tell(&request.ids("candidate_ids"), &values).await?;
    Ok(json!({
        "accepted": told.accepted,
        "repeated": told.repeated,
        "state": state(StudyState::try_from(told.state).ok()),
        "generation": told.generation,
        "sequence": told.sequence,
        "done": told.done,
    }))
}

async fn ask_tell(study: &Study, request: &Request) -> Answer {
    let arguments = request.object("model");
    let pause = request.optional_whole("pause_ms").unwrap_or(0);
    let mut model = Model {
        name: arguments.text("name")?,
        arguments,
        pause: Duration::from_millis(u64::try_from(pause).unwrap_or(0)),
        number: 0,
    };
    let stimuli = request.optional_text("input").as_deref() == Some("stimuli");
    let asked = options(request, stimuli);
    let result = study
        .ask_tell(asked, |candidates| model.measure(candidates))
        .await
        .map_err(Failure::from)?;
    Ok(json!({"measured": result.measured, "calls": result.calls}))
}
