package io.blackboxam.client;

import com.google.protobuf.UnsafeByteOperations;
import io.blackboxam.v1.Chunk;
import io.blackboxam.v1.ReadArtifactRequest;
import io.blackboxam.v1.ReadArtifactResponse;
import io.blackboxam.v1.StudyServiceGrpc;
import io.blackboxam.v1.WriteArtifactRequest;
import io.blackboxam.v1.WriteArtifactResponse;
import io.grpc.stub.StreamObserver;
import java.util.Iterator;
import java.util.concurrent.CompletableFuture;

/** Bytes that a server keeps, such as inputs of a study. */
public final class Artifacts {
    private final Connection connection;

    Artifacts(Connection connection) {
        this.connection = connection;
    }

    /** Stores bytes; returns their digest. The same bytes have the same digest. */
    public String write(byte[] data) {
        CompletableFuture<String> done = new CompletableFuture<>();
        StreamObserver<WriteArtifactRequest> outgoing =
                StudyServiceGrpc.newStub(connection.channel)
                        .withDeadline(connection.deadline())
                        .writeArtifact(new Digest(done));
        if (data.length == 0) {
            send(outgoing, Chunk.getDefaultInstance());
        }
        Chunks.split(UnsafeByteOperations.unsafeWrap(data), chunk -> send(outgoing, chunk));
        outgoing.onCompleted();
        return Waiting.of(connection, done, outgoing);
    }

    /** The bytes with this digest. */
    public byte[] read(String digest) {
        ReadArtifactRequest request =
                ReadArtifactRequest.newBuilder().setName("artifacts/" + digest).build();
        return connection.streaming(() -> {
            Iterator<ReadArtifactResponse> parts = connection.studies().readArtifact(request);
            Joiner joiner = null;
            while (parts.hasNext()) {
                Chunk chunk = parts.next().getChunk();
                if (joiner == null) {
                    joiner = new Joiner(chunk.getTotalSize(), Chunks.MAX_ANSWER_BYTES);
                }
                joiner.add(chunk);
            }
            return joiner == null ? new byte[0] : joiner.result();
        });
    }

    private static void send(StreamObserver<WriteArtifactRequest> outgoing, Chunk chunk) {
        outgoing.onNext(WriteArtifactRequest.newBuilder().setChunk(chunk).build());
    }

    private record Digest(CompletableFuture<String> done)
            implements StreamObserver<WriteArtifactResponse> {
        @Override
        public void onNext(WriteArtifactResponse answer) {
            done.complete(answer.getDigest());
        }

        @Override
        public void onError(Throwable error) {
            done.completeExceptionally(error);
        }

        @Override
        public void onCompleted() {
            done.completeExceptionally(
                    new BlackboxException.ServerFailed("the server sent no digest"));
        }
    }
}
