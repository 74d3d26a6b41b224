package io.blackboxam.conformance;

import io.blackboxam.client.Tensor;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The arguments of a request; an argument that is missing or null is null. */
record Request(Map<String, Object> arguments) {

    Object get(String name) {
        return arguments.get(name);
    }

    Object need(String name) {
        Object value = get(name);
        if (value == null) {
            throw new DriverException("the argument " + name + " is missing");
        }
        return value;
    }

    String text(String name) {
        return (String) need(name);
    }

    String text(String name, String otherwise) {
        return get(name) == null ? otherwise : (String) get(name);
    }

    boolean flag(String name) {
        return Boolean.TRUE.equals(get(name));
    }

    int whole(String name) {
        return (int) number(need(name));
    }

    int whole(String name, int otherwise) {
        return get(name) == null ? otherwise : whole(name);
    }

    Duration seconds(String name) {
        return get(name) == null ? null : Duration.ofNanos(Math.round(number(get(name)) * 1e9));
    }

    List<?> list(String name) {
        return get(name) == null ? List.of() : (List<?>) get(name);
    }

    List<String> texts(String name) {
        return list(name).stream().map(String.class::cast).toList();
    }

    List<Integer> wholes(String name) {
        return list(name).stream().map(value -> (int) number(value)).toList();
    }

    double[] doubles(String name) {
        return list(name).stream().mapToDouble(Request::number).toArray();
    }

    long[] ids(String name) {
        return texts(name).stream().mapToLong(Long::parseUnsignedLong).toArray();
    }

    Request object(String name) {
        Map<String, Object> found = new LinkedHashMap<>();
        if (get(name) instanceof Map<?, ?> map) {
            map.forEach((key, value) -> found.put((String) key, value));
        }
        return new Request(found);
    }

    Tensor tensor(String name) {
        need(name);
        Request tensor = object(name);
        int[] shape = tensor.wholes("shape").stream().mapToInt(Integer::intValue).toArray();
        return new Tensor(tensor.text("dtype"), shape,
                ByteBuffer.wrap(Base64.getDecoder().decode(tensor.text("data"))));
    }

    /** A number; also one of the names of numbers that JSON lacks. */
    static double number(Object value) {
        return value instanceof String name ? Double.parseDouble(name) : (Double) value;
    }

    /** An answer from names and values in turn. */
    static Map<String, Object> answer(Object... entries) {
        Map<String, Object> answer = new LinkedHashMap<>();
        for (int i = 0; i < entries.length; i += 2) {
            answer.put((String) entries[i], entries[i + 1]);
        }
        return answer;
    }

    static Map<String, Object> json(Tensor tensor) {
        if (tensor == null) {
            return null;
        }
        byte[] bytes = new byte[tensor.data().remaining()];
        tensor.data().get(bytes);
        List<Integer> shape = new ArrayList<>();
        for (int length : tensor.shape()) {
            shape.add(length);
        }
        return answer("dtype", tensor.dtype(), "shape", shape,
                "data", Base64.getEncoder().encodeToString(bytes));
    }

    /** The name of an enumeration's value without its prefix. */
    static String name(Enum<?> value, String prefix) {
        if (value.name().equals("UNRECOGNIZED")) {
            return "UNKNOWN";
        }
        return value.name().equals(prefix + "UNSPECIFIED") ? "" : value.name().substring(prefix.length());
    }
}
