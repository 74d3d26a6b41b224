//! The conformance driver of this client: one JSON request a line on standard input, one answer a
//! line on standard output. clients/conformance/PROTOCOL.md describes them.

mod asking;
mod catalog;
mod models;
mod request;
mod serving;
mod studies;
mod watching;

use std::collections::HashMap;
use std::io::{BufRead, Write};

use blackbox_am::{Client, Connect, Error, Kind, Study, API_VERSION};
use serde_json::{json, Value};

use request::Request;
use serving::Served;
use watching::Collected;

/// Why a request failed: an error of the client, or one of the driver itself.
pub enum Failure {
    Client(Error),
    Driver(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Client(error)
    }
}

pub type Answer = Result<Value, Failure>;

/// What the driver keeps between requests.
#[derive(Default)]
pub struct Driver {
    client: Option<Client>,
    watches: HashMap<String, Collected>,
    served: Option<Served>,
}

const VERBS: [&str; 33] = [
    "ask",
    "ask_tell",
    "best",
    "cancel",
    "close",
    "connect",
    "create_study",
    "delete",
    "describe_oracle",
    "extend",
    "generations",
    "get_study",
    "hello",
    "list_generators",
    "list_optimizers",
    "list_oracles",
    "list_studies",
    "list_units",
    "observe",
    "pause",
    "read_artifact",
    "render",
    "renew",
    "resume",
    "sample",
    "serve_oracle",
    "server_info",
    "stop_oracle",
    "tell",
    "wait",
    "watch_next",
    "watch_start",
    "watch_stop",
];

#[tokio::main]
async fn main() {
    let mut driver = Driver::default();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let answer = driver.answered(&line).await;
        let mut output = std::io::stdout();
        if writeln!(output, "{answer}")
            .and_then(|()| output.flush())
            .is_err()
        {
            break;
        }
    }
    if let Some(served) = driver.served.take() {
        served.stop().await;
    }
}

impl Driver {
    async fn answered(&mut self, line: &str) -> Value {
        let request = match serde_json::from_str(line) {
            Ok(value) => Request(value),
            Err(error) => {
                return json!({"id": null, "error": failure(Failure::Driver(error.to_string()))})
            }
        };
        let id = request.value("id").clone();
        match self.carry_out(&request).await {
            Ok(answer) => json!({"id": id, "ok": answer}),
            Err(error) => json!({"id": id, "error": failure(error)}),
        }
    }

    async fn carry_out(&mut self, request: &Request) -> Answer {
        let verb = request.text("do")?;
        match verb.as_str() {
            "hello" => Ok(json!({
                "language": "rust",
                "client_version": env!("CARGO_PKG_VERSION"),
                "api_version": API_VERSION,
                "verbs": VERBS,
            })),
            "connect" => self.connect(request).await,
            "close" => {
                self.disconnect();
                Ok(json!({}))
            }
            "serve_oracle" => self.serve_oracle(request).await,
            "stop_oracle" => self.stop_oracle().await,
            "watch_start" => self.watch_start(request),
            "watch_next" => self.watch_next(request).await,
            "watch_stop" => self.watch_stop(request),
            "ask" | "tell" | "renew" | "ask_tell" => {
                asking::carry_out(&verb, &self.study(request)?, request).await
            }
            "get_study" | "pause" | "resume" | "cancel" | "extend" | "delete" | "generations"
            | "best" | "wait" => studies::carry_out(&verb, &self.study(request)?, request).await,
            "create_study" => studies::create(self.client()?, request).await,
            "list_studies" => studies::list(self.client()?, request).await,
            other if VERBS.contains(&other) => {
                catalog::carry_out(other, self.client()?, request).await
            }
            other => Err(Failure::Driver(format!("unknown verb {other:?}"))),
        }
    }

    fn client(&self) -> Result<&Client, Failure> {
        self.client
            .as_ref()
            .ok_or_else(|| Failure::Driver("connect first".to_owned()))
    }

    fn study(&self, request: &Request) -> Result<Study, Failure> {
        Ok(self.client()?.handle(request.text("study_id")?))
    }

    fn disconnect(&mut self) {
        self.watches.clear();
        self.client = None;
    }

    async fn connect(&mut self, request: &Request) -> Answer {
        self.disconnect();
        let mut settings = Connect::to(request.text("target")?);
        if let Some(token) = request.optional_text("token") {
            settings = settings.token(token);
        }
        if let Some(name) = request.optional_text("client_id") {
            settings = settings.client_id(name);
        }
        if let Some(limit) = request.seconds("timeout_s") {
            settings = settings.timeout(limit);
        }
        let files = Request(request.value("tls").clone());
        if request.flag("tls") || files.0.is_object() {
            settings = settings.tls();
        }
        if let Some(ca) = files.file("ca")? {
            settings = settings.ca(ca);
        }
        if let (Some(pem), Some(key)) = (files.file("certificate")?, files.file("key")?) {
            settings = settings.certificate(pem, key);
        }
        self.client = Some(settings.connect().await?);
        Ok(json!({}))
    }
}

fn failure(failure: Failure) -> Value {
    match failure {
        Failure::Driver(message) => json!({
            "kind": "Driver", "reason": "", "message": message, "field": "", "retry_after_s": null,
        }),
        Failure::Client(error) => json!({
            "kind": error.kind.name(),
            "reason": if error.kind == Kind::Model { String::new() } else { error.reason },
            "message": error.message,
            "field": error.field,
            "retry_after_s": error.retry_after.map(|wait| wait.as_secs_f64()),
        }),
    }
}
