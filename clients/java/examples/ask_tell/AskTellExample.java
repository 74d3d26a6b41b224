package io.blackboxam.examples;

import io.blackboxam.client.AskOptions;
import io.blackboxam.client.AskTell;
import io.blackboxam.client.Best;
import io.blackboxam.client.BlackboxException;
import io.blackboxam.client.Candidates;
import io.blackboxam.client.Client;
import io.blackboxam.client.Spec;
import io.blackboxam.client.Study;
import io.blackboxam.client.Values;
import io.blackboxam.v1.Space;
import io.blackboxam.v1.SpaceKind;
import java.util.concurrent.CancellationException;

/**
 * Searches the receptive field of a simulated neuron: the server proposes points, and this program
 * measures them. Arguments: SERVER and STUDY. Ctrl-C ends it; started again it continues the study.
 */
public final class AskTellExample {
    private static final int DIMENSION = 16;

    private AskTellExample() {}

    public static void main(String[] arguments) {
        String server = arguments.length > 0 ? arguments[0] : "localhost:50051";
        String study = arguments.length > 1 ? arguments[1] : "java-neuron";
        Interruption.onCtrlC();
        try {
            run(server, study);
        } catch (CancellationException stopped) {
            System.out.println("stopped; start it again to continue");
        } catch (BlackboxException error) {
            System.err.println("ask_tell: " + error.getMessage());
            Interruption.exit(1);
        }
    }

    private static void run(String server, String name) {
        Client.Builder settings = Client.builder(server).clientId("java-example");
        if (System.getenv("BLACKBOX_AM_TOKEN") != null) {
            settings.token(System.getenv("BLACKBOX_AM_TOKEN"));
        }
        try (Client client = settings.connect()) {
            Space space = Space.newBuilder()
                    .setKind(SpaceKind.SPACE_KIND_NORMAL).setDimension(DIMENSION).build();
            Study study = client.create(
                    Spec.of("neuron:0").studyId(name).space(space).queriesPerTarget(2000));
            AskTell.Result result = study.askTell(AskTellExample::measure, AskOptions.DEFAULT);
            System.out.printf("measured %d candidates%n", result.measured());
            for (Best best : study.best()) {
                System.out.printf("%s: %.4f in generation %d%n",
                        best.title(), best.score(), best.message().getGeneration());
            }
        }
    }

    /** The response of a neuron that prefers one point. */
    private static Values measure(Candidates candidates) {
        double[] scores = new double[candidates.size()];
        for (int i = 0; i < scores.length; i++) {
            double[] x = candidates.latents().row(i).toDoubles();
            double distance = 0;
            for (int j = 0; j < x.length; j++) {
                distance += Math.pow(x[j] - Math.sin(j), 2);
            }
            scores[i] = Math.exp(-distance / DIMENSION);
        }
        return Values.scores(scores);
    }
}
