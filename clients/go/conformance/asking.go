package main

import (
	"context"
	"strings"
	"time"

	bam "blackbox-am/clients/go"
	pb "blackbox-am/clients/go/blackboxamv1"
)

func ask(d *driver, ctx context.Context, a arguments) (any, error) {
	options := askOptions(a)
	options.WithStimuli, options.Wait = get[bool](a, "stimuli"), seconds(a, "timeout_s")
	if options.Wait == 0 {
		options.Wait = bam.NoWait
	}
	found, err := d.study(a).Ask(ctx, options)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"candidate_ids": idTexts(found.IDs), "targets": listed(found.Targets),
		"generation": found.Generation, "latents": tensorJSON(found.Latents),
		"stimuli": optionalTensorJSON(found.Stimuli), "lease_id": found.LeaseID,
		"lease_s": found.Lease.Seconds(), "state": stateOf(found.State), "done": found.Done,
		"retry_after_s": found.RetryAfter.Seconds(),
	}, nil
}

func askOptions(a arguments) bam.AskOptions {
	return bam.AskOptions{
		Max: get[int32](a, "n"), Dtype: get[string](a, "dtype"), Lease: seconds(a, "lease_s"),
	}
}

func tell(d *driver, ctx context.Context, a arguments) (any, error) {
	told, err := d.study(a).Tell(ctx, ids(need[[]string](a, "candidate_ids")), valuesOf(a))
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"accepted": told.Accepted, "repeated": told.Repeated, "state": stateOf(told.State),
		"generation": told.Generation, "sequence": told.Sequence, "done": told.Done,
	}, nil
}

func valuesOf(a arguments) bam.Values {
	if table := get[*tensor](a, "values"); table != nil {
		if get[bool](a, "all_units") {
			return bam.AllUnits(table.tensor())
		}
		return bam.Activations(table.tensor())
	}
	scores := need[[]double](a, "scores")
	plain := make([]float64, len(scores))
	for i, score := range scores {
		plain[i] = float64(score)
	}
	return bam.Scores(plain)
}

func renew(d *driver, ctx context.Context, a arguments) (any, error) {
	lease := seconds(a, "lease_s")
	if lease == 0 {
		lease = time.Minute
	}
	held, err := d.study(a).Renew(ctx, need[string](a, "lease_id"), lease)
	return map[string]any{"held": held}, err
}

func askTell(d *driver, ctx context.Context, a arguments) (any, error) {
	options := askOptions(a)
	options.WithStimuli = get[string](a, "input") == "stimuli"
	model := modelOf(need[arguments](a, "model"), seconds(a, "pause_ms")/1000)
	result, err := d.study(a).AskTell(ctx, model, options)
	return map[string]any{"measured": result.Measured, "calls": result.Calls}, err
}

func generations(d *driver, ctx context.Context, a arguments) (any, error) {
	after := int32(-1)
	if given := get[*int32](a, "after"); given != nil {
		after = *given
	}
	found, err := d.study(a).Generations(ctx, after)
	listing := make([]map[string]any, len(found))
	for i, generation := range found {
		listing[i] = map[string]any{
			"generation": generation.GetGeneration(), "targets": listed(generation.GetTargets()),
			"scores": wireTensor(generation.GetScores()),
		}
	}
	return map[string]any{"generations": listing}, err
}

func best(d *driver, ctx context.Context, a arguments) (any, error) {
	found, err := d.study(a).Best(ctx, bam.BestOptions{
		WithStimuli: get[bool](a, "stimuli"), Dtype: get[string](a, "dtype"),
		Targets: get[[]int32](a, "targets"),
	})
	listing := make([]map[string]any, len(found))
	for i, best := range found {
		listing[i] = map[string]any{
			"target": best.GetTarget(), "title": best.GetTitle(), "score": double(best.GetScore()),
			"generation": best.GetGeneration(), "row": best.GetRow(),
			"latent": tensorJSON(best.Latent), "stimulus": optionalTensorJSON(best.Stimulus),
		}
	}
	return map[string]any{"best": listing}, err
}

// wireTensor is a tensor of a message as JSON.
func wireTensor(message *pb.Tensor) tensor {
	shape := make([]int, len(message.GetShape()))
	for i, length := range message.GetShape() {
		shape[i] = int(length)
	}
	name := strings.ToLower(nameOf(message.GetDtype(), "DTYPE_"))
	return tensor{name, shape, listed(message.GetData())}
}
