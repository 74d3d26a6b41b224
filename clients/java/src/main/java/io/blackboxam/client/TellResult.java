package io.blackboxam.client;

import io.blackboxam.v1.StudyState;

/**
 * What became of measurements.
 *
 * @param accepted rows that were new
 * @param repeated rows that were told before, or are of a closed generation
 * @param generation the open generation afterwards
 * @param sequence the number of the last event afterwards
 * @param done whether the study has ended
 */
public record TellResult(
        int accepted, int repeated, StudyState state, int generation, long sequence, boolean done) {}
