package io.blackboxam.client;

import java.time.Duration;

/**
 * What candidates to ask for. {@code AskOptions.DEFAULT} asks for as many as fit into one message,
 * without stimuli, and waits.
 *
 * @param max the largest number of candidates; 0 for as many as fit into one message
 * @param stimuli whether to send the rendered stimuli
 * @param dtype of the stimuli: uint8 (0 to 255), or float32, which is exact
 * @param lease how long the candidates are held for this client; null for 60 seconds
 * @param patience the longest wait where others hold all candidates or the study is paused; null for no
 *     limit
 */
public record AskOptions(int max, boolean stimuli, String dtype, Duration lease, Duration patience) {
    public static final AskOptions DEFAULT = new AskOptions(0, false, "uint8", null, null);

    public AskOptions withMax(int candidates) {
        return new AskOptions(candidates, stimuli, dtype, lease, patience);
    }

    public AskOptions withStimuli(String type) {
        return new AskOptions(max, true, type, lease, patience);
    }

    public AskOptions withLease(Duration duration) {
        return new AskOptions(max, stimuli, dtype, duration, patience);
    }

    public AskOptions withPatience(Duration longest) {
        return new AskOptions(max, stimuli, dtype, lease, longest);
    }
}
