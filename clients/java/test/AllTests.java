package io.blackboxam.test;

import java.util.LinkedHashMap;
import java.util.Map;

/** Runs all tests, and ends with the number of those that failed. */
public final class AllTests {
    private AllTests() {}

    public static void main(String[] arguments) {
        Map<String, Checks.Step> tests = new LinkedHashMap<>();
        LocalTests.addTo(tests);
        OracleTests.addTo(tests);
        if (ServerProcess.isThere()) {
            StudyTests.addTo(tests);
        } else {
            System.out.println("BLACKBOX_AM_PYTHON names no Python with blackbox_am: tests against "
                    + "a server are skipped");
        }
        int failed = 0;
        for (Map.Entry<String, Checks.Step> test : tests.entrySet()) {
            try {
                test.getValue().run();
                System.out.println("ok      " + test.getKey());
            } catch (Throwable error) {
                failed++;
                System.out.println("FAILED  " + test.getKey());
                error.printStackTrace(System.out);
            }
        }
        System.out.printf("%d tests, %d failed%n", tests.size(), failed);
        System.exit(Math.min(failed, 1));
    }
}
