package io.blackboxam.client;

/**
 * The best candidate of one target.
 *
 * @param latent (D,) float32, or int64 codes
 * @param stimulus null unless stimuli were asked for
 * @param message everything that the server said of it
 */
public record Best(
        int target, String title, double score, Tensor latent, Tensor stimulus,
        io.blackboxam.v1.Best message) {

    static Best from(io.blackboxam.v1.Best message) {
        return new Best(
                message.getTarget(),
                message.getTitle(),
                message.getScore(),
                Tensor.from(message.getLatent(), "latent"),
                message.hasStimulus() ? Tensor.from(message.getStimulus(), "stimulus") : null,
                message);
    }
}
