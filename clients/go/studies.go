package blackboxam

import (
	"context"
	"strings"

	pb "blackbox-am/clients/go/blackboxamv1"
	"google.golang.org/protobuf/types/known/structpb"
)

// A Spec is what a study searches for, in its plain form. CreateFrom takes the full one.
type Spec struct {
	// StudyID is a small letter, then small letters, digits, hyphens; 63 at most. The server
	// chooses one where it is empty. A second call with the same id continues the study.
	StudyID string
	// Targets are addresses of units. Each is a search; all advance together.
	Targets []string
	// Generator is a registered generator, or Space is a bare space, whose points clients evaluate.
	Generator string
	Space     *pb.Space
	// Oracle is a registered oracle; empty where clients measure.
	Oracle string
	// Optimizer is a registered optimizer; `auto` where it is empty.
	Optimizer  string
	Parameters map[string]any
	// QueriesPerTarget is the largest number of rows measured for each target; 1000 where it is 0.
	QueriesPerTarget int32
	// Further limits; nil does not limit.
	Seconds     *float64
	TargetScore *float64
	Patience    *int32
	// Seed determines every random number; the server draws one where it is nil.
	Seed   *int64
	Labels map[string]string
}

// CreateOptions are what a request says besides the specification.
type CreateOptions struct {
	StudyID string
	// RequestID: repeating a call with this id has no further effect.
	RequestID string
	// ValidateOnly checks, and creates nothing.
	ValidateOnly bool
	// Adopt continues a study that was created with another model or generator.
	Adopt bool
}

// Create creates a study, or returns the one that is there under the id with the same
// specification.
//
// It returns errors of the kinds InvalidInput, NotFound, Unsupported, and StudyExists if the study
// has another specification.
func (c *Client) Create(ctx context.Context, spec Spec) (*Study, error) {
	message, err := spec.Message()
	if err != nil {
		return nil, err
	}
	return c.CreateFrom(ctx, message, CreateOptions{StudyID: spec.StudyID})
}

// CreateFrom creates the study that a message describes. The study has no id if it was only
// validated.
func (c *Client) CreateFrom(
	ctx context.Context, spec *pb.StudySpec, options CreateOptions,
) (*Study, error) {
	answer, err := call(ctx, c, c.studies.CreateStudy, &pb.CreateStudyRequest{
		Spec: spec, StudyId: options.StudyID, RequestId: options.RequestID,
		ValidateOnly: options.ValidateOnly, Adopt: options.Adopt,
	})
	if err != nil {
		return nil, err
	}
	study := c.Handle(strings.TrimPrefix(answer.GetStudy().GetName(), "studies/"))
	study.Created = answer.GetStudy()
	return study, nil
}

// Study is the study with this id, which must exist.
func (c *Client) Study(ctx context.Context, id string) (*Study, error) {
	study := c.Handle(id)
	_, err := study.Get(ctx)
	if err != nil {
		return nil, err
	}
	return study, nil
}

// List is the studies in one of the states (all if there are none) that have all the labels, by id.
func (c *Client) List(
	ctx context.Context, labels map[string]string, states ...pb.StudyState,
) ([]*pb.Study, error) {
	return pages(func(token string) ([]*pb.Study, string, error) {
		answer, err := call(ctx, c, c.studies.ListStudies, &pb.ListStudiesRequest{
			PageSize: pageSize, PageToken: token, States: states, Labels: labels,
		})
		return answer.GetStudies(), answer.GetNextPageToken(), err
	})
}

// Message is the specification as a message, for CreateFrom.
func (s Spec) Message() (*pb.StudySpec, error) {
	if (s.Generator == "") == (s.Space == nil) {
		return nil, newError(InvalidSpec, "spec", "expected a generator or a space, got both or none")
	}
	parameters, err := structpb.NewStruct(s.Parameters)
	if err != nil {
		return nil, newError(InvalidSpec, "spec.optimizer.parameters", "parameters: %v", err)
	}
	queries := s.QueriesPerTarget
	if queries == 0 {
		queries = 1000
	}
	spec := &pb.StudySpec{
		Oracle: s.Oracle,
		Budget: &pb.Budget{
			QueriesPerTarget: queries, Seconds: s.Seconds, TargetScore: s.TargetScore,
			Patience: s.Patience,
		},
		Seed:   s.Seed,
		Labels: s.Labels,
	}
	if s.Optimizer != "" || len(s.Parameters) > 0 {
		name := s.Optimizer
		if name == "" {
			name = "auto"
		}
		spec.Optimizer = &pb.PlugIn{Name: name, Parameters: parameters}
	}
	if s.Space != nil {
		spec.Source = &pb.StudySpec_Space{Space: s.Space}
	} else {
		spec.Source = &pb.StudySpec_Generator{Generator: &pb.GeneratorSpec{Name: s.Generator}}
	}
	for _, target := range s.Targets {
		spec.Targets = append(spec.Targets, &pb.Objective{Quantities: []string{target}})
	}
	return spec, nil
}
