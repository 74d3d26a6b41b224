package io.blackboxam.test;

import io.blackboxam.client.AskOptions;
import io.blackboxam.client.AskTell;
import io.blackboxam.client.BlackboxException;
import io.blackboxam.client.Candidates;
import io.blackboxam.client.Client;
import io.blackboxam.client.ModelException;
import io.blackboxam.client.OracleServer;
import io.blackboxam.client.Spec;
import io.blackboxam.client.Study;
import io.blackboxam.client.Tensor;
import io.blackboxam.client.Values;
import io.blackboxam.client.Watch;
import io.blackboxam.v1.Space;
import io.blackboxam.v1.SpaceKind;
import io.blackboxam.v1.StudyState;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;

/** Tests against real servers. */
final class StudyTests {
    private StudyTests() {}

    static void addTo(Map<String, Checks.Step> tests) {
        tests.put("ask and tell until the end; typed errors; artifacts", StudyTests::studies);
        tests.put("an interrupted loop tells what it measured", StudyTests::interrupted);
        tests.put("the loop and the watch survive a killed server", StudyTests::killed);
        tests.put("a study searches an oracle in Java", StudyTests::oracle);
    }

    private static Spec tiny(String id, int queries) {
        Space space = Space.newBuilder()
                .setKind(SpaceKind.SPACE_KIND_NORMAL).setDimension(4).build();
        return Spec.of("neuron:0").studyId(id).space(space).queriesPerTarget(queries).seed(7);
    }

    private static Values sphere(Candidates candidates) {
        double[] scores = new double[candidates.size()];
        for (int i = 0; i < scores.length; i++) {
            scores[i] = -Arrays.stream(candidates.latents().row(i).toDoubles())
                    .map(x -> x * x).sum();
        }
        return Values.scores(scores);
    }

    private static void studies() throws Exception {
        try (ServerProcess server = new ServerProcess(ServerProcess.TINY);
                Client client = Client.builder(server.address()).clientId("rig").connect()) {
            Study whole = client.create(tiny("whole", 60));
            AskTell.Result result =
                    whole.askTell(StudyTests::sphere, AskOptions.DEFAULT.withMax(7));
            Checks.equal(60, result.measured());
            Checks.equal(StudyState.STUDY_STATE_SUCCEEDED, whole.await(null).getState());
            Checks.equal(1, whole.best().size());

            Study errors = client.create(tiny("errors", 60));
            Exception fell = new Exception("the rig fell over");
            ModelException model = Checks.fails(ModelException.class,
                    () -> errors.askTell(candidates -> {
                        throw fell;
                    }, AskOptions.DEFAULT));
            Checks.equal(fell, model.getCause());
            try (Client again = Client.builder(server.address()).clientId("rig").connect()) {
                Candidates held = again.handle("errors").ask(
                        AskOptions.DEFAULT.withPatience(Duration.ZERO));
                Checks.fails(BlackboxException.ShapeMismatch.class,
                        () -> errors.tell(held.ids(), Values.scores(1)));
                BlackboxException exists = Checks.fails(BlackboxException.StudyExists.class,
                        () -> client.create(tiny("errors", 60).seed(8)));
                Checks.equal(true, exists instanceof BlackboxException.Conflict);
                errors.cancel();
                Checks.fails(BlackboxException.StudyClosed.class,
                        () -> errors.tell(held.ids(), sphere(held)));
            }
            Checks.fails(BlackboxException.NotFound.class, () -> client.study("nowhere"));
            BlackboxException bad = Checks.fails(BlackboxException.InvalidInput.class,
                    () -> client.create(tiny("bad", 60).target(List.of("no unit:"))));
            Checks.equal("spec.targets[1].quantities[0]", bad.field());

            byte[] data = new byte[3 << 20];
            data[5] = 1;
            Checks.equal(true, Arrays.equals(
                    data, client.artifacts().read(client.artifacts().write(data))));
            Checks.equal(9000, client.catalog().sample("tiny", 9000, 3L).rows());
        }
    }

    private static void interrupted() throws Exception {
        try (ServerProcess server = new ServerProcess(ServerProcess.TINY);
                Client client = Client.connect(server.address())) {
            Study study = client.create(tiny("interrupted", 60));
            Checks.fails(CancellationException.class, () -> study.askTell(candidates -> {
                Thread.currentThread().interrupt();
                return sphere(candidates);
            }, AskOptions.DEFAULT.withMax(3)));
            Checks.equal(true, Thread.interrupted());
            long told = 0;
            try (Watch watch = study.watch()) {
                while (told == 0) {
                    told = watch.next().getRowsTold().getRows();
                }
            }
            Checks.equal(3L, told);
        }
    }

    private static void killed() throws Exception {
        try (ServerProcess server = new ServerProcess(ServerProcess.TINY);
                Client client = Client.builder(server.address()).clientId("rig").connect()) {
            Study study = client.create(tiny("killed", 400));
            CompletableFuture<List<Long>> watched = CompletableFuture.supplyAsync(() -> {
                List<Long> sequences = new ArrayList<>();
                study.watch().forEach(event -> sequences.add(event.getSequence()));
                return sequences;
            });
            int[] calls = {0};
            study.askTell(candidates -> {
                if (++calls[0] == 20) {
                    server.kill();
                    CompletableFuture.runAsync(() -> restart(server));
                }
                return sphere(candidates);
            }, AskOptions.DEFAULT.withMax(5));
            List<Long> sequences = watched.get();
            for (int i = 0; i < sequences.size(); i++) {
                Checks.equal(i + 1L, sequences.get(i));
            }
            Checks.equal(400L, study.get().getAccounting().getSearchRows());
        }
    }

    private static void restart(ServerProcess server) {
        try {
            server.start();
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    private static void oracle() throws Exception {
        try (OracleServer oracle = OracleServer.serve("127.0.0.1", 0, OracleTests.sums());
                ServerProcess server = new ServerProcess(ServerProcess.TINY
                        + "[oracles.far]\nkind = \"remote\"\ntarget = \"" + oracle.address() + "\"\n");
                Client client = Client.connect(server.address())) {
            byte[] pixels = new byte[96];
            pixels[48] = -1;
            Tensor found = client.catalog().observe(
                    "far", Tensor.of(pixels, 2, 3, 4, 4), List.of("out:0", "out:2"));
            Checks.equal("[0.0, 0.0, 1.0, 3.0]", Arrays.toString(found.toDoubles()));
            Study study = client.create(
                    Spec.of("out:1").generator("tiny").oracle("far").queriesPerTarget(200));
            Checks.equal(StudyState.STUDY_STATE_SUCCEEDED, study.await(null).getState());
        }
    }
}
