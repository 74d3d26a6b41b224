package io.blackboxam.conformance;

import static io.blackboxam.conformance.Request.answer;
import static io.blackboxam.conformance.Request.json;

import io.blackboxam.client.Catalog;
import io.blackboxam.v1.DescribeOracleResponse;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/** The requests about what a server has. */
final class Catalogs {
    private final Driver driver;

    Catalogs(Driver driver) {
        this.driver = driver;
    }

    void addTo(Map<String, Driver.Verb> verbs) {
        verbs.put("list_oracles", request -> answer("names",
                catalog().oracles().stream().map(info -> info.getName()).toList()));
        verbs.put("list_generators", request -> answer("names",
                catalog().generators().stream().map(info -> info.getName()).toList()));
        verbs.put("list_optimizers", request -> answer("names",
                catalog().optimizers().stream().map(info -> info.getPlugIn().getName()).toList()));
        verbs.put("list_units", request -> answer("units",
                catalog().units(request.text("oracle"), request.text("layer", ""))));
        verbs.put("sample", this::sample);
        verbs.put("render", request -> answer("stimuli", json(catalog().render(
                request.text("generator"), request.tensor("latents"), request.text("dtype", "uint8")))));
        verbs.put("observe", request -> answer("activations", json(catalog().observe(
                request.text("oracle"), request.tensor("stimuli"), request.texts("units")))));
        verbs.put("describe_oracle", this::describe);
        verbs.put("write_artifact", request -> answer("digest", driver.client().artifacts().write(
                Base64.getDecoder().decode(request.text("data")))));
        verbs.put("read_artifact", request -> answer("data", Base64.getEncoder().encodeToString(
                driver.client().artifacts().read(request.text("digest")))));
    }

    private Catalog catalog() {
        return driver.client().catalog();
    }

    private Object sample(Request request) {
        Long seed = request.get("seed") == null ? null : (Long) Long.parseLong(request.text("seed"));
        return answer("latents",
                json(catalog().sample(request.text("generator"), request.whole("count"), seed)));
    }

    private Object describe(Request request) {
        DescribeOracleResponse found = catalog().describeOracle(request.text("oracle"));
        List<?> layers = found.getLayersList().stream()
                .map(layer -> answer("name", layer.getName(), "kind", layer.getKind(),
                        "shape", List.copyOf(layer.getShapeList()),
                        "axes", List.copyOf(layer.getAxesList()), "units", layer.getUnits()))
                .toList();
        return answer("kind", found.getKind(), "deterministic", found.getDeterministic(),
                "stimulus_shape", List.copyOf(found.getStimulusShapeList()),
                "capabilities", found.getCapabilitiesList().stream()
                        .map(capability -> Request.name(capability, "CAPABILITY_")).toList(),
                "batch_size", found.getBatchSize(), "fingerprint", found.getFingerprint(),
                "layers", layers);
    }
}
