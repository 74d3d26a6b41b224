package io.blackboxam.client;

/** Measures candidates. */
@FunctionalInterface
public interface Model {
    /**
     * The measurements of candidates, one for each. A measurement that failed is NaN, which is data.
     *
     * @throws Exception stops the loop; it comes to the caller as the cause of a ModelException
     */
    Values measure(Candidates candidates) throws Exception;
}
