//! Prints the events of a study until it ends, also over restarts of the server.
//!
//!     watch [SERVER [STUDY [AFTER_SEQUENCE]]]

use std::process::ExitCode;
use std::time::Duration;

use blackbox_am::v1::study_event::Event;
use blackbox_am::v1::StudyEvent;
use blackbox_am::{Connect, Error};

#[tokio::main]
async fn main() -> ExitCode {
    let server = argument(1, "localhost:50051");
    let study = argument(2, "rust-neuron");
    let mut last = argument(3, "0").parse().unwrap_or(0);
    let ended = tokio::select! {
        ended = run(&server, &study, &mut last) => Some(ended),
        _ = tokio::signal::ctrl_c() => None,
    };
    match ended {
        None => println!("stopped; continue after event {last}"),
        Some(Ok(())) => {}
        Some(Err(error)) => {
            eprintln!("watch: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn run(server: &str, name: &str, last: &mut i64) -> Result<(), Error> {
    let mut settings = Connect::to(server);
    if let Ok(token) = std::env::var("BLACKBOX_AM_TOKEN") {
        settings = settings.token(token);
    }
    let study = settings.connect().await?.study(name).await?;
    let mut watch = study.watch(*last, Duration::ZERO);
    while let Some(event) = watch.next().await? {
        *last = event.sequence;
        println!("{:6}  {}", event.sequence, in_words(&event));
    }
    Ok(())
}

fn in_words(event: &StudyEvent) -> String {
    match &event.event {
        Some(Event::GenerationClosed(closed)) => {
            format!(
                "generation {}: best so far {:?}",
                closed.generation, closed.best_so_far
            )
        }
        Some(Event::StateChanged(changed)) => {
            format!("{} {}", changed.state().as_str_name(), changed.message)
        }
        Some(other) => format!("{other:?}"),
        None => "an event of a later server".to_owned(),
    }
}

fn argument(place: usize, otherwise: &str) -> String {
    std::env::args()
        .nth(place)
        .unwrap_or_else(|| otherwise.to_owned())
}
