package io.blackboxam.client;

import io.blackboxam.v1.TellRequest;
import io.blackboxam.v1.TellResponse;

/** Tells measurements, in pieces that any server accepts. */
final class Telling {
    /** The largest size of one candidate's id in a request. */
    private static final int ID_BYTES = 16;

    private Telling() {}

    static TellResult tell(Connection connection, String name, long[] ids, Values values) {
        values.check(ids.length);
        int step = Math.max(Connection.SEND_BYTES / (ID_BYTES + values.rowBytes()), 1);
        int accepted = 0;
        int repeated = 0;
        int start = 0;
        while (true) {
            int stop = Math.min(start + step, ids.length);
            TellRequest.Builder request = TellRequest.newBuilder().setName(name);
            for (int i = start; i < stop; i++) {
                request.addCandidateIds(ids[i]);
            }
            values.fill(request, start, stop);
            TellResponse told =
                    connection.persist(() -> connection.studies().tell(request.build()));
            accepted += told.getAccepted();
            repeated += told.getRepeated();
            start = stop;
            if (start == ids.length) {
                return new TellResult(accepted, repeated, told.getState(), told.getGeneration(),
                        told.getSequence(), told.getDone());
            }
        }
    }
}
