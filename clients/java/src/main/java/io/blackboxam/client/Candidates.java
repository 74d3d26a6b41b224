package io.blackboxam.client;

import io.blackboxam.v1.StudyState;
import java.time.Duration;

/**
 * Candidates to measure, held for this client for a limited time.
 *
 * @param ids numbers for Study.tell
 * @param targets the target of each candidate
 * @param latents (N, D) float32, or int64 codes
 * @param stimuli (N, *stimulus); null unless asked for
 * @param done whether the study has ended: there will be no candidates
 * @param retryAfter when to ask again where there are no candidates now
 */
public record Candidates(
        long[] ids, int[] targets, Tensor latents, Tensor stimuli, int generation,
        StudyState state, boolean done, Duration retryAfter, String leaseId, Duration lease) {

    /** The number of candidates. */
    public int size() {
        return ids.length;
    }

    /** The stimuli where they were asked for, else the latents. */
    public Tensor inputs() {
        return stimuli == null ? latents : stimuli;
    }
}
