package main

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	bam "blackbox-am/clients/go"
	pb "blackbox-am/clients/go/blackboxamv1"
)

func (d *driver) study(a arguments) *bam.Study {
	return d.client.Handle(need[string](a, "study_id"))
}

func createStudy(d *driver, ctx context.Context, a arguments) (any, error) {
	message, err := specOf(need[arguments](a, "spec"))
	if err != nil {
		return nil, err
	}
	study, err := d.client.CreateFrom(ctx, message, bam.CreateOptions{
		StudyID: get[string](a, "study_id"), RequestID: get[string](a, "request_id"),
		ValidateOnly: get[bool](a, "validate_only"), Adopt: get[bool](a, "adopt"),
	})
	if err != nil {
		return nil, err
	}
	var seed any
	if drawn := study.Created.GetSpec().Seed; drawn != nil {
		seed = strconv.FormatInt(*drawn, 10)
	}
	return map[string]any{
		"study_id": study.ID, "seed": seed, "population": study.Created.GetPopulation(),
	}, nil
}

func specOf(a arguments) (*pb.StudySpec, error) {
	spec := bam.Spec{
		Generator: get[string](a, "generator"), Space: spaceOf(get[arguments](a, "space")),
		Oracle: get[string](a, "oracle"), Optimizer: get[string](a, "optimizer"),
		Parameters: get[map[string]any](a, "parameters"), Seconds: get[*float64](a, "seconds"),
		TargetScore: get[*float64](a, "target_score"), Patience: get[*int32](a, "patience"),
		Labels: get[map[string]string](a, "labels"),
	}
	if seed := get[*string](a, "seed"); seed != nil {
		number, err := strconv.ParseInt(*seed, 10, 64)
		if err != nil {
			return nil, &driverError{err.Error()}
		}
		spec.Seed = &number
	}
	message, err := spec.Message()
	if err != nil {
		return nil, err
	}
	if queries := get[*int32](a, "queries_per_target"); queries != nil {
		message.Budget.QueriesPerTarget = *queries
	}
	for _, raw := range need[[]json.RawMessage](a, "targets") {
		target := arguments{"quantities": raw}
		if raw[0] != '[' {
			target["quantities"] = json.RawMessage("[" + string(raw) + "]")
		}
		quantities := get[[]string](target, "quantities")
		message.Targets = append(message.Targets, &pb.Objective{Quantities: quantities})
	}
	return message, nil
}

func spaceOf(a arguments) *pb.Space {
	if a == nil {
		return nil
	}
	kind := pb.SpaceKind_value["SPACE_KIND_"+strings.ToUpper(need[string](a, "kind"))]
	return &pb.Space{
		Kind: pb.SpaceKind(kind), Dimension: get[int32](a, "dimension"),
		Radius: get[*float64](a, "radius"), Low: get[[]float64](a, "low"),
		High: get[[]float64](a, "high"), Categories: get[int32](a, "categories"),
	}
}

func getStudy(d *driver, ctx context.Context, a arguments) (any, error) {
	return studyAnswer(d.study(a).Get(ctx))
}

func listStudies(d *driver, ctx context.Context, a arguments) (any, error) {
	var states []pb.StudyState
	for _, name := range get[[]string](a, "states") {
		states = append(states, pb.StudyState(pb.StudyState_value["STUDY_STATE_"+name]))
	}
	found, err := d.client.List(ctx, get[map[string]string](a, "labels"), states...)
	studies := make([]map[string]any, len(found))
	for i, study := range found {
		studies[i] = map[string]any{"study_id": idOf(study), "state": stateOf(study.GetState())}
	}
	return map[string]any{"studies": studies}, err
}

func pause(d *driver, ctx context.Context, a arguments) (any, error) {
	return studyAnswer(d.study(a).Pause(ctx))
}

func resume(d *driver, ctx context.Context, a arguments) (any, error) {
	return studyAnswer(d.study(a).Resume(ctx, get[bool](a, "adopt")))
}

func cancel(d *driver, ctx context.Context, a arguments) (any, error) {
	return studyAnswer(d.study(a).Cancel(ctx))
}

func extend(d *driver, ctx context.Context, a arguments) (any, error) {
	return studyAnswer(d.study(a).Extend(ctx, &pb.Budget{
		QueriesPerTarget: get[int32](a, "queries_per_target"), Seconds: get[*float64](a, "seconds"),
		TargetScore: get[*float64](a, "target_score"), Patience: get[*int32](a, "patience"),
	}))
}

func remove(d *driver, ctx context.Context, a arguments) (any, error) {
	return struct{}{}, d.study(a).Delete(ctx)
}

func wait(d *driver, ctx context.Context, a arguments) (any, error) {
	return studyAnswer(d.study(a).Wait(ctx, seconds(a, "timeout_s")))
}

func studyAnswer(study *pb.Study, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	targets := make([]map[string]any, len(study.GetTargets()))
	for i, target := range study.GetTargets() {
		targets[i] = map[string]any{
			"target": target.GetTarget(), "title": target.GetTitle(),
			"finished":    target.GetFinished(),
			"stop_reason": nameOf(target.GetStopReason(), "STOP_REASON_"),
			"queries":     target.GetQueries(), "best_score": optionalDouble(target.BestScore),
		}
	}
	return map[string]any{"study": map[string]any{
		"study_id": idOf(study), "state": stateOf(study.GetState()),
		"stop_reason": nameOf(study.GetStopReason(), "STOP_REASON_"),
		"message":     study.GetMessage(), "sequence": study.GetSequence(),
		"generation":         study.GetGeneration(),
		"search_rows":        study.GetAccounting().GetSearchRows(),
		"failed_rows":        study.GetAccounting().GetFailedRows(),
		"queries_per_target": study.GetSpec().GetBudget().GetQueriesPerTarget(),
		"targets":            targets,
	}}, nil
}

func idOf(study *pb.Study) string { return strings.TrimPrefix(study.GetName(), "studies/") }

func stateOf(state pb.StudyState) string { return nameOf(state, "STUDY_STATE_") }
