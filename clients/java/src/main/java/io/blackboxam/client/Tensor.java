package io.blackboxam.client;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import io.blackboxam.v1.Dtype;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** A dense array: row-major, little-endian. */
public final class Tensor {
    private static final Map<String, Integer> ITEM_BYTES = Map.of(
            "float32", 4, "float64", 8, "float16", 2, "uint8", 1, "int32", 4, "int64", 8);
    private static final int MAX_AXES = 32;

    private final String dtype;
    private final int[] shape;
    private final ByteBuffer data;

    /**
     * A tensor of the bytes in data, which it shares.
     *
     * @param dtype float32, float64, float16, uint8, int32 or int64
     */
    public Tensor(String dtype, int[] shape, ByteBuffer data) {
        if (!ITEM_BYTES.containsKey(dtype)) {
            throw new BlackboxException.ShapeMismatch("dtype: expected one of "
                    + ITEM_BYTES.keySet() + ", got " + dtype).withField("dtype");
        }
        this.dtype = dtype;
        this.shape = shape.clone();
        this.data = data.slice().order(ByteOrder.LITTLE_ENDIAN);
    }

    /** A tensor of float32. */
    public static Tensor of(float[] values, int... shape) {
        ByteBuffer data = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        data.asFloatBuffer().put(values);
        return new Tensor("float32", shape, data);
    }

    /** A tensor of float64. */
    public static Tensor of(double[] values, int... shape) {
        ByteBuffer data = ByteBuffer.allocate(8 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        data.asDoubleBuffer().put(values);
        return new Tensor("float64", shape, data);
    }

    /** A tensor of uint8. */
    public static Tensor of(byte[] values, int... shape) {
        return new Tensor("uint8", shape, ByteBuffer.wrap(values));
    }

    public String dtype() {
        return dtype;
    }

    public int[] shape() {
        return shape.clone();
    }

    /** The length of the first axis; 0 without axes. */
    public int rows() {
        return shape.length == 0 ? 0 : shape[0];
    }

    /** The number of elements. */
    public int size() {
        return data.capacity() / ITEM_BYTES.get(dtype);
    }

    /** The bytes; read-only. */
    public ByteBuffer data() {
        return data.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Row i of the first axis; shares the bytes. */
    public Tensor row(int i) {
        return new Tensor(dtype, Arrays.copyOfRange(shape, 1, shape.length), bytes(i, i + 1));
    }

    /** Element i in row-major order, as a double. */
    public double get(int i) {
        switch (dtype) {
            case "float32":
                return data.getFloat(4 * i);
            case "float64":
                return data.getDouble(8 * i);
            case "float16":
                return half(data.getShort(2 * i));
            case "uint8":
                return data.get(i) & 255;
            case "int32":
                return data.getInt(4 * i);
            default:
                return data.getLong(8 * i);
        }
    }

    /** All elements, as doubles. */
    public double[] toDoubles() {
        double[] values = new double[size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = get(i);
        }
        return values;
    }

    /** All elements, as floats. */
    public float[] toFloats() {
        float[] values = new float[size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) get(i);
        }
        return values;
    }

    @Override
    public String toString() {
        return dtype + " of the shape " + Arrays.toString(shape);
    }

    Tensor slice(int start, int stop) {
        int[] part = shape.clone();
        part[0] = stop - start;
        return new Tensor(dtype, part, bytes(start, stop));
    }

    int rowBytes() {
        return data.capacity() / Math.max(rows(), 1);
    }

    boolean isFloat() {
        return dtype.equals("float32") || dtype.equals("float64");
    }

    boolean hasAllBytes() {
        long bytes = ITEM_BYTES.get(dtype);
        for (int length : shape) {
            bytes *= length;
        }
        return bytes == data.capacity();
    }

    io.blackboxam.v1.Tensor.Builder header() {
        io.blackboxam.v1.Tensor.Builder header = io.blackboxam.v1.Tensor.newBuilder()
                .setDtype(Dtype.valueOf("DTYPE_" + dtype.toUpperCase(java.util.Locale.ROOT)));
        for (int length : shape) {
            header.addShape(length);
        }
        return header;
    }

    io.blackboxam.v1.Tensor message() {
        return header().setData(byteString()).build();
    }

    ByteString byteString() {
        return UnsafeByteOperations.unsafeWrap(data.duplicate().clear());
    }

    /** The tensor in a message, whose bytes it shares. */
    static Tensor from(io.blackboxam.v1.Tensor message, String field) {
        return from(message, message.getData().asReadOnlyByteBuffer(), field);
    }

    /** The tensor with the dtype and shape of header, and these bytes. */
    static Tensor from(io.blackboxam.v1.Tensor header, ByteBuffer data, String field) {
        long size = sizeOf(header, field);
        if (size != data.remaining()) {
            throw new BlackboxException.ShapeMismatch(String.format(
                    "%s: %s of the shape %s is %d bytes, got %d", field, nameOf(header),
                    header.getShapeList(), size, data.remaining())).withField(field);
        }
        int[] shape = header.getShapeList().stream().mapToInt(Math::toIntExact).toArray();
        return new Tensor(nameOf(header), shape, data);
    }

    /** The number of bytes of a tensor with this dtype and shape, which it checks. */
    static long sizeOf(io.blackboxam.v1.Tensor header, String field) {
        Integer item = ITEM_BYTES.get(nameOf(header));
        List<Long> lengths = header.getShapeList();
        if (item == null) {
            throw new BlackboxException.ShapeMismatch(field + ": expected a dtype out of "
                    + ITEM_BYTES.keySet() + ", got " + nameOf(header)).withField(field);
        }
        long size = item;
        try {
            for (long length : lengths) {
                size = Math.multiplyExact(size, (long) Math.toIntExact(length));
            }
        } catch (ArithmeticException tooLarge) {
            size = -1;
        }
        if (size < 0 || lengths.size() > MAX_AXES || lengths.stream().anyMatch(n -> n < 0)) {
            throw new BlackboxException.ShapeMismatch(String.format(
                    "%s: no array has the shape %.200s; expected at most %d axes, none negative",
                    field, lengths, MAX_AXES)).withField(field);
        }
        return size;
    }

    private static String nameOf(io.blackboxam.v1.Tensor header) {
        return header.getDtype().name().replace("DTYPE_", "").toLowerCase(java.util.Locale.ROOT);
    }

    private ByteBuffer bytes(int start, int stop) {
        int row = rowBytes();
        return data.slice(start * row, (stop - start) * row);
    }

    private static double half(short bits) {
        int exponent = (bits >> 10) & 31;
        int fraction = bits & 1023;
        double sign = bits < 0 ? -1 : 1;
        if (exponent == 31) {
            return fraction == 0 ? sign * Double.POSITIVE_INFINITY : Double.NaN;
        }
        return exponent == 0
                ? sign * Math.scalb((double) fraction, -24)
                : sign * Math.scalb(1024.0 + fraction, exponent - 25);
    }
}
