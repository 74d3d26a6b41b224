package io.blackboxam.conformance;

import io.blackboxam.client.Candidates;
import io.blackboxam.client.Model;
import io.blackboxam.client.Tensor;
import io.blackboxam.client.Values;
import java.util.Arrays;

/** The model functions of the protocol. */
final class Models implements Model {
    private final Request arguments;
    private final String name;
    private final int pauseMillis;
    private int number;

    Models(Request arguments, int pauseMillis) {
        this.arguments = arguments;
        this.name = arguments.text("name");
        this.pauseMillis = pauseMillis;
    }

    @Override
    public Values measure(Candidates candidates) throws Exception {
        Tensor inputs = candidates.inputs();
        int rows = inputs.rows();
        Thread.sleep((long) pauseMillis * rows);
        if (name.equals("units")) {
            return Values.activations(units(inputs));
        }
        double[] scores = new double[rows];
        for (int i = 0; i < rows; i++) {
            number++;
            scores[i] = score(inputs.row(i).toDoubles());
        }
        return Values.scores(name.equals("short") ? Arrays.copyOf(scores, rows - 1) : scores);
    }

    private double score(double[] x) throws Exception {
        switch (name) {
            case "sphere":
            case "short":
                return sphere(x);
            case "linear":
                return linear(x, arguments.whole("shift", 0));
            case "codes":
                return codes(x, arguments.whole("categories"));
            case "mean":
                return mean(x);
            case "nan":
                return number % arguments.whole("every") == 0 ? Double.NaN : sphere(x);
            case "throws":
                if (number > arguments.whole("after")) {
                    throw new Exception("the rig fell over");
                }
                return sphere(x);
            default:
                throw new DriverException("unknown model " + name);
        }
    }

    private Tensor units(Tensor inputs) {
        int units = arguments.whole("units");
        double[] values = new double[inputs.rows() * units];
        for (int i = 0; i < inputs.rows(); i++) {
            number++;
            double[] x = inputs.row(i).toDoubles();
            for (int j = 0; j < units; j++) {
                values[i * units + j] = linear(x, j);
            }
        }
        return Tensor.of(values, inputs.rows(), units);
    }

    private static double sphere(double[] x) {
        double sum = 0.0;
        for (double value : x) {
            sum += value * value;
        }
        return -sum;
    }

    static double linear(double[] x, int shift) {
        double sum = 0.0;
        for (int i = 0; i < x.length; i++) {
            sum += ((i + shift) % 7 - 3) * x[i];
        }
        return sum;
    }

    private static double codes(double[] x, int categories) {
        int count = 0;
        for (int i = 0; i < x.length; i++) {
            count += x[i] == i % categories ? 1 : 0;
        }
        return count;
    }

    private static double mean(double[] x) {
        double sum = 0.0;
        for (double value : x) {
            sum += value;
        }
        return sum / x.length;
    }
}
