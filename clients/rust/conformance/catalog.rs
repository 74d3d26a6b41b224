//! The requests about what a server has.

use blackbox_am::v1::{Capability, Layer};
use blackbox_am::Client;
use serde_json::{json, Value};

use crate::asking::dtype;
use crate::request::{bytes, tensor, Request};
use crate::Answer;

pub async fn carry_out(verb: &str, client: &Client, request: &Request) -> Answer {
    match verb {
        "server_info" => server_info(client).await,
        "list_oracles" => Ok(json!({"names": client.oracles().await?})),
        "list_generators" => Ok(json!({"names": client.generators().await?})),
        "list_optimizers" => Ok(json!({"names": client.optimizers().await?})),
        "list_units" => {
            let layer = request.optional_text("layer").unwrap_or_default();
            let units = client.units(&request.text("oracle")?, &layer).await?;
            Ok(json!({"units": units}))
        }
        "sample" => {
            let (name, count) = (request.text("generator")?, request.whole("count")?);
            let found = client
                .sample(&name, count as i32, request.seed("seed"))
                .await?;
            Ok(json!({"latents": tensor(&found)}))
        }
        "render" => {
            let latents = request.tensor("latents")?;
            let name = request.text("generator")?;
            let found = client.render(&name, &latents, dtype(request)).await?;
            Ok(json!({"stimuli": tensor(&found)}))
        }
        "observe" => {
            let (name, stimuli) = (request.text("oracle")?, request.tensor("stimuli")?);
            let found = client
                .observe(&name, &stimuli, &request.texts("units"))
                .await?;
            Ok(json!({"activations": tensor(&found)}))
        }
        "describe_oracle" => describe(client, request).await,
        "write_artifact" => {
            let digest = client.write_artifact(&request.bytes("data")?).await?;
            Ok(json!({"digest": digest}))
        }
        _ => {
            let data = client.read_artifact(&request.text("digest")?).await?;
            Ok(json!({"data": bytes(&data)}))
        }
    }
}

async fn server_info(client: &Client) -> Answer {
    let info = client.server_info().await?;
    let limits = info.limits.unwrap_or_default();
    Ok(json!({
        "version": info.version,
        "api_version": info.api_version,
        "device": info.device,
        "features": info.features,
        "max_message_bytes": limits.max_message_bytes,
        "max_page_size": limits.max_page_size,
    }))
}

async fn describe(client: &Client, request: &Request) -> Answer {
    let found = client.describe_oracle(&request.text("oracle")?).await?;
    let capability = |number: &i32| match Capability::try_from(*number) {
        Ok(known) => known
            .as_str_name()
            .trim_start_matches("CAPABILITY_")
            .to_owned(),
        Err(_) => "UNKNOWN".to_owned(),
    };
    let layer = |layer: &Layer| {
        json!({
            "name": layer.name,
            "kind": layer.kind,
            "shape": layer.shape,
            "axes": layer.axes,
            "units": layer.units,
        })
    };
    Ok(json!({
        "kind": found.kind,
        "deterministic": found.deterministic,
        "stimulus_shape": found.stimulus_shape,
        "capabilities": found.capabilities.iter().map(capability).collect::<Vec<String>>(),
        "batch_size": found.batch_size,
        "fingerprint": found.fingerprint,
        "layers": found.layers.iter().map(layer).collect::<Vec<Value>>(),
    }))
}
