//! Bytes that a server keeps.

use crate::chunks::{split, Joiner, MAX_ANSWER_BYTES};
use crate::client::Client;
use crate::{v1, Result};

impl Client {
    /// Stores bytes; returns their digest. The same bytes have the same digest.
    pub async fn write_artifact(&self, data: &[u8]) -> Result<String> {
        let mut chunks = split(data);
        if chunks.is_empty() {
            chunks.push(v1::Chunk::default());
        }
        let parts = chunks
            .into_iter()
            .map(|chunk| v1::WriteArtifactRequest { chunk: Some(chunk) });
        let mut stub = self.link.studies.clone();
        let answer = stub.write_artifact(tokio_stream::iter(parts));
        Ok(self.link.call(answer).await?.digest)
    }

    /// The bytes with this digest.
    pub async fn read_artifact(&self, digest: &str) -> Result<Vec<u8>> {
        self.link.within(self.read(digest)).await
    }

    async fn read(&self, digest: &str) -> Result<Vec<u8>> {
        let request = v1::ReadArtifactRequest {
            name: format!("artifacts/{digest}"),
            offset: 0,
        };
        let mut stub = self.link.studies.clone();
        let mut parts = self.link.call(stub.read_artifact(request)).await?;
        let mut joiner: Option<Joiner> = None;
        while let Some(part) = parts
            .message()
            .await
            .map_err(|status| self.link.failure(status))?
        {
            let chunk = part.chunk.unwrap_or_default();
            if joiner.is_none() {
                joiner = Some(Joiner::new(chunk.total_size, MAX_ANSWER_BYTES)?);
            }
            if let Some(joiner) = &mut joiner {
                joiner.add(&chunk)?;
            }
        }
        joiner.map_or(Ok(Vec::new()), Joiner::result)
    }
}
