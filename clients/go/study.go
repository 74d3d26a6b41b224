package blackboxam

import (
	"context"
	"time"

	pb "blackbox-am/clients/go/blackboxamv1"
)

// A Study is a handle of a study; the server has all data.
type Study struct {
	ID string
	// Created is the study as the server answered when it was created or found by Create; nil
	// otherwise.
	Created *pb.Study

	client *Client
	name   string
}

// Handle is a handle of the study with this id, without a call to the server; see Client.Study.
func (c *Client) Handle(id string) *Study {
	return &Study{ID: id, client: c, name: "studies/" + id}
}

// Get is the study as it stands.
func (s *Study) Get(ctx context.Context) (*pb.Study, error) {
	answer, err := call(ctx, s.client, s.client.studies.GetStudy, &pb.GetStudyRequest{Name: s.name})
	return answer.GetStudy(), err
}

// Pause pauses the study: no candidates are handed out or evaluated until Resume.
func (s *Study) Pause(ctx context.Context) (*pb.Study, error) {
	request := &pb.PauseStudyRequest{Name: s.name}
	answer, err := call(ctx, s.client, s.client.studies.PauseStudy, request)
	return answer.GetStudy(), err
}

// Resume sets a paused or failed study going. With adopt it continues with the model and the
// generator that the server has now, where they are not those of the study's beginning.
func (s *Study) Resume(ctx context.Context, adopt bool) (*pb.Study, error) {
	request := &pb.ResumeStudyRequest{Name: s.name, Adopt: adopt}
	answer, err := call(ctx, s.client, s.client.studies.ResumeStudy, request)
	return answer.GetStudy(), err
}

// Cancel ends the study for good.
func (s *Study) Cancel(ctx context.Context) (*pb.Study, error) {
	request := &pb.CancelStudyRequest{Name: s.name}
	answer, err := call(ctx, s.client, s.client.studies.CancelStudy, request)
	return answer.GetStudy(), err
}

// Extend raises the budget; what is not set stays as it is. A study that had used its budget up
// continues.
func (s *Study) Extend(ctx context.Context, budget *pb.Budget) (*pb.Study, error) {
	request := &pb.ExtendStudyRequest{Name: s.name, Budget: budget}
	answer, err := call(ctx, s.client, s.client.studies.ExtendStudy, request)
	return answer.GetStudy(), err
}

// Delete deletes the study and all its data.
func (s *Study) Delete(ctx context.Context) error {
	request := &pb.DeleteStudyRequest{Name: s.name}
	_, err := call(ctx, s.client, s.client.studies.DeleteStudy, request)
	return err
}

// BestOptions say what of the best candidates to read.
type BestOptions struct {
	WithStimuli bool
	// Dtype of the stimuli: `uint8` (also where it is empty), or `float32`, which is exact.
	Dtype string
	// Targets to read; all where it is empty.
	Targets []int32
}

// A Best is the best candidate of one target.
type Best struct {
	*pb.Best
	// Latent is (D,) float32, or int64 codes.
	Latent Tensor
	// Stimulus is nil unless stimuli were asked for.
	Stimulus *Tensor
}

// Best is the best candidate of each target that has one.
func (s *Study) Best(ctx context.Context, options BestOptions) ([]Best, error) {
	dtype, err := stimulusDtype(options.Dtype)
	if err != nil {
		return nil, err
	}
	found, err := pages(func(token string) ([]*pb.Best, string, error) {
		answer, err := call(ctx, s.client, s.client.studies.GetBest, &pb.GetBestRequest{
			Name: s.name, WithStimuli: options.WithStimuli, StimulusDtype: dtype,
			Targets: options.Targets, PageToken: token,
		})
		return answer.GetBest(), answer.GetNextPageToken(), err
	})
	best := make([]Best, len(found))
	for i, message := range found {
		best[i].Best = message
		if best[i].Latent, err = tensorOf(message.GetLatent(), "latent"); err != nil {
			return nil, err
		}
		if best[i].Stimulus, err = optionalTensor(message.GetStimulus(), "stimulus"); err != nil {
			return nil, err
		}
	}
	return best, err
}

// Generations is the scores of the generations that closed after number after, in order; -1 for
// all.
func (s *Study) Generations(ctx context.Context, after int32) ([]*pb.Generation, error) {
	return pages(func(token string) ([]*pb.Generation, string, error) {
		request := &pb.ListGenerationsRequest{Name: s.name, PageSize: pageSize, PageToken: token}
		if after >= 0 {
			request.AfterGeneration = &after
		}
		answer, err := call(ctx, s.client, s.client.studies.ListGenerations, request)
		return answer.GetGenerations(), answer.GetNextPageToken(), err
	})
}

// Wait waits until the study has ended or is paused, and returns it as it then stands; with a
// timeout above 0 no longer than that. It waits for a server that is away, as Watch.
func (s *Study) Wait(ctx context.Context, timeout time.Duration) (*pb.Study, error) {
	limited, cancel := ctx, context.CancelFunc(func() {})
	if timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, timeout)
	}
	defer cancel()
	now, err := s.Get(ctx)
	for err == nil && active(now.GetState()) && limited.Err() == nil {
		watch := s.Watch(limited, WatchOptions{
			AfterSequence: now.GetSequence(), MinInterval: time.Second,
		})
		for watch.Next() && watch.Event().GetStateChanged() == nil {
			continue
		}
		watch.Close()
		if failed := watch.Err(); failed != nil && limited.Err() == nil {
			return nil, failed
		}
		now, err = s.Get(ctx)
	}
	return now, err
}

func active(state pb.StudyState) bool {
	return state == pb.StudyState_STUDY_STATE_PENDING || state == pb.StudyState_STUDY_STATE_RUNNING
}

func optionalTensor(message *pb.Tensor, field string) (*Tensor, error) {
	if message == nil {
		return nil, nil
	}
	tensor, err := tensorOf(message, field)
	return &tensor, err
}
