package blackboxam

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "blackbox-am/clients/go/blackboxamv1"
)

const (
	// The shortest wait between two requests for candidates.
	shortestWait = 50 * time.Millisecond
	// The largest size of one candidate's id in a request.
	idBytes = 16
)

// NoWait is the value of AskOptions.Wait with which Ask returns at once.
const NoWait time.Duration = -1

// AskOptions say what candidates to ask for.
type AskOptions struct {
	// Max is the largest number of candidates; 0 for as many as fit into one message.
	Max int32
	// WithStimuli: whether to send the rendered stimuli.
	WithStimuli bool
	// Dtype of the stimuli: `uint8` (also where it is empty), or `float32`, which is exact.
	Dtype string
	// Lease is how long the candidates are held for this client; 60 seconds where it is 0.
	Lease time.Duration
	// Wait is the longest wait where others hold all candidates or the study is paused: without a
	// limit where it is 0, and not at all with NoWait.
	Wait time.Duration
}

// Candidates are to be measured. They are held for this client for a limited time.
type Candidates struct {
	// IDs are numbers for Tell.
	IDs []uint64
	// Targets is the target of each candidate.
	Targets []int32
	// Latents is (N, D) float32, or int64 codes.
	Latents Tensor
	// Stimuli is (N, *stimulus); nil unless they were asked for.
	Stimuli    *Tensor
	Generation int32
	State      pb.StudyState
	// Done: the study has ended, and there will be no candidates.
	Done bool
	// RetryAfter is when to ask again where there are no candidates now.
	RetryAfter time.Duration
	LeaseID    string
	Lease      time.Duration
}

// Ask asks for candidates. It waits where others hold all of them, where the study is paused, and
// for a server that is away. When the study has ended, Done is true.
func (s *Study) Ask(ctx context.Context, options AskOptions) (*Candidates, error) {
	dtype, err := stimulusDtype(options.Dtype)
	if err != nil {
		return nil, err
	}
	request := &pb.AskRequest{
		Name: s.name, MaxCandidates: options.Max, WithStimuli: options.WithStimuli,
		StimulusDtype: dtype, ClientId: s.client.clientID, SessionId: s.client.session,
	}
	if options.Lease != 0 {
		request.LeaseDuration = durationpb.New(options.Lease)
	}
	started := time.Now()
	for {
		answer, err := persist(ctx, s.client, s.client.studies.Ask, request)
		if err != nil {
			return nil, err
		}
		found, err := candidatesOf(answer)
		left := options.Wait - time.Since(started)
		over := options.Wait != 0 && left <= 0
		if err != nil || len(found.IDs) > 0 || found.Done || over {
			return found, err
		}
		wait := found.RetryAfter
		if wait < shortestWait {
			wait = shortestWait
		}
		if options.Wait != 0 && wait > left {
			wait = left
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func candidatesOf(answer *pb.AskResponse) (*Candidates, error) {
	latents, err := tensorOf(answer.GetLatents(), "latents")
	if err != nil {
		return nil, err
	}
	stimuli, err := optionalTensor(answer.GetStimuli(), "stimuli")
	if err != nil {
		return nil, err
	}
	return &Candidates{
		IDs: answer.GetCandidateIds(), Targets: answer.GetTargets(),
		Latents: latents, Stimuli: stimuli, Generation: answer.GetGeneration(),
		State: answer.GetState(), Done: answer.GetDone(),
		RetryAfter: answer.GetRetryAfter().AsDuration(),
		LeaseID:    answer.GetLeaseId(), Lease: answer.GetLeaseDuration().AsDuration(),
	}, nil
}

// Renew extends a lease, and returns the number of candidates that are still held. The error is of
// the kind NotFound if the lease has expired or all its candidates are measured.
func (s *Study) Renew(ctx context.Context, leaseID string, lease time.Duration) (int32, error) {
	answer, err := call(ctx, s.client, s.client.studies.RenewLease, &pb.RenewLeaseRequest{
		Name: s.name, LeaseId: leaseID, LeaseDuration: durationpb.New(lease),
	})
	return answer.GetHeld(), err
}
