package io.blackboxam.client;

import io.blackboxam.v1.Chunk;
import java.util.Arrays;

/** Joins chunks in order. */
final class Joiner {
    private static final int FIRST_ALLOCATION = 1 << 26;

    private final long total;
    private byte[] data;
    private int end;

    Joiner(long total, long limit) {
        if (total < 0 || total > limit) {
            throw invalid("a stream of " + Long.toUnsignedString(total) + " bytes is announced, at "
                    + "most " + limit + " are taken; send fewer rows at a time");
        }
        this.total = total;
        // A wrong announcement must not take memory that its data never fill.
        data = new byte[(int) Math.min(total, FIRST_ALLOCATION)];
    }

    void add(Chunk chunk) {
        int length = chunk.getData().size();
        if (chunk.getOffset() != end || chunk.getTotalSize() != total) {
            throw invalid("expected the chunk at offset " + end + " of " + total + " bytes, got "
                    + "offset " + Long.toUnsignedString(chunk.getOffset()) + " of "
                    + Long.toUnsignedString(chunk.getTotalSize()) + "; send the chunks in order");
        }
        if (end + (long) length > total) {
            throw invalid("the chunks hold more than the " + total + " bytes announced");
        }
        if (chunk.hasCrc32C() && Chunks.checksum(chunk.getData()) != (chunk.getCrc32C() & 0xffffffffL)) {
            throw invalid("the chunk at offset " + end + " is damaged: its crc32c does not match; "
                    + "send it again");
        }
        if (end + length > data.length) {
            data = Arrays.copyOf(data, (int) Math.min(total, Math.max(2L * data.length, end + length)));
        }
        chunk.getData().copyTo(data, end);
        end += length;
    }

    byte[] result() {
        if (end != total) {
            throw invalid("the stream ended after " + end + " of " + total + " bytes");
        }
        return data;
    }

    private static BlackboxException invalid(String message) {
        return new BlackboxException.InvalidInput(message).withField("chunk");
    }
}
