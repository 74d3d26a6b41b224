package io.blackboxam.conformance;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON as maps, lists, strings, doubles, booleans and null. */
final class Json {
    private final String text;
    private int place;

    private Json(String text) {
        this.text = text;
    }

    /** The value in a text. */
    static Object read(String text) {
        Json reader = new Json(text);
        Object value = reader.value();
        reader.blanks();
        if (reader.place != text.length()) {
            throw reader.wrong();
        }
        return value;
    }

    private Object value() {
        blanks();
        switch (peek()) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            case 't':
                return word("true", true);
            case 'f':
                return word("false", false);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object() {
        Map<String, Object> object = new LinkedHashMap<>();
        place++;
        for (blanks(); peek() != '}'; blanks()) {
            if (!object.isEmpty()) {
                expect(',');
                blanks();
            }
            String name = string();
            blanks();
            expect(':');
            object.put(name, value());
        }
        place++;
        return object;
    }

    private List<Object> array() {
        List<Object> array = new ArrayList<>();
        place++;
        for (blanks(); peek() != ']'; blanks()) {
            if (!array.isEmpty()) {
                expect(',');
            }
            array.add(value());
        }
        place++;
        return array;
    }

    private String string() {
        expect('"');
        StringBuilder built = new StringBuilder();
        for (char c = next(); c != '"'; c = next()) {
            built.append(c == '\\' ? escaped() : c);
        }
        return built.toString();
    }

    private char escaped() {
        char c = next();
        switch (c) {
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                place += 4;
                return (char) Integer.parseInt(text.substring(place - 4, place), 16);
            default:
                return c;
        }
    }

    private Double number() {
        int start = place;
        while (place < text.length() && "+-.0123456789eE".indexOf(text.charAt(place)) >= 0) {
            place++;
        }
        if (start == place) {
            throw wrong();
        }
        return Double.valueOf(text.substring(start, place));
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, place)) {
            throw wrong();
        }
        place += word.length();
        return value;
    }

    private void blanks() {
        while (place < text.length() && Character.isWhitespace(text.charAt(place))) {
            place++;
        }
    }

    private char peek() {
        if (place >= text.length()) {
            throw wrong();
        }
        return text.charAt(place);
    }

    private char next() {
        char c = peek();
        place++;
        return c;
    }

    private void expect(char c) {
        if (next() != c) {
            throw wrong();
        }
    }

    private DriverException wrong() {
        return new DriverException("no JSON at character " + place);
    }

    /** A value as text; numbers that JSON lacks become strings. */
    static String write(Object value) {
        StringBuilder built = new StringBuilder();
        write(built, value);
        return built.toString();
    }

    private static void write(StringBuilder to, Object value) {
        if (value instanceof Map<?, ?> map) {
            String separator = "{";
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                to.append(separator);
                quote(to, entry.getKey().toString());
                to.append(':');
                write(to, entry.getValue());
                separator = ",";
            }
            to.append(map.isEmpty() ? "{}" : "}");
        } else if (value instanceof Iterable<?> list) {
            String separator = "";
            to.append('[');
            for (Object entry : list) {
                to.append(separator);
                write(to, entry);
                separator = ",";
            }
            to.append(']');
        } else if (value instanceof String text) {
            quote(to, text);
        } else if (value instanceof Double number && !Double.isFinite(number)) {
            quote(to, number.toString());
        } else {
            to.append(value);
        }
    }

    private static void quote(StringBuilder to, String text) {
        to.append('"');
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                to.append('\\').append(c);
            } else if (c < ' ') {
                to.append(String.format("\\u%04x", (int) c));
            } else {
                to.append(c);
            }
        }
        to.append('"');
    }
}
