package io.blackboxam.client;

import io.blackboxam.v1.Chunk;
import io.blackboxam.v1.Tensor;
import java.nio.ByteBuffer;

/** Joins the tensor of a stream: a header, then chunks. */
final class TensorJoiner {
    private final String field;
    private final long limit;
    private Tensor header;
    private Joiner joiner;

    TensorJoiner(String field, long limit) {
        this.field = field;
        this.limit = limit;
    }

    void header(Tensor announced) {
        if (header != null) {
            throw unexpected();
        }
        joiner = new Joiner(io.blackboxam.client.Tensor.sizeOf(announced, field), limit);
        header = announced;
    }

    void chunk(Chunk chunk) {
        if (joiner == null) {
            throw unexpected();
        }
        joiner.add(chunk);
    }

    BlackboxException unexpected() {
        return new BlackboxException.InvalidInput(
                "expected a header first, then chunks, in the stream with " + field);
    }

    io.blackboxam.client.Tensor result() {
        if (joiner == null) {
            throw unexpected();
        }
        return io.blackboxam.client.Tensor.from(header, ByteBuffer.wrap(joiner.result()), field);
    }
}
