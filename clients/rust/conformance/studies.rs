//! The requests about studies.

use std::collections::HashMap;

use blackbox_am::v1::{self, StopReason, StudyState};
use blackbox_am::{Client, Spec, Study};
use prost_types::value::Kind;
use serde_json::{json, Value};

use crate::asking::dtype;
use crate::request::{bytes, double, tensor, Request};
use crate::{Answer, Failure};

pub async fn carry_out(verb: &str, study: &Study, request: &Request) -> Answer {
    let found = match verb {
        "get_study" => study.get().await?,
        "pause" => study.pause().await?,
        "resume" => study.resume(request.flag("adopt")).await?,
        "cancel" => study.cancel().await?,
        "extend" => study.extend(budget(request)).await?,
        "wait" => wait(study, request).await?,
        "generations" => return generations(study, request).await,
        "best" => return best(study, request).await,
        _ => {
            study.delete().await?;
            return Ok(json!({}));
        }
    };
    Ok(json!({"study": study_json(&found)}))
}

pub async fn create(client: &Client, request: &Request) -> Answer {
    let mut message = spec(&request.object("spec"))?.request();
    message.study_id = request.optional_text("study_id").unwrap_or_default();
    message.request_id = request.optional_text("request_id").unwrap_or_default();
    message.validate_only = request.flag("validate_only");
    message.adopt = request.flag("adopt");
    let study = client.create_from(message).await?;
    let created = study.created.unwrap_or_default();
    let seed = created.spec.and_then(|spec| spec.seed);
    Ok(json!({
        "study_id": study.id,
        "seed": seed.map(|seed| seed.to_string()),
        "population": created.population,
    }))
}

pub async fn list(client: &Client, request: &Request) -> Answer {
    let named = |name: String| StudyState::from_str_name(&format!("STUDY_STATE_{name}"));
    let states: Vec<StudyState> = request
        .texts("states")
        .into_iter()
        .filter_map(named)
        .collect();
    let found = client.studies(&states, labels(request)).await?;
    let entry = |study: &v1::Study| json!({"study_id": id_of(study), "state": state_of(study)});
    Ok(json!({"studies": found.iter().map(entry).collect::<Vec<Value>>()}))
}

fn labels(request: &Request) -> HashMap<String, String> {
    let object = request
        .value("labels")
        .as_object()
        .cloned()
        .unwrap_or_default();
    let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    object
        .into_iter()
        .map(|(key, value)| (key, text(value)))
        .collect()
}

fn spec(from: &Request) -> Result<Spec, Failure> {
    let mut spec = Spec::of(Vec::<String>::new());
    for target in from.list("targets") {
        let units = match target {
            Value::Array(units) => units,
            unit => vec![unit],
        };
        let names = units.iter().filter_map(Value::as_str).map(str::to_owned);
        spec = spec.target(names.collect());
    }
    if let Some(name) = from.optional_text("generator") {
        spec = spec.generator(name);
    }
    if !from.value("space").is_null() {
        spec = spec.space(space(&from.object("space"))?);
    }
    if let Some(name) = from.optional_text("oracle") {
        spec = spec.oracle(name);
    }
    if let Some(name) = from.optional_text("optimizer") {
        spec = spec.optimizer(name);
    }
    for (name, value) in from
        .value("parameters")
        .as_object()
        .cloned()
        .unwrap_or_default()
    {
        spec = spec.parameter(name, plain(&value));
    }
    if let Some(queries) = from.optional_whole("queries_per_target") {
        spec = spec.queries_per_target(queries as i32);
    }
    if let Some(seconds) = from.optional_double("seconds") {
        spec = spec.seconds(seconds);
    }
    if let Some(score) = from.optional_double("target_score") {
        spec = spec.target_score(score);
    }
    if let Some(generations) = from.optional_whole("patience") {
        spec = spec.patience(generations as i32);
    }
    if let Some(seed) = from.seed("seed") {
        spec = spec.seed(seed);
    }
    for (key, value) in labels(from) {
        spec = spec.label(key, value);
    }
    Ok(spec)
}

fn plain(value: &Value) -> Kind {
    match value {
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::String(text) => Kind::StringValue(text.clone()),
        other => Kind::NumberValue(other.as_f64().unwrap_or(f64::NAN)),
    }
}

fn space(from: &Request) -> Result<v1::Space, Failure> {
    let name = format!("SPACE_KIND_{}", from.text("kind")?.to_uppercase());
    Ok(v1::Space {
        kind: v1::SpaceKind::from_str_name(&name).unwrap_or_default() as i32,
        dimension: from.optional_whole("dimension").unwrap_or(0) as i32,
        radius: from.optional_double("radius"),
        low: from.doubles("low"),
        high: from.doubles("high"),
        categories: from.optional_whole("categories").unwrap_or(0) as i32,
        ..Default::default()
    })
}

fn budget(from: &Request) -> v1::Budget {
    v1::Budget {
        queries_per_target: from.optional_whole("queries_per_target").unwrap_or(0) as i32,
        seconds: from.optional_double("seconds"),
        target_score: from.optional_double("target_score"),
        patience: from
            .optional_whole("patience")
            .map(|patience| patience as i32),
        ..Default::default()
    }
}

async fn wait(study: &Study, request: &Request) -> Result<v1::Study, Failure> {
    let ended = match request.seconds("timeout_s") {
        None => Some(study.wait().await?),
        Some(limit) => match tokio::time::timeout(limit, study.wait()).await {
            Ok(found) => Some(found?),
            Err(_) => None,
        },
    };
    match ended {
        Some(found) => Ok(found),
        None => Ok(study.get().await?),
    }
}

async fn generations(study: &Study, request: &Request) -> Answer {
    let after = request.optional_whole("after").map(|after| after as i32);
    let found = study.generations(after).await?;
    let entry = |generation: v1::Generation| {
        let scores = generation.scores.unwrap_or_default();
        json!({
            "generation": generation.generation,
            "targets": generation.targets,
            "scores": {"dtype": "float64", "shape": scores.shape, "data": bytes(&scores.data)},
        })
    };
    Ok(json!({"generations": found.into_iter().map(entry).collect::<Vec<Value>>()}))
}

async fn best(study: &Study, request: &Request) -> Answer {
    let stimuli = request.flag("stimuli").then(|| dtype(request));
    let targets: Vec<i32> = request
        .list("targets")
        .iter()
        .filter_map(Value::as_i64)
        .map(|n| n as i32)
        .collect();
    let mut found = Vec::new();
    for best in study.best(stimuli, &targets).await? {
        found.push(json!({
            "target": best.message.target,
            "title": best.message.title,
            "score": double(best.message.score),
            "generation": best.message.generation,
            "row": best.message.row,
            "latent": tensor(&best.latent),
            "stimulus": best.stimulus.as_ref().map(tensor),
        }));
    }
    Ok(json!({"best": found}))
}

/// The name of a state without its prefix; None is a number of a later server.
pub fn state(state: Option<StudyState>) -> String {
    named(state.map(|known| known.as_str_name()), "STUDY_STATE_")
}

pub fn stop_reason(number: i32) -> String {
    named(
        StopReason::try_from(number)
            .ok()
            .map(|known| known.as_str_name()),
        "STOP_REASON_",
    )
}

fn named(name: Option<&str>, prefix: &str) -> String {
    match name.map(|name| name.trim_start_matches(prefix)) {
        None => "UNKNOWN".to_owned(),
        Some("UNSPECIFIED") => String::new(),
        Some(name) => name.to_owned(),
    }
}

fn state_of(study: &v1::Study) -> String {
    state(StudyState::try_from(study.state).ok())
}

fn id_of(study: &v1::Study) -> &str {
    study.name.trim_start_matches("studies/")
}

fn study_json(study: &v1::Study) -> Value {
    let accounting = study.accounting.clone().unwrap_or_default();
    let budget = study.spec.as_ref().and_then(|spec| spec.budget.clone());
    let target = |target: &v1::TargetProgress| {
        json!({
            "target": target.target,
            "title": target.title,
            "finished": target.finished,
            "stop_reason": stop_reason(target.stop_reason),
            "queries": target.queries,
            "best_score": target.best_score.map(double),
        })
    };
    json!({
        "study_id": id_of(study),
        "state": state_of(study),
        "stop_reason": stop_reason(study.stop_reason),
        "message": study.message,
        "sequence": study.sequence,
        "generation": study.generation,
        "search_rows": accounting.search_rows,
        "failed_rows": accounting.failed_rows,
        "queries_per_target": budget.unwrap_or_default().queries_per_target,
        "targets": study.targets.iter().map(target).collect::<Vec<Value>>(),
    })
}
