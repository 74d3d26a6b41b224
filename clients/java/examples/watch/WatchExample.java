package io.blackboxam.examples;

import io.blackboxam.client.BlackboxException;
import io.blackboxam.client.Client;
import io.blackboxam.client.Watch;
import io.blackboxam.v1.StudyEvent;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.CancellationException;

/**
 * Prints the events of a study until it ends, also over restarts of the server. Arguments: SERVER,
 * STUDY, and the number of an event after which to begin.
 */
public final class WatchExample {
    private WatchExample() {}

    public static void main(String[] arguments) {
        String server = arguments.length > 0 ? arguments[0] : "localhost:50051";
        String study = arguments.length > 1 ? arguments[1] : "java-neuron";
        long last = arguments.length > 2 ? Long.parseLong(arguments[2]) : 0;
        Interruption.onCtrlC();
        Client.Builder settings = Client.builder(server);
        if (System.getenv("BLACKBOX_AM_TOKEN") != null) {
            settings.token(System.getenv("BLACKBOX_AM_TOKEN"));
        }
        try (Client client = settings.connect();
                Watch watch = client.study(study).watch(last, Duration.ZERO)) {
            for (StudyEvent event : watch) {
                last = event.getSequence();
                System.out.printf("%6d  %s%n", last, inWords(event));
            }
        } catch (CancellationException stopped) {
            System.out.println("stopped; continue after event " + last);
        } catch (BlackboxException error) {
            System.err.println("watch: " + error.getMessage());
            Interruption.exit(1);
        }
    }

    private static String inWords(StudyEvent event) {
        switch (event.getEventCase()) {
            case GENERATION_CLOSED:
                return "generation " + event.getGenerationClosed().getGeneration()
                        + ": best so far " + event.getGenerationClosed().getBestSoFarList();
            case STATE_CHANGED:
                return event.getStateChanged().getState() + " "
                        + event.getStateChanged().getMessage();
            case EVENT_NOT_SET:
                return "an event of a later server";
            default:
                return event.getEventCase().name().toLowerCase(Locale.ROOT).replace('_', ' ');
        }
    }
}
