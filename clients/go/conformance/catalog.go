package main

import (
	"context"
	"strconv"
	"strings"
)

type named interface{ GetName() string }

// names is the answer with the names of a listing.
func names[Entry named](entries []Entry, err error) (any, error) {
	found := make([]string, len(entries))
	for i, entry := range entries {
		found[i] = entry.GetName()
	}
	return map[string]any{"names": found}, err
}

func listOracles(d *driver, ctx context.Context, _ arguments) (any, error) {
	return names(d.client.Oracles(ctx))
}

func listGenerators(d *driver, ctx context.Context, _ arguments) (any, error) {
	return names(d.client.Generators(ctx))
}

func listOptimizers(d *driver, ctx context.Context, _ arguments) (any, error) {
	optimizers, err := d.client.Optimizers(ctx)
	plugIns := make([]named, len(optimizers))
	for i, optimizer := range optimizers {
		plugIns[i] = optimizer.GetPlugIn()
	}
	return names(plugIns, err)
}

func listUnits(d *driver, ctx context.Context, a arguments) (any, error) {
	units, err := d.client.Units(ctx, need[string](a, "oracle"), get[string](a, "layer"))
	return map[string]any{"units": listed(units)}, err
}

func sample(d *driver, ctx context.Context, a arguments) (any, error) {
	var seed *int64
	if text := get[*string](a, "seed"); text != nil {
		number, err := strconv.ParseInt(*text, 10, 64)
		if err != nil {
			return nil, &driverError{err.Error()}
		}
		seed = &number
	}
	latents, err := d.client.Sample(ctx, need[string](a, "generator"), need[int](a, "count"), seed)
	return map[string]any{"latents": tensorJSON(latents)}, err
}

func render(d *driver, ctx context.Context, a arguments) (any, error) {
	latents := need[tensor](a, "latents").tensor()
	stimuli, err := d.client.Render(
		ctx, need[string](a, "generator"), latents, get[string](a, "dtype"))
	return map[string]any{"stimuli": tensorJSON(stimuli)}, err
}

func observe(d *driver, ctx context.Context, a arguments) (any, error) {
	stimuli := need[tensor](a, "stimuli").tensor()
	found, err := d.client.Observe(
		ctx, need[string](a, "oracle"), stimuli, need[[]string](a, "units"))
	return map[string]any{"activations": tensorJSON(found)}, err
}

func describeOracle(d *driver, ctx context.Context, a arguments) (any, error) {
	found, err := d.client.DescribeOracle(ctx, need[string](a, "oracle"))
	if err != nil {
		return nil, err
	}
	capabilities := make([]string, len(found.GetCapabilities()))
	for i, capability := range found.GetCapabilities() {
		capabilities[i] = strings.TrimPrefix(capability.String(), "CAPABILITY_")
	}
	layers := make([]map[string]any, len(found.GetLayers()))
	for i, layer := range found.GetLayers() {
		layers[i] = map[string]any{
			"name": layer.GetName(), "kind": layer.GetKind(), "shape": listed(layer.GetShape()),
			"axes": listed(layer.GetAxes()), "units": layer.GetUnits(),
		}
	}
	return map[string]any{
		"kind": found.GetKind(), "deterministic": found.GetDeterministic(),
		"stimulus_shape": listed(found.GetStimulusShape()), "capabilities": capabilities,
		"batch_size": found.GetBatchSize(), "fingerprint": found.GetFingerprint(),
		"layers": layers,
	}, nil
}

func writeArtifact(d *driver, ctx context.Context, a arguments) (any, error) {
	digest, err := d.client.WriteArtifact(ctx, need[[]byte](a, "data"))
	return map[string]any{"digest": digest}, err
}

func readArtifact(d *driver, ctx context.Context, a arguments) (any, error) {
	data, err := d.client.ReadArtifact(ctx, need[string](a, "digest"))
	return map[string]any{"data": listed(data)}, err
}
