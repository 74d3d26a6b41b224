//! Generates the messages and services from the protos of the repository.

use std::error::Error;
use std::path::PathBuf;

const FILES: [&str; 8] = [
    "catalog_service",
    "error_reason",
    "group_service",
    "oracle_service",
    "study",
    "study_event",
    "study_service",
    "tensor",
];

fn main() -> Result<(), Box<dyn Error>> {
    let protos = match std::env::var_os("PROTOS") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../protos"),
    };
    let files: Vec<PathBuf> = FILES
        .iter()
        .map(|name| protos.join(format!("blackbox_am/v1/{name}.proto")))
        .collect();
    println!("cargo:rerun-if-env-changed=PROTOS");
    tonic_prost_build::configure().compile_protos(&files, &[protos])?;
    Ok(())
}
