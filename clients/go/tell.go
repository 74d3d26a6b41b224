package blackboxam

import (
	"context"

	pb "blackbox-am/clients/go/blackboxamv1"
)

// Values are measurements: one number, or one row of numbers, for each candidate, larger is better.
// NaN is a measurement that failed. Make them with Scores, Activations or AllUnits.
type Values struct {
	scores   []float64
	table    Tensor
	allUnits bool
}

// Scores is one number for each candidate, for targets that read one unit.
func Scores(scores []float64) Values { return Values{scores: scores} }

// Activations is (N, U) float32 or float64: for each candidate the units of its target, in the
// order of the objective. Shorter rows are filled up with NaN.
func Activations(table Tensor) Values { return Values{table: table} }

// AllUnits is (N, U) float32 or float64: for each candidate all units of the study, in the order of
// `Study.units`.
func AllUnits(table Tensor) Values { return Values{table: table, allUnits: true} }

// A TellResult is what became of measurements.
type TellResult struct {
	// Accepted rows were new; Repeated ones were told before, or are of a closed generation.
	Accepted, Repeated int32
	State              pb.StudyState
	// Generation is the open one afterwards, and Sequence the last event's number.
	Generation int32
	Sequence   int64
	// Done: the study has ended.
	Done bool
}

// Tell brings measurements. They are durable when it returns; telling them again is harmless. It
// waits for a server that is away.
//
// The error is of the kind ShapeMismatch, before anything is sent, if there is not one number or
// one row for each candidate, and StudyClosed if the study has ended.
func (s *Study) Tell(ctx context.Context, ids []uint64, values Values) (*TellResult, error) {
	if err := values.check(len(ids)); err != nil {
		return nil, err
	}
	told := &TellResult{}
	step := max(sendBytes/(idBytes+values.rowBytes(len(ids))), 1)
	for start := 0; start < max(len(ids), 1); start += step {
		end := min(start+step, len(ids))
		request := &pb.TellRequest{Name: s.name, CandidateIds: ids[start:end]}
		values.fill(request, start, end)
		answer, err := persist(ctx, s.client, s.client.studies.Tell, request)
		if err != nil {
			return nil, err
		}
		told.Accepted += answer.GetAccepted()
		told.Repeated += answer.GetRepeated()
		told.State, told.Done = answer.GetState(), answer.GetDone()
		told.Generation, told.Sequence = answer.GetGeneration(), answer.GetSequence()
	}
	return told, nil
}

func (v Values) isTable() bool { return v.table.Dtype != "" }

func (v Values) check(rows int) error {
	if !v.isTable() {
		if len(v.scores) != rows {
			return newError(ShapeMismatch, "values", "values: expected one number for each of %d "+
				"candidates, got %d numbers", rows, len(v.scores))
		}
		return nil
	}
	isFloat := v.table.Dtype == "float32" || v.table.Dtype == "float64"
	shape := v.table.Shape
	if !isFloat || len(shape) != 2 || shape[0] != rows ||
		len(v.table.Data) != shape[0]*shape[1]*itemSizes[v.table.Dtype] {
		return newError(ShapeMismatch, "values", "values: expected float32 or float64, one row of "+
			"numbers for each of %d candidates, got %s of shape %v", rows, v.table.Dtype, shape)
	}
	return nil
}

func (v Values) rowBytes(rows int) int {
	if !v.isTable() {
		return 8
	}
	return len(v.table.Data) / max(rows, 1)
}

func (v Values) fill(request *pb.TellRequest, start, end int) {
	switch {
	case !v.isTable():
		scores := &pb.Scores{Values: v.scores[start:end]}
		request.Measurement = &pb.TellRequest_Scores{Scores: scores}
	case v.allUnits:
		request.Measurement = &pb.TellRequest_AllUnits{AllUnits: v.piece(start, end)}
	default:
		request.Measurement = &pb.TellRequest_Activations{Activations: v.piece(start, end)}
	}
}

func (v Values) piece(start, end int) *pb.Tensor {
	if start == end {
		return v.table.message()
	}
	return v.table.slice(start, end).message()
}
