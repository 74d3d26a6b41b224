package io.blackboxam.client;

import io.blackboxam.v1.Capability;
import io.blackboxam.v1.DescribeOracleRequest;
import io.blackboxam.v1.DescribeOracleResponse;
import io.blackboxam.v1.ObserveRequest;
import io.blackboxam.v1.ObserveResponse;
import io.blackboxam.v1.ObserveStreamRequest;
import io.blackboxam.v1.ObserveStreamResponse;
import io.blackboxam.v1.OracleServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** An oracle on the wire. */
final class OracleService extends OracleServiceGrpc.OracleServiceImplBase {
    private final Oracle oracle;

    OracleService(Oracle oracle) {
        this.oracle = oracle;
    }

    @Override
    public void describeOracle(
            DescribeOracleRequest request, StreamObserver<DescribeOracleResponse> answer) {
        try {
            checkName(request.getOracle());
            answer.onNext(description());
            answer.onCompleted();
        } catch (BlackboxException error) {
            answer.onError(Statuses.toGrpc(error));
        }
    }

    @Override
    public void observe(ObserveRequest request, StreamObserver<ObserveResponse> answer) {
        try {
            List<Oracle.Unit> units = units(request);
            checkStimuli(request.getStimuli());
            Tensor stimuli = Tensor.from(request.getStimuli(), "stimuli");
            Tensor found = activations(stimuli, units, Math.max(stimuli.rows(), 1));
            answer.onNext(ObserveResponse.newBuilder().setActivations(found.message()).build());
            answer.onCompleted();
        } catch (Exception error) {
            answer.onError(Statuses.toGrpc(error));
        }
    }

    @Override
    public StreamObserver<ObserveStreamRequest> observeStream(
            StreamObserver<ObserveStreamResponse> answer) {
        return new Stream(answer);
    }

    /** The stream of one call. */
    private final class Stream implements StreamObserver<ObserveStreamRequest> {
        private final StreamObserver<ObserveStreamResponse> answer;
        private final TensorJoiner joined = new TensorJoiner("stimuli", Chunks.MAX_STREAM_BYTES);
        private List<Oracle.Unit> units;
        private boolean failed;

        Stream(StreamObserver<ObserveStreamResponse> answer) {
            this.answer = answer;
        }

        @Override
        public void onNext(ObserveStreamRequest part) {
            if (failed) {
                return;
            }
            try {
                if (part.hasHeader()) {
                    units = units(part.getHeader());
                    checkStimuli(part.getHeader().getStimuli());
                    joined.header(part.getHeader().getStimuli());
                } else if (part.hasChunk()) {
                    joined.chunk(part.getChunk());
                } else {
                    throw joined.unexpected();
                }
            } catch (BlackboxException error) {
                fail(error);
            }
        }

        @Override
        public void onError(Throwable lost) {
            failed = true; // the caller has gone
        }

        @Override
        public void onCompleted() {
            if (failed) {
                return;
            }
            try {
                Tensor found = activations(joined.result(), units, oracle.batchSize());
                ObserveResponse header =
                        ObserveResponse.newBuilder().setActivations(found.header()).build();
                answer.onNext(ObserveStreamResponse.newBuilder().setHeader(header).build());
                Chunks.split(found.byteString(), chunk -> answer.onNext(
                        ObserveStreamResponse.newBuilder().setChunk(chunk).build()));
                answer.onCompleted();
            } catch (Exception error) {
                fail(error);
            }
        }

        private void fail(Exception error) {
            failed = true;
            answer.onError(Statuses.toGrpc(error));
        }
    }

    private DescribeOracleResponse description() {
        DescribeOracleResponse.Builder built = DescribeOracleResponse.newBuilder()
                .setOracle(oracle.name())
                .setKind(oracle.kind())
                .addCapabilities(Capability.CAPABILITY_SCORES)
                .addCapabilities(Capability.CAPABILITY_UNITS)
                .setDeterministic(oracle.deterministic())
                .addAllStimulusShape(oracle.stimulusShape())
                .setBatchSize(oracle.batchSize())
                .setFingerprint(oracle.fingerprint());
        for (Oracle.Layer layer : oracle.layers()) {
            built.addLayers(io.blackboxam.v1.Layer.newBuilder()
                    .setName(layer.name())
                    .setKind(layer.kind())
                    .addShape(layer.units())
                    .addAxes("unit")
                    .setUnits(layer.units())
                    .addAllLabels(layer.labels()));
        }
        return built.build();
    }

    private void checkName(String name) {
        if (!name.isEmpty() && !name.equals(oracle.name())) {
            throw new BlackboxException.NotFound("this server has the oracle '" + oracle.name()
                    + "', and none with the name '" + name + "'").withField("oracle");
        }
    }

    /** Checks the oracle's name, and returns the units of a request. */
    private List<Oracle.Unit> units(ObserveRequest request) {
        checkName(request.getOracle());
        List<Oracle.Unit> units = new ArrayList<>();
        for (int i = 0; i < request.getUnitsCount(); i++) {
            units.add(oracle.unit(request.getUnits(i), i));
        }
        return units;
    }

    private void checkStimuli(io.blackboxam.v1.Tensor header) {
        List<Long> expected = new ArrayList<>();
        oracle.stimulusShape().forEach(length -> expected.add((long) length));
        List<Long> shape = header.getShapeList();
        Tensor.sizeOf(header, "stimuli");
        boolean fits = !shape.isEmpty() && shape.subList(1, shape.size()).equals(expected);
        boolean numbers = switch (header.getDtype()) {
            case DTYPE_FLOAT32, DTYPE_FLOAT64, DTYPE_UINT8 -> true;
            default -> false;
        };
        if (!fits || !numbers) {
            throw new BlackboxException.ShapeMismatch("stimuli: expected float32, float64 or uint8 "
                    + "of the shape (N, " + oracle.stimulusShape() + "), got " + header.getDtype()
                    + " of the shape " + shape).withField("stimuli");
        }
    }

    /** (N, U) activations, measured in batches. */
    private Tensor activations(Tensor stimuli, List<Oracle.Unit> units, int batch)
            throws Exception {
        int rows = stimuli.rows();
        float[] values = new float[rows * units.size()];
        for (int start = 0; start < rows; start += batch) {
            int stop = Math.min(start + batch, rows);
            float[][] found = oracle.measured(unitInterval(stimuli.slice(start, stop)), units);
            for (int i = start; i < stop; i++) {
                System.arraycopy(
                        found[i - start], 0, values, i * units.size(), units.size());
            }
        }
        return Tensor.of(values, rows, units.size());
    }

    /** The values of each stimulus; uint8 from 0..255 to 0..1. */
    private static float[][] unitInterval(Tensor stimuli) {
        float[] values = stimuli.toFloats();
        if (stimuli.dtype().equals("uint8")) {
            for (int i = 0; i < values.length; i++) {
                values[i] /= 255.0f;
            }
        }
        float[][] rows = new float[stimuli.rows()][];
        int size = values.length / rows.length;
        for (int i = 0; i < rows.length; i++) {
            rows[i] = Arrays.copyOfRange(values, i * size, (i + 1) * size);
        }
        return rows;
    }
}
