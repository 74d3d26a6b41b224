package io.blackboxam.client;

import io.blackboxam.v1.DescribeOracleRequest;
import io.blackboxam.v1.DescribeOracleResponse;
import io.blackboxam.v1.GeneratorInfo;
import io.blackboxam.v1.ListGeneratorsRequest;
import io.blackboxam.v1.ListGeneratorsResponse;
import io.blackboxam.v1.ListOptimizersRequest;
import io.blackboxam.v1.ListOptimizersResponse;
import io.blackboxam.v1.ListOraclesRequest;
import io.blackboxam.v1.ListOraclesResponse;
import io.blackboxam.v1.ListUnitsRequest;
import io.blackboxam.v1.ListUnitsResponse;
import io.blackboxam.v1.OptimizerInfo;
import io.blackboxam.v1.OracleInfo;
import io.blackboxam.v1.RenderRequest;
import io.blackboxam.v1.RenderResponse;
import io.blackboxam.v1.SampleRequest;
import io.blackboxam.v1.SampleResponse;
import java.util.Iterator;
import java.util.List;

/** What a server has, and calls of its generators and oracles. */
public final class Catalog {
    private final Connection connection;

    Catalog(Connection connection) {
        this.connection = connection;
    }

    /** The oracles of the server, by name. */
    public List<OracleInfo> oracles() {
        return Connection.pages(token -> {
            ListOraclesRequest request = ListOraclesRequest.newBuilder()
                    .setPageSize(Connection.PAGE_SIZE).setPageToken(token).build();
            ListOraclesResponse page =
                    connection.call(() -> connection.catalog().listOracles(request));
            return new Connection.Page<>(page.getOraclesList(), page.getNextPageToken());
        });
    }

    /** The generators of the server, by name. */
    public List<GeneratorInfo> generators() {
        return Connection.pages(token -> {
            ListGeneratorsRequest request = ListGeneratorsRequest.newBuilder()
                    .setPageSize(Connection.PAGE_SIZE).setPageToken(token).build();
            ListGeneratorsResponse page =
                    connection.call(() -> connection.catalog().listGenerators(request));
            return new Connection.Page<>(page.getGeneratorsList(), page.getNextPageToken());
        });
    }

    /** The optimizers of the server, by name. */
    public List<OptimizerInfo> optimizers() {
        return Connection.pages(token -> {
            ListOptimizersRequest request = ListOptimizersRequest.newBuilder()
                    .setPageSize(Connection.PAGE_SIZE).setPageToken(token).build();
            ListOptimizersResponse page =
                    connection.call(() -> connection.catalog().listOptimizers(request));
            return new Connection.Page<>(page.getOptimizersList(), page.getNextPageToken());
        });
    }

    /** The addresses of an oracle's units: of one layer, or of all where layer is empty. */
    public List<String> units(String oracle, String layer) {
        return Connection.pages(token -> {
            ListUnitsRequest request = ListUnitsRequest.newBuilder()
                    .setOracle(oracle).setLayer(layer)
                    .setPageSize(Connection.PAGE_SIZE).setPageToken(token).build();
            ListUnitsResponse page = connection.call(() -> connection.catalog().listUnits(request));
            return new Connection.Page<>(List.copyOf(page.getUnitsList()), page.getNextPageToken());
        });
    }

    /** The description of one oracle. */
    public DescribeOracleResponse describeOracle(String name) {
        DescribeOracleRequest request = DescribeOracleRequest.newBuilder().setOracle(name).build();
        return connection.call(() -> connection.oracles().describeOracle(request));
    }

    /** (count, D) latents from a generator's prior; the server draws the seed if it is null. */
    public Tensor sample(String generator, int count, Long seed) {
        SampleRequest.Builder request =
                SampleRequest.newBuilder().setGenerator(generator).setCount(count);
        if (seed != null) {
            request.setSeed(seed);
        }
        return connection.streaming(() -> {
            TensorJoiner joined = new TensorJoiner("latents", Chunks.MAX_ANSWER_BYTES);
            Iterator<SampleResponse> parts = connection.catalog().sample(request.build());
            while (parts.hasNext()) {
                SampleResponse part = parts.next();
                if (part.hasHeader()) {
                    joined.header(part.getHeader().getLatents());
                } else {
                    joined.chunk(part.getChunk());
                }
            }
            return joined.result();
        });
    }

    /**
     * The stimuli (N, *stimulus) of latents (N, D), which must fit into one message.
     *
     * @param dtype uint8 or float32
     */
    public Tensor render(String generator, Tensor latents, String dtype) {
        RenderRequest request = RenderRequest.newBuilder()
                .setGenerator(generator)
                .setLatents(latents.message())
                .setStimulusDtype(Asking.stimulusDtype(dtype))
                .build();
        return connection.streaming(() -> {
            TensorJoiner joined = new TensorJoiner("stimuli", Chunks.MAX_ANSWER_BYTES);
            Iterator<RenderResponse> parts = connection.catalog().render(request);
            while (parts.hasNext()) {
                RenderResponse part = parts.next();
                if (part.hasHeader()) {
                    joined.header(part.getHeader().getStimuli());
                } else {
                    joined.chunk(part.getChunk());
                }
            }
            return joined.result();
        });
    }

    /**
     * The activations (N, U) of an oracle's units for stimuli. A batch is split over several calls,
     * and a stimulus that is too large for one message is sent in chunks.
     *
     * @param stimuli (N, *stimulus): uint8 (0 to 255), or float32 in [0, 1]
     */
    public Tensor observe(String oracle, Tensor stimuli, List<String> units) {
        return new Observing(connection, oracle, units).observe(stimuli);
    }
}
