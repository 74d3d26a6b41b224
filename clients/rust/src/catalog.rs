//! What a server has, and calls of its generators and oracles.

use crate::chunks::{split, TensorJoiner, MAX_ANSWER_BYTES};
use crate::client::Client;
use crate::connect::{PAGE_SIZE, SEND_BYTES};
use crate::study::{message_of, tensor_of};
use crate::tensor::Tensor;
use crate::v1::{
    observe_stream_request, observe_stream_response, render_response, sample_response,
};
use crate::{v1, Result};

impl Client {
    /// The names of the server's oracles.
    pub async fn oracles(&self) -> Result<Vec<String>> {
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            let request = v1::ListOraclesRequest {
                page_size: PAGE_SIZE,
                page_token: token,
            };
            let mut stub = self.link.catalog.clone();
            let page = self.link.call(stub.list_oracles(request)).await?;
            all.extend(page.oracles.into_iter().map(|info| info.name));
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            token = page.next_page_token;
        }
    }

    /// The names of the server's generators.
    pub async fn generators(&self) -> Result<Vec<String>> {
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            let request = v1::ListGeneratorsRequest {
                page_size: PAGE_SIZE,
                page_token: token,
            };
            let mut stub = self.link.catalog.clone();
            let page = self.link.call(stub.list_generators(request)).await?;
            all.extend(page.generators.into_iter().map(|info| info.name));
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            token = page.next_page_token;
        }
    }

    /// The names of the server's optimizers.
    pub async fn optimizers(&self) -> Result<Vec<String>> {
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            let request = v1::ListOptimizersRequest {
                page_size: PAGE_SIZE,
                page_token: token,
            };
            let mut stub = self.link.catalog.clone();
            let page = self.link.call(stub.list_optimizers(request)).await?;
            let infos = page.optimizers.into_iter();
            all.extend(infos.map(|info| info.plug_in.unwrap_or_default().name));
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            token = page.next_page_token;
        }
    }

    /// The addresses of an oracle's units: of one layer, or of all where `layer` is empty.
    pub async fn units(&self, oracle: &str, layer: &str) -> Result<Vec<String>> {
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            let request = v1::ListUnitsRequest {
                oracle: oracle.to_owned(),
                layer: layer.to_owned(),
                page_size: PAGE_SIZE,
                page_token: token,
            };
            let mut stub = self.link.catalog.clone();
            let page = self.link.call(stub.list_units(request)).await?;
            all.extend(page.units);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            token = page.next_page_token;
        }
    }

    /// The description of one oracle.
    pub async fn describe_oracle(&self, name: &str) -> Result<v1::DescribeOracleResponse> {
        let request = v1::DescribeOracleRequest {
            oracle: name.to_owned(),
        };
        let mut stub = self.link.oracles.clone();
        self.link.call(stub.describe_oracle(request)).await
    }

    /// (count, D) latents from a generator's prior; the server draws the seed where it is None.
    pub async fn sample(&self, generator: &str, count: i32, seed: Option<i64>) -> Result<Tensor> {
        let request = v1::SampleRequest {
            generator: generator.to_owned(),
            count,
            seed,
        };
        self.link.within(self.sampled(request)).await
    }

    async fn sampled(&self, request: v1::SampleRequest) -> Result<Tensor> {
        let mut stub = self.link.catalog.clone();
        let mut parts = self.link.call(stub.sample(request)).await?;
        let mut joined = TensorJoiner::new("latents", MAX_ANSWER_BYTES);
        while let Some(part) = parts
            .message()
            .await
            .map_err(|status| self.link.failure(status))?
        {
            match part.part {
                Some(sample_response::Part::Header(header)) => {
                    joined.header(header.latents.unwrap_or_default())?;
                }
                Some(sample_response::Part::Chunk(chunk)) => joined.chunk(&chunk)?,
                None => return Err(joined.unexpected()),
            }
        }
        joined.result()
    }

    /// The stimuli of latents (N, D), which must fit into one message.
    pub async fn render(
        &self,
        generator: &str,
        latents: &Tensor,
        dtype: v1::Dtype,
    ) -> Result<Tensor> {
        let request = v1::RenderRequest {
            generator: generator.to_owned(),
            latents: Some(message_of(latents, latents.data.clone())),
            stimulus_dtype: dtype as i32,
            ..Default::default()
        };
        self.link.within(self.rendered(request)).await
    }

    async fn rendered(&self, request: v1::RenderRequest) -> Result<Tensor> {
        let mut stub = self.link.catalog.clone();
        let mut parts = self.link.call(stub.render(request)).await?;
        let mut joined = TensorJoiner::new("stimuli", MAX_ANSWER_BYTES);
        while let Some(part) = parts
            .message()
            .await
            .map_err(|status| self.link.failure(status))?
        {
            match part.part {
                Some(render_response::Part::Header(header)) => {
                    joined.header(header.stimuli.unwrap_or_default())?;
                }
                Some(render_response::Part::Chunk(chunk)) => joined.chunk(&chunk)?,
                None => return Err(joined.unexpected()),
            }
        }
        joined.result()
    }

    /// The activations (N, U) of an oracle's units for stimuli (N, *stimulus): uint8 (0 to 255),
    /// or float32 in [0, 1]. A batch is split over several calls, and a stimulus that is too large
    /// for one message is sent in chunks.
    pub async fn observe(
        &self,
        oracle: &str,
        stimuli: &Tensor,
        units: &[String],
    ) -> Result<Tensor> {
        let rows = stimuli.rows();
        let step = SEND_BYTES / stimuli.row_bytes().max(1);
        let mut joined: Option<Tensor> = None;
        let mut start = 0;
        while start < rows {
            let stop = (start + step.max(1)).min(rows);
            let piece = stimuli.slice(start, stop);
            let request = v1::ObserveRequest {
                oracle: oracle.to_owned(),
                units: units.to_vec(),
                ..Default::default()
            };
            let found = if step == 0 {
                self.link.within(self.streamed(request, piece)).await?
            } else {
                self.observed(request, piece).await?
            };
            match &mut joined {
                None => joined = Some(found),
                Some(joined) => {
                    joined.shape[0] += found.rows();
                    joined.data.extend(found.data);
                }
            }
            start = stop;
        }
        Ok(joined.unwrap_or_else(|| Tensor::float32(&[], &[0, units.len()])))
    }

    async fn observed(&self, mut request: v1::ObserveRequest, stimuli: Tensor) -> Result<Tensor> {
        request.stimuli = Some(message_of(&stimuli, stimuli.data.clone()));
        let mut stub = self.link.oracles.clone();
        let answer = self.link.call(stub.observe(request)).await?;
        tensor_of(answer.activations.unwrap_or_default(), "activations")
    }

    async fn streamed(&self, mut request: v1::ObserveRequest, stimuli: Tensor) -> Result<Tensor> {
        use observe_stream_request::Part as Sent;
        request.stimuli = Some(message_of(&stimuli, Vec::new()));
        let mut outgoing = vec![Sent::Header(request)];
        outgoing.extend(split(&stimuli.data).into_iter().map(Sent::Chunk));
        let messages = outgoing
            .into_iter()
            .map(|part| v1::ObserveStreamRequest { part: Some(part) });
        let mut stub = self.link.oracles.clone();
        let answer = stub.observe_stream(tokio_stream::iter(messages));
        let mut parts = self.link.call(answer).await?;
        let mut joined = TensorJoiner::new("activations", MAX_ANSWER_BYTES);
        while let Some(part) = parts
            .message()
            .await
            .map_err(|status| self.link.failure(status))?
        {
            match part.part {
                Some(observe_stream_response::Part::Header(header)) => {
                    joined.header(header.activations.unwrap_or_default())?;
                }
                Some(observe_stream_response::Part::Chunk(chunk)) => joined.chunk(&chunk)?,
                None => return Err(joined.unexpected()),
            }
        }
        joined.result()
    }
}
