package blackboxam

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	pb "blackbox-am/clients/go/blackboxamv1"
)

// MaxMessageBytes is the longest single message that a served oracle reads.
const MaxMessageBytes = 32 << 20

// An Oracle is a model that others can search: a server of blackbox_am with an oracle of the kind
// `remote` calls it.
type Oracle struct {
	// Name on the wire; a request without a name means this oracle, too.
	Name string
	// Kind of the model, in a word.
	Kind string
	// StimulusShape is the shape of one stimulus.
	StimulusShape []int
	Layers        []OracleLayer
	// Noisy: the same stimuli can give different activations.
	Noisy bool
	// BatchSize is the number of rows that one call of Observe serves best, and the largest number
	// of rows of a call for ObserveStream; 1 where it is 0.
	BatchSize int
	// Fingerprint changes whenever the model changes; empty where nobody knows.
	Fingerprint string
	// Observe measures stimuli, and returns one row for each stimulus with one number for each
	// unit; NaN where a measurement failed. It may be called from several goroutines at once. An
	// *Error comes to the caller as an error of the same kind, another error as OracleFailed.
	Observe func(ctx context.Context, stimuli Stimuli, units []OracleUnit) ([][]float32, error)
}

// An OracleLayer is a layer of an oracle with its units, `name:0` to `name:UNITS-1`.
type OracleLayer struct {
	Name string
	// Kind is `scores` where it is empty: the model's own output.
	Kind  string
	Units int
	// Labels are names of the units, where they have any.
	Labels []string
}

// An OracleUnit is a unit that a caller asks for.
type OracleUnit struct {
	Layer string
	Index int
}

// Stimuli are a batch of stimuli with values in [0, 1].
type Stimuli struct {
	// Rows is the number of stimuli, and Shape the shape of one.
	Rows  int
	Shape []int
	// Values is (Rows, *Shape), row-major.
	Values []float32
}

// Row is the values of stimulus i.
func (s Stimuli) Row(i int) []float32 {
	size := len(s.Values) / s.Rows
	return s.Values[i*size : (i+1)*size]
}

// An OracleServer serves an oracle.
type OracleServer struct {
	// Address is host:port of the server.
	Address string

	server *grpc.Server
	done   chan error
}

// ServeOracle serves an oracle at address, host:port; a free port where the port is 0. It serves
// OracleService and grpc.health.v1.Health, without encryption unless options have credentials.
func ServeOracle(address string, oracle Oracle, options ...grpc.ServerOption) (*OracleServer, error) {
	if err := oracle.check(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, newError(InvalidInput, "address", "cannot serve at %s: %v", address, err)
	}
	options = append([]grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessageBytes), grpc.MaxSendMsgSize(MaxMessageBytes),
	}, options...)
	server := grpc.NewServer(options...)
	pb.RegisterOracleServiceServer(server, &oracleService{oracle: oracle})
	state := health.NewServer()
	state.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	state.SetServingStatus("blackbox_am.v1.OracleService", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(server, state)
	served := &OracleServer{listener.Addr().String(), server, make(chan error, 1)}
	go func() { served.done <- server.Serve(listener) }()
	return served, nil
}

// Stop ends the server after the calls that it serves.
func (s *OracleServer) Stop() { s.server.GracefulStop() }

// Wait waits until the server has ended, or ctx has ended, at which it stops the server.
func (s *OracleServer) Wait(ctx context.Context) error {
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		s.Stop()
		return nil
	}
}

func (o Oracle) check() error {
	if o.Observe == nil || len(o.Layers) == 0 {
		return newError(InvalidSpec, "oracle", "expected layers and the function Observe")
	}
	for _, layer := range o.Layers {
		if layer.Name == "" || layer.Units < 1 {
			return newError(InvalidSpec, "layers", "expected a layer with a name and at least one "+
				"unit, got %+v", layer)
		}
	}
	return nil
}

func (o Oracle) description() *pb.DescribeOracleResponse {
	layers := make([]*pb.Layer, len(o.Layers))
	for i, layer := range o.Layers {
		kind := layer.Kind
		if kind == "" {
			kind = "scores"
		}
		layers[i] = &pb.Layer{
			Name: layer.Name, Kind: kind, Shape: []int32{int32(layer.Units)},
			Axes: []string{"unit"}, Units: int32(layer.Units), Labels: layer.Labels,
		}
	}
	shape := make([]int32, len(o.StimulusShape))
	for i, length := range o.StimulusShape {
		shape[i] = int32(length)
	}
	return &pb.DescribeOracleResponse{
		Oracle: o.Name, Kind: o.Kind, Deterministic: !o.Noisy, StimulusShape: shape,
		Layers: layers, BatchSize: int32(max(o.BatchSize, 1)), Fingerprint: o.Fingerprint,
		Capabilities: []pb.Capability{
			pb.Capability_CAPABILITY_SCORES, pb.Capability_CAPABILITY_UNITS,
		},
	}
}

// observed calls Observe, and checks its answer.
func (o Oracle) observed(ctx context.Context, stimuli Stimuli, units []OracleUnit) (rows [][]float32, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = newError(OracleFailed, "", "the model failed: %v", problem)
		}
	}()
	rows, err = o.Observe(ctx, stimuli, units)
	if err != nil {
		return nil, err
	}
	fits := len(rows) == stimuli.Rows
	for _, row := range rows {
		fits = fits && len(row) == len(units)
	}
	if !fits {
		return nil, newError(OracleFailed, "", "the model returned %s; expected %d rows of %d "+
			"numbers", shapeOf(rows), stimuli.Rows, len(units))
	}
	return rows, nil
}

func shapeOf(rows [][]float32) string {
	lengths := map[int]bool{}
	for _, row := range rows {
		lengths[len(row)] = true
	}
	if len(lengths) == 1 {
		return fmt.Sprintf("%d rows of %d numbers", len(rows), len(rows[0]))
	}
	return fmt.Sprintf("%d rows of different lengths", len(rows))
}
