package blackboxam

import (
	"context"
	"errors"
)

// A Model measures candidates. An error stops the loop. For a measurement that failed it returns
// NaN, which is data and no error.
type Model func(ctx context.Context, candidates *Candidates) (Values, error)

// A ScoreModel is a Model with one number for each candidate.
func ScoreModel(measure func(context.Context, *Candidates) ([]float64, error)) Model {
	return func(ctx context.Context, candidates *Candidates) (Values, error) {
		scores, err := measure(ctx, candidates)
		return Scores(scores), err
	}
}

// A ModelError is an error of a model function.
type ModelError struct{ Cause error }

func (e *ModelError) Error() string { return e.Cause.Error() }

// Unwrap is the error that the model function returned.
func (e *ModelError) Unwrap() error { return e.Cause }

// An AskTellResult is what a loop did.
type AskTellResult struct {
	// Measured is the number of candidates that the model measured, and Calls that of its calls.
	Measured, Calls int
}

// AskTell measures candidates with a model until the study has ended. It waits where the study is
// paused, where others hold all candidates, and for a server that is away.
//
// The loop stops with a *ModelError if the model returns an error, with an error of the kind
// ShapeMismatch if the model returns the wrong number of values, and with the error of ctx. What was
// told before is kept; candidates that this client holds come back when it starts again under its
// name.
func (s *Study) AskTell(ctx context.Context, model Model, options AskOptions) (AskTellResult, error) {
	var result AskTellResult
	options.Wait = 0
	for {
		candidates, err := s.Ask(ctx, options)
		if err != nil {
			return result, err
		}
		if candidates.Done {
			return result, nil
		}
		result.Calls++
		values, err := model(ctx, candidates)
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return result, err
			}
			return result, &ModelError{err}
		}
		if err := values.check(len(candidates.IDs)); err != nil {
			return result, err
		}
		result.Measured += len(candidates.IDs)
		// A study that ended while the model measured is found by the next Ask.
		err = s.tellMeasured(ctx, candidates.IDs, values)
		if err != nil && !errors.Is(err, StudyClosed) {
			return result, err
		}
	}
}

// tellMeasured tells values also after the end of ctx: what was measured is not thrown away.
func (s *Study) tellMeasured(ctx context.Context, ids []uint64, values Values) error {
	if ctx.Err() != nil {
		last, cancel := context.WithTimeout(context.Background(), s.client.timeout)
		defer cancel()
		ctx = last
	}
	_, err := s.Tell(ctx, ids, values)
	return err
}
