package io.blackboxam.client;

import io.blackboxam.v1.ObserveRequest;
import io.blackboxam.v1.ObserveStreamRequest;
import io.blackboxam.v1.ObserveStreamResponse;
import io.blackboxam.v1.OracleServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Calls of one oracle with the caller's stimuli. */
final class Observing {
    private final Connection connection;
    private final String oracle;
    private final List<String> units;

    Observing(Connection connection, String oracle, List<String> units) {
        this.connection = connection;
        this.oracle = oracle;
        this.units = units;
    }

    Tensor observe(Tensor stimuli) {
        int rows = stimuli.rows();
        if (rows == 0) {
            return Tensor.of(new float[0], 0, units.size());
        }
        int step = Connection.SEND_BYTES / Math.max(stimuli.rowBytes(), 1);
        List<Tensor> answers = new ArrayList<>();
        for (int start = 0; start < rows; start += Math.max(step, 1)) {
            int stop = Math.min(start + Math.max(step, 1), rows);
            Tensor piece = stimuli.slice(start, stop);
            answers.add(step == 0 ? streamed(piece) : unary(piece));
        }
        return joined(answers, rows);
    }

    private Tensor unary(Tensor stimuli) {
        ObserveRequest request = request().setStimuli(stimuli.message()).build();
        return Tensor.from(
                connection.call(() -> connection.oracles().observe(request)).getActivations(),
                "activations");
    }

    private Tensor streamed(Tensor stimuli) {
        Answer answer = new Answer();
        StreamObserver<ObserveStreamRequest> outgoing =
                OracleServiceGrpc.newStub(connection.channel)
                        .withDeadline(connection.deadline())
                        .observeStream(answer);
        ObserveRequest header = request().setStimuli(stimuli.header()).build();
        outgoing.onNext(ObserveStreamRequest.newBuilder().setHeader(header).build());
        Chunks.split(stimuli.byteString(), chunk ->
                outgoing.onNext(ObserveStreamRequest.newBuilder().setChunk(chunk).build()));
        outgoing.onCompleted();
        return Waiting.of(connection, answer.done, outgoing);
    }

    private ObserveRequest.Builder request() {
        return ObserveRequest.newBuilder().setOracle(oracle).addAllUnits(units);
    }

    private static Tensor joined(List<Tensor> answers, int rows) {
        Tensor first = answers.get(0);
        if (answers.size() == 1) {
            return first;
        }
        int bytes = answers.stream().mapToInt(answer -> answer.data().remaining()).sum();
        ByteBuffer data = ByteBuffer.allocate(bytes);
        answers.forEach(answer -> data.put(answer.data()));
        return new Tensor(first.dtype(), new int[] {rows, first.shape()[1]}, data.flip());
    }

    /** Joins the answer as it comes. */
    private static final class Answer implements StreamObserver<ObserveStreamResponse> {
        final CompletableFuture<Tensor> done = new CompletableFuture<>();
        private final TensorJoiner joined =
                new TensorJoiner("activations", Chunks.MAX_ANSWER_BYTES);

        @Override
        public void onNext(ObserveStreamResponse part) {
            try {
                if (part.hasHeader()) {
                    joined.header(part.getHeader().getActivations());
                } else {
                    joined.chunk(part.getChunk());
                }
            } catch (BlackboxException damaged) {
                done.completeExceptionally(damaged);
            }
        }

        @Override
        public void onError(Throwable error) {
            done.completeExceptionally(error);
        }

        @Override
        public void onCompleted() {
            try {
                done.complete(joined.result());
            } catch (BlackboxException incomplete) {
                done.completeExceptionally(incomplete);
            }
        }
    }
}
