//! Tests against a real server in a process of its own, which is killed and started again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use blackbox_am::v1::{Space, SpaceKind, StudyState};
use blackbox_am::{AskOptions, Candidates, Connect, Kind, Spec, Values};

const TINY: &str = "[server]\nshipped = false\ndevice = \"cpu\"\n\
                    [generators.tiny]\nkind = \"pixels\"\nshape = [3, 4, 4]\n";

/// A server process. It is killed when this value is dropped.
struct Server {
    folder: PathBuf,
    address: String,
    process: Child,
}

impl Server {
    /// None where BLACKBOX_AM_PYTHON names no Python with blackbox_am.
    fn start(name: &str) -> Option<Server> {
        let folder = std::env::temp_dir().join(format!("bam-rust-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).ok()?;
        std::fs::write(folder.join("c.toml"), TINY).ok()?;
        let (process, address) = launch(&folder, "127.0.0.1:0")?;
        Some(Server {
            folder,
            address,
            process,
        })
    }

    fn kill_and_start_again(&mut self) {
        self.process.kill().expect("a running server");
        self.process.wait().expect("a killed server");
        let (process, _) = launch(&self.folder, &self.address).expect("a server");
        self.process = process;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn launch(folder: &Path, address: &str) -> Option<(Child, String)> {
    let ready = folder.join("ready");
    let _ = std::fs::remove_file(&ready);
    let process = Command::new(std::env::var_os("BLACKBOX_AM_PYTHON")?)
        .args([
            "-m",
            "blackbox_am.cli",
            "serve",
            "--address",
            address,
            "--store",
        ])
        .arg(folder.join("s.sqlite3"))
        .arg("--config")
        .arg(folder.join("c.toml"))
        .arg("--ready-file")
        .arg(&ready)
        .spawn()
        .expect("a Python");
    for _ in 0..1800 {
        if let Ok(text) = std::fs::read_to_string(&ready) {
            if !text.trim().is_empty() {
                return Some((process, text.trim().to_owned()));
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the server does not start");
}

fn tiny(id: &str, queries: i32) -> Spec {
    let space = Space {
        kind: SpaceKind::Normal as i32,
        dimension: 4,
        ..Default::default()
    };
    Spec::of(["neuron:0"])
        .study_id(id)
        .space(space)
        .queries_per_target(queries)
        .seed(7)
}

fn sphere(candidates: &Candidates) -> Values {
    let score = |i| -candidates.latents.row(i).iter().map(|x| x * x).sum::<f64>();
    Values::Scores((0..candidates.ids.len()).map(score).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn studies_and_typed_errors() {
    let Some(server) = Server::start("studies") else {
        return;
    };
    let client = Connect::to(&server.address)
        .client_id("rig")
        .connect()
        .await
        .unwrap();
    let study = client.create(tiny("whole", 60)).await.unwrap();
    let result = study
        .ask_tell(AskOptions::default(), |c| Ok(sphere(c)))
        .await
        .unwrap();
    assert_eq!(result.measured, 60);
    assert_eq!(study.wait().await.unwrap().state(), StudyState::Succeeded);
    assert_eq!(study.best(None, &[]).await.unwrap().len(), 1);

    let error = client.create(tiny("whole", 60).seed(8)).await.unwrap_err();
    assert!(error.kind == Kind::StudyExists && error.is(Kind::Conflict));
    assert_eq!(
        client.study("nowhere").await.unwrap_err().kind,
        Kind::NotFound
    );

    let study = client.create(tiny("fails", 60)).await.unwrap();
    let short = study
        .ask_tell(AskOptions::default(), |_| Ok(Values::Scores(vec![])))
        .await;
    assert_eq!(short.unwrap_err().kind, Kind::ShapeMismatch);
    let fell = study
        .ask_tell(AskOptions::default(), |_| Err("the rig fell over".into()))
        .await;
    let fell = fell.unwrap_err();
    assert_eq!(
        (fell.kind, fell.message.as_str()),
        (Kind::Model, "the rig fell over")
    );

    let data = vec![7u8; 3 << 20];
    let digest = client.write_artifact(&data).await.unwrap();
    assert_eq!(client.read_artifact(&digest).await.unwrap(), data);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_and_the_watch_survive_a_killed_server() {
    let Some(mut server) = Server::start("killed") else {
        return;
    };
    let client = Connect::to(&server.address)
        .client_id("rig")
        .connect()
        .await
        .unwrap();
    let study = client.create(tiny("killed", 400)).await.unwrap();
    let mut watch = study.watch(0, Duration::ZERO);
    let watched = tokio::spawn(async move {
        let mut sequences = Vec::new();
        while let Some(event) = watch.next().await? {
            sequences.push(event.sequence);
        }
        Ok::<_, blackbox_am::Error>(sequences)
    });
    let mut calls = 0;
    let options = AskOptions {
        max: 5,
        ..Default::default()
    };
    let looped = study.ask_tell(options, |candidates| {
        calls += 1;
        if calls == 20 {
            server.kill_and_start_again();
        }
        Ok(sphere(candidates))
    });
    looped.await.unwrap();
    let sequences = watched.await.unwrap().unwrap();
    let expected: Vec<i64> = (1..=sequences.len() as i64).collect();
    assert_eq!(sequences, expected);
    let accounting = study.get().await.unwrap().accounting.unwrap();
    assert_eq!(accounting.search_rows, 400);
}

#[tokio::test]
async fn no_server_and_a_token_without_tls() {
    let away = Connect::to("127.0.0.1:1")
        .timeout(Duration::from_secs(5))
        .connect()
        .await;
    assert_eq!(away.unwrap_err().kind, Kind::ServerUnavailable);
    let unsafe_token = Connect::to("192.0.2.1:50051")
        .token("secret")
        .connect()
        .await;
    assert_eq!(unsafe_token.unwrap_err().kind, Kind::InvalidInput);
}
