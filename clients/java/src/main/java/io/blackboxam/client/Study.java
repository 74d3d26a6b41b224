package io.blackboxam.client;

import io.blackboxam.v1.Budget;
import io.blackboxam.v1.CancelStudyRequest;
import io.blackboxam.v1.DeleteStudyRequest;
import io.blackboxam.v1.ExtendStudyRequest;
import io.blackboxam.v1.Generation;
import io.blackboxam.v1.GetBestRequest;
import io.blackboxam.v1.GetBestResponse;
import io.blackboxam.v1.GetStudyRequest;
import io.blackboxam.v1.ListGenerationsRequest;
import io.blackboxam.v1.ListGenerationsResponse;
import io.blackboxam.v1.PauseStudyRequest;
import io.blackboxam.v1.RenewLeaseRequest;
import io.blackboxam.v1.ResumeStudyRequest;
import io.blackboxam.v1.StudyState;
import java.time.Duration;
import java.util.List;

/** A handle of a study; the server has all data. */
public final class Study {
    private final Connection connection;
    private final String id;
    private final String name;
    private final io.blackboxam.v1.Study created;

    Study(Connection connection, String id, io.blackboxam.v1.Study created) {
        this.connection = connection;
        this.id = id;
        this.name = "studies/" + id;
        this.created = created;
    }

    /** The study's id; empty if the study was only validated. */
    public String id() {
        return id;
    }

    /** The study as the server answered when create made or found it; null otherwise. */
    public io.blackboxam.v1.Study created() {
        return created;
    }

    /** The study as it stands. */
    public io.blackboxam.v1.Study get() {
        GetStudyRequest request = GetStudyRequest.newBuilder().setName(name).build();
        return connection.call(() -> connection.studies().getStudy(request).getStudy());
    }

    /** Pauses the study: no candidates are handed out or evaluated until it is resumed. */
    public io.blackboxam.v1.Study pause() {
        PauseStudyRequest request = PauseStudyRequest.newBuilder().setName(name).build();
        return connection.call(() -> connection.studies().pauseStudy(request).getStudy());
    }

    /** Sets a paused or failed study going. */
    public io.blackboxam.v1.Study resume() {
        return resume(false);
    }

    /** As resume; with adopt the study continues with the server's present model and generator. */
    public io.blackboxam.v1.Study resume(boolean adopt) {
        ResumeStudyRequest request =
                ResumeStudyRequest.newBuilder().setName(name).setAdopt(adopt).build();
        return connection.call(() -> connection.studies().resumeStudy(request).getStudy());
    }

    /** Ends the study for good. */
    public io.blackboxam.v1.Study cancel() {
        CancelStudyRequest request = CancelStudyRequest.newBuilder().setName(name).build();
        return connection.call(() -> connection.studies().cancelStudy(request).getStudy());
    }

    /** Raises the budget; what is not set stays as it is. An exhausted study continues. */
    public io.blackboxam.v1.Study extend(Budget budget) {
        ExtendStudyRequest request =
                ExtendStudyRequest.newBuilder().setName(name).setBudget(budget).build();
        return connection.call(() -> connection.studies().extendStudy(request).getStudy());
    }

    /** Deletes the study and all its data. */
    public void delete() {
        DeleteStudyRequest request = DeleteStudyRequest.newBuilder().setName(name).build();
        connection.call(() -> connection.studies().deleteStudy(request));
    }

    /** The best candidate of each target that has one, without stimuli. */
    public List<Best> best() {
        return best(false, "uint8", List.of());
    }

    /**
     * The best candidate of each target that has one.
     *
     * @param dtype of the stimuli: uint8, or float32, which is exact
     * @param targets to read; all if empty
     */
    public List<Best> best(boolean stimuli, String dtype, List<Integer> targets) {
        GetBestRequest.Builder request = GetBestRequest.newBuilder()
                .setName(name)
                .setWithStimuli(stimuli)
                .setStimulusDtype(Asking.stimulusDtype(dtype))
                .addAllTargets(targets);
        return Connection.pages(token -> {
            GetBestRequest page = request.setPageToken(token).build();
            GetBestResponse answer = connection.call(() -> connection.studies().getBest(page));
            List<Best> best = answer.getBestList().stream().map(Best::from).toList();
            return new Connection.Page<>(best, answer.getNextPageToken());
        });
    }

    /** The scores of the generations that closed after number after, in order; -1 for all. */
    public List<Generation> generations(int after) {
        ListGenerationsRequest.Builder request = ListGenerationsRequest.newBuilder()
                .setName(name)
                .setPageSize(Connection.PAGE_SIZE);
        if (after >= 0) {
            request.setAfterGeneration(after);
        }
        return Connection.pages(token -> {
            ListGenerationsRequest page = request.setPageToken(token).build();
            ListGenerationsResponse answer =
                    connection.call(() -> connection.studies().listGenerations(page));
            return new Connection.Page<>(answer.getGenerationsList(), answer.getNextPageToken());
        });
    }

    /** Past and new events in order, until the study ends, also over restarts of the server. */
    public Watch watch() {
        return watch(0, Duration.ZERO);
    }

    /**
     * As watch, from a place on.
     *
     * @param afterSequence only events after this one
     * @param minInterval events of generations that follow each other faster are left out
     */
    public Watch watch(long afterSequence, Duration minInterval) {
        return watch(afterSequence, minInterval, connection.reconnect);
    }

    /** As watch, and waits at most this long for a server that is away. */
    public Watch watch(long afterSequence, Duration minInterval, Duration reconnect) {
        return new Watch(connection, name, afterSequence, minInterval, reconnect, null);
    }

    /**
     * Waits until the study has ended or is paused.
     *
     * @param timeout the longest wait; null for no limit. The study can then still be active.
     */
    public io.blackboxam.v1.Study await(Duration timeout) {
        Long until = timeout == null ? null : System.nanoTime() + timeout.toNanos();
        io.blackboxam.v1.Study now = get();
        while (isActive(now.getState()) && (until == null || System.nanoTime() < until)) {
            try (Watch watch = new Watch(connection, name, now.getSequence(),
                    Duration.ofSeconds(1), connection.reconnect, until)) {
                while (watch.hasNext() && !watch.next().hasStateChanged()) {
                    continue;
                }
            }
            now = get();
        }
        return now;
    }

    /** Candidates to measure; see {@link AskOptions}. */
    public Candidates ask(AskOptions options) {
        return Asking.ask(connection, name, options);
    }

    /**
     * Brings measurements of candidates. They are durable when it returns; telling them again is
     * harmless. It waits for a server that is away.
     *
     * @throws BlackboxException.ShapeMismatch before anything is sent, unless there is one number
     *     or one row for each candidate
     * @throws BlackboxException.StudyClosed if the study has ended
     */
    public TellResult tell(long[] candidateIds, Values values) {
        return Telling.tell(connection, name, candidateIds, values);
    }

    /** Extends a lease; returns the number of candidates that are still held. */
    public int renew(String leaseId, Duration lease) {
        RenewLeaseRequest request = RenewLeaseRequest.newBuilder()
                .setName(name)
                .setLeaseId(leaseId)
                .setLeaseDuration(Durations.message(lease))
                .build();
        return connection.call(() -> connection.studies().renewLease(request).getHeld());
    }

    /** Measures candidates with a model until the study has ended; see {@link AskTell}. */
    public AskTell.Result askTell(Model model, AskOptions options) {
        return new AskTell(this, model, options).run();
    }

    private static boolean isActive(StudyState state) {
        return state == StudyState.STUDY_STATE_PENDING || state == StudyState.STUDY_STATE_RUNNING;
    }
}
