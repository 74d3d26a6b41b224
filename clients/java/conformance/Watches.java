package io.blackboxam.conformance;

import static io.blackboxam.conformance.Request.answer;
import static io.blackboxam.conformance.Request.name;

import io.blackboxam.client.Watch;
import io.blackboxam.v1.GenerationClosed;
import io.blackboxam.v1.StudyEvent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The requests about watches, which continue in threads of their own. */
final class Watches {
    private final Driver driver;
    private final Map<String, Collected> watches = new HashMap<>();

    Watches(Driver driver) {
        this.driver = driver;
    }

    void addTo(Map<String, Driver.Verb> verbs) {
        verbs.put("watch_start", this::start);
        verbs.put("watch_next", this::next);
        verbs.put("watch_stop", this::stopOne);
    }

    void stop() {
        watches.values().forEach(collected -> collected.watch.close());
        watches.clear();
    }

    private Object start(Request request) {
        stopOne(request);
        Duration interval = request.seconds("min_interval_s");
        Duration reconnect = request.seconds("reconnect_s");
        Watch watch = driver.client().handle(request.text("study_id")).watch(
                request.whole("after_sequence", 0),
                interval == null ? Duration.ZERO : interval,
                reconnect == null ? Duration.ofSeconds(60) : reconnect);
        Collected collected = new Collected(watch);
        watches.put(request.text("watch"), collected);
        Thread thread = new Thread(collected);
        thread.setDaemon(true);
        thread.start();
        return answer();
    }

    private Object next(Request request) throws InterruptedException {
        Collected found = watches.get(request.text("watch"));
        if (found == null) {
            throw new DriverException("no watch " + request.text("watch"));
        }
        return found.take(request.whole("count"), request.seconds("timeout_s"));
    }

    private Object stopOne(Request request) {
        Collected found = watches.remove(request.text("watch"));
        if (found != null) {
            found.watch.close();
        }
        return answer();
    }

    /** The events of one watch that were not fetched yet. */
    private static final class Collected implements Runnable {
        private final Watch watch;
        private final List<Object> events = new ArrayList<>();
        private boolean ended;
        private RuntimeException error;

        Collected(Watch watch) {
            this.watch = watch;
        }

        @Override
        public void run() {
            try {
                while (watch.hasNext()) {
                    add(json(watch.next()));
                }
                end(null);
            } catch (RuntimeException lost) {
                end(lost);
            }
        }

        private synchronized void add(Object event) {
            events.add(event);
            notifyAll();
        }

        private synchronized void end(RuntimeException lost) {
            ended = true;
            error = lost;
            notifyAll();
        }

        synchronized Object take(int count, Duration timeout) throws InterruptedException {
            long until = System.nanoTime() + (timeout == null ? 0 : timeout.toNanos());
            while (events.size() < count && !ended && System.nanoTime() < until) {
                wait(Math.max((until - System.nanoTime()) / 1_000_000, 1));
            }
            if (events.isEmpty() && error != null) {
                throw error;
            }
            List<Object> first = events.subList(0, Math.min(count, events.size()));
            List<Object> taken = List.copyOf(first);
            first.clear();
            return answer("events", taken, "ended", ended && error == null && events.isEmpty());
        }
    }

    private static Map<String, Object> json(StudyEvent event) {
        String kind = event.getEventCase() == StudyEvent.EventCase.EVENT_NOT_SET
                ? ""
                : event.getEventCase().name().toLowerCase(Locale.ROOT);
        Map<String, Object> answer = answer("sequence", event.getSequence(), "kind", kind);
        switch (event.getEventCase()) {
            case STATE_CHANGED:
                answer.put("state", Studies.state(event.getStateChanged().getState()));
                answer.put("stop_reason",
                        name(event.getStateChanged().getStopReason(), "STOP_REASON_"));
                answer.put("message", event.getStateChanged().getMessage());
                break;
            case GENERATION_OPENED:
                answer.put("generation", event.getGenerationOpened().getGeneration());
                answer.put("candidates", event.getGenerationOpened().getCandidates());
                break;
            case ROWS_TOLD:
                answer.put("generation", event.getRowsTold().getGeneration());
                answer.put("rows", event.getRowsTold().getRows());
                answer.put("failed", event.getRowsTold().getFailed());
                break;
            case GENERATION_CLOSED:
                GenerationClosed closed = event.getGenerationClosed();
                answer.put("generation", closed.getGeneration());
                answer.put("targets", List.copyOf(closed.getTargetsList()));
                answer.put("best_scores", List.copyOf(closed.getBestScoresList()));
                answer.put("mean_scores", List.copyOf(closed.getMeanScoresList()));
                answer.put("best_so_far", List.copyOf(closed.getBestSoFarList()));
                answer.put("total_rows", closed.getTotalRows());
                answer.put("search_rows", closed.getSearchRows());
                break;
            case BUDGET_CHANGED:
                answer.put("queries_per_target",
                        event.getBudgetChanged().getBudget().getQueriesPerTarget());
                break;
            case RESUMED:
                answer.put("generation", event.getResumed().getGeneration());
                answer.put("exact", event.getResumed().getExact());
                break;
            default:
                break;
        }
        return answer;
    }
}
