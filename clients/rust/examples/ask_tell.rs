//! Searches the receptive field of a simulated neuron: the server proposes points, and this
//! program measures them.
//!
//!     ask_tell [SERVER [STUDY]]
//!
//! Ctrl-C ends it after the batch that it measures; started again it continues the study.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use blackbox_am::v1::{Space, SpaceKind};
use blackbox_am::{AskOptions, Candidates, Connect, Error, Kind, Spec, Values};

const DIMENSION: i32 = 16;

#[tokio::main]
async fn main() -> ExitCode {
    let server = argument(1, "localhost:50051");
    let study = argument(2, "rust-neuron");
    tokio::select! {
        ended = run(&server, &study) => match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if error.kind == Kind::Model => {
                println!("{error}; start it again to continue");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("ask_tell: {error}");
                ExitCode::FAILURE
            }
        },
        () = interrupted_twice() => ExitCode::FAILURE,
    }
}

async fn run(server: &str, name: &str) -> Result<(), Error> {
    let mut settings = Connect::to(server).client_id("rust-example");
    if let Ok(token) = std::env::var("BLACKBOX_AM_TOKEN") {
        settings = settings.token(token);
    }
    let client = settings.connect().await?;
    let space = Space {
        kind: SpaceKind::Normal as i32,
        dimension: DIMENSION,
        ..Default::default()
    };
    let spec = Spec::of(["neuron:0"])
        .study_id(name)
        .space(space)
        .queries_per_target(2000);
    let study = client.create(spec).await?;
    let stopped = stop_at_ctrl_c();
    let result = study
        .ask_tell(AskOptions::default(), |candidates| {
            if stopped.load(Ordering::Relaxed) {
                return Err("stopped".into());
            }
            Ok(measure(candidates))
        })
        .await?;
    println!("measured {} candidates", result.measured);
    for best in study.best(None, &[]).await? {
        let message = best.message;
        println!(
            "{}: {:.4} in generation {}",
            message.title, message.score, message.generation
        );
    }
    Ok(())
}

/// The response of a neuron that prefers one point.
fn measure(candidates: &Candidates) -> Values {
    let response = |i: usize| {
        let distance: f64 = candidates
            .latents
            .row(i)
            .iter()
            .enumerate()
            .map(|(j, x)| (x - (j as f64).sin()).powi(2))
            .sum();
        (-distance / f64::from(DIMENSION)).exp()
    };
    Values::Scores((0..candidates.ids.len()).map(response).collect())
}

/// Becomes true at Ctrl-C: the loop then ends before its next batch, so that nothing measured is
/// lost.
fn stop_at_ctrl_c() -> Arc<AtomicBool> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = stopped.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, Ordering::Relaxed);
        }
    });
    stopped
}

/// For a loop that waits for a server, or for a paused study.
async fn interrupted_twice() {
    for _ in 0..2 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn argument(place: usize, otherwise: &str) -> String {
    std::env::args()
        .nth(place)
        .unwrap_or_else(|| otherwise.to_owned())
}
