package io.blackboxam.client;

import com.google.protobuf.ByteString;
import io.blackboxam.v1.Chunk;
import java.util.function.Consumer;
import java.util.zip.CRC32C;

/** Long byte strings in pieces of 1 MiB. */
final class Chunks {
    static final int CHUNK_BYTES = 1 << 20;
    /** The longest stream that an oracle, or a client, receives. */
    static final long MAX_STREAM_BYTES = 1L << 29;

    static final long MAX_ANSWER_BYTES = Integer.MAX_VALUE - 8; // the longest array of Java

    private Chunks() {}

    /** Sends data in chunks, each with its checksum; nothing for no data. */
    static void split(ByteString data, Consumer<Chunk> send) {
        for (int start = 0; start < data.size(); start += CHUNK_BYTES) {
            ByteString piece = data.substring(start, Math.min(start + CHUNK_BYTES, data.size()));
            send.accept(Chunk.newBuilder()
                    .setOffset(start)
                    .setData(piece)
                    .setCrc32C((int) checksum(piece))
                    .setTotalSize(data.size())
                    .build());
        }
    }

    static long checksum(ByteString data) {
        CRC32C checksum = new CRC32C();
        checksum.update(data.asReadOnlyByteBuffer());
        return checksum.getValue();
    }
}
