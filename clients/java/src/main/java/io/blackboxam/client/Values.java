package io.blackboxam.client;

import io.blackboxam.v1.Scores;
import io.blackboxam.v1.TellRequest;

/**
 * Measurements: one number, or one row of numbers, for each candidate; larger is better. NaN is a
 * measurement that failed.
 */
public final class Values {
    private final double[] scores;
    private final Tensor table;
    private final boolean allUnits;

    private Values(double[] scores, Tensor table, boolean allUnits) {
        this.scores = scores;
        this.table = table;
        this.allUnits = allUnits;
    }

    /** One number for each candidate, for targets that read one unit. */
    public static Values scores(double... scores) {
        return new Values(scores, null, false);
    }

    /** (N, U) float32 or float64: the units of each candidate's target, in the objective's order. */
    public static Values activations(Tensor table) {
        return new Values(null, table, false);
    }

    /** (N, U) float32 or float64: all units of the study in each row, as in Study.units. */
    public static Values allUnits(Tensor table) {
        return new Values(null, table, true);
    }

    void check(int rows) {
        boolean fits = table == null
                ? scores.length == rows
                : table.isFloat() && table.shape().length == 2 && table.rows() == rows
                        && table.hasAllBytes();
        if (!fits) {
            throw new BlackboxException.ShapeMismatch("values: expected one number, or one row of "
                    + "floats, for each of " + rows + " candidates, got "
                    + (table == null ? scores.length + " numbers" : table)).withField("values");
        }
    }

    int rowBytes() {
        return table == null ? Double.BYTES : table.rowBytes();
    }

    void fill(TellRequest.Builder request, int start, int stop) {
        if (table == null) {
            Scores.Builder piece = Scores.newBuilder();
            for (int i = start; i < stop; i++) {
                piece.addValues(scores[i]);
            }
            request.setScores(piece);
            return;
        }
        io.blackboxam.v1.Tensor piece =
                (start == stop ? table : table.slice(start, stop)).message();
        if (allUnits) {
            request.setAllUnits(piece);
        } else {
            request.setActivations(piece);
        }
    }
}
