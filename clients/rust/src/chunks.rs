//! Long byte strings in pieces of 1 MiB, each with its checksum.

use crate::error::{Error, Kind};
use crate::tensor::{announced, filled, Tensor};
use crate::{v1, Result};

const CHUNK_BYTES: usize = 1 << 20;
const FIRST_ALLOCATION: usize = 1 << 26;
/// The longest stream that an oracle receives, and that a client receives.
pub(crate) const MAX_STREAM_BYTES: usize = 1 << 29;
pub(crate) const MAX_ANSWER_BYTES: usize = 1 << 31;

/// `data` in chunks; none for no data.
pub(crate) fn split(data: &[u8]) -> Vec<v1::Chunk> {
    let chunk = |(i, piece): (usize, &[u8])| v1::Chunk {
        offset: (i * CHUNK_BYTES) as u64,
        data: piece.to_vec(),
        crc32c: Some(crc32c(piece)),
        total_size: data.len() as u64,
    };
    data.chunks(CHUNK_BYTES).enumerate().map(chunk).collect()
}

/// Joins chunks in order.
pub(crate) struct Joiner {
    total: usize,
    data: Vec<u8>,
}

impl Joiner {
    pub(crate) fn new(total: u64, limit: usize) -> Result<Joiner> {
        match usize::try_from(total) {
            Ok(total) if total <= limit => {
                // A wrong announcement must not take memory that its data never fill.
                let data = Vec::with_capacity(total.min(FIRST_ALLOCATION));
                Ok(Joiner { total, data })
            }
            _ => Err(invalid(format!(
                "a stream of {total} bytes is announced, at most {limit} are taken; send fewer \
                 rows at a time"
            ))),
        }
    }

    pub(crate) fn add(&mut self, chunk: &v1::Chunk) -> Result<()> {
        let (end, total) = (self.data.len(), self.total);
        if chunk.offset != end as u64 || chunk.total_size != total as u64 {
            return Err(invalid(format!(
                "expected the chunk at offset {end} of {total} bytes, got offset {} of {}; send \
                 the chunks in order",
                chunk.offset, chunk.total_size
            )));
        }
        if end + chunk.data.len() > total {
            return Err(invalid(format!(
                "the chunks hold more than the {total} bytes announced"
            )));
        }
        if chunk
            .crc32c
            .is_some_and(|expected| expected != crc32c(&chunk.data))
        {
            return Err(invalid(format!(
                "the chunk at offset {end} is damaged: its crc32c does not match; send it again"
            )));
        }
        self.data.extend_from_slice(&chunk.data);
        Ok(())
    }

    pub(crate) fn result(self) -> Result<Vec<u8>> {
        if self.data.len() == self.total {
            return Ok(self.data);
        }
        Err(invalid(format!(
            "the stream ended after {} of {} bytes",
            self.data.len(),
            self.total
        )))
    }
}

/// Joins the tensor of a stream: a header, then chunks.
pub(crate) struct TensorJoiner {
    field: &'static str,
    limit: usize,
    begun: Option<(v1::Tensor, Joiner)>,
}

impl TensorJoiner {
    pub(crate) fn new(field: &'static str, limit: usize) -> TensorJoiner {
        TensorJoiner {
            field,
            limit,
            begun: None,
        }
    }

    pub(crate) fn header(&mut self, tensor: v1::Tensor) -> Result<()> {
        if self.begun.is_some() {
            return Err(self.unexpected());
        }
        let (_, _, size) = announced(tensor.dtype, &tensor.shape, self.field)?;
        let joiner = Joiner::new(size as u64, self.limit)?;
        self.begun = Some((tensor, joiner));
        Ok(())
    }

    pub(crate) fn chunk(&mut self, chunk: &v1::Chunk) -> Result<()> {
        match &mut self.begun {
            Some((_, joiner)) => joiner.add(chunk),
            None => Err(self.unexpected()),
        }
    }

    pub(crate) fn unexpected(&self) -> Error {
        let message = format!(
            "expected a header first, then chunks, in the stream with {}",
            self.field
        );
        Error::new(Kind::InvalidInput, message)
    }

    pub(crate) fn result(self) -> Result<Tensor> {
        let field = self.field;
        match self.begun {
            Some((header, joiner)) => filled(header.dtype, &header.shape, joiner.result()?, field),
            None => Err(self.unexpected()),
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(Kind::InvalidInput, message).at("chunk")
}

/// CRC-32C (Castagnoli) of `data`.
fn crc32c(data: &[u8]) -> u32 {
    let update =
        |crc: u32, byte: &u8| TABLE[((crc ^ u32::from(*byte)) & 255) as usize] ^ (crc >> 8);
    !data.iter().fold(!0, update)
}

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn chunks_are_joined_and_damage_is_found() {
        let data: Vec<u8> = (0..CHUNK_BYTES + 10).map(|i| i as u8).collect();
        let mut chunks = split(&data);
        let mut joiner = Joiner::new(data.len() as u64, MAX_STREAM_BYTES).unwrap();
        chunks.iter().for_each(|chunk| joiner.add(chunk).unwrap());
        assert_eq!(joiner.result().unwrap(), data);

        chunks[0].data[3] ^= 1;
        let mut damaged = Joiner::new(data.len() as u64, MAX_STREAM_BYTES).unwrap();
        let error = damaged.add(&chunks[0]).unwrap_err();
        assert_eq!(
            (error.kind, error.field.as_str()),
            (Kind::InvalidInput, "chunk")
        );
        assert!(damaged.result().is_err());
    }
}
