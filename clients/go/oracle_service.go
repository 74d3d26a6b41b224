package blackboxam

import (
	"context"
	"fmt"

	pb "blackbox-am/clients/go/blackboxamv1"
)

// oracleService is an oracle on the wire.
type oracleService struct {
	pb.UnimplementedOracleServiceServer
	oracle Oracle
}

func (s *oracleService) DescribeOracle(
	_ context.Context, request *pb.DescribeOracleRequest,
) (*pb.DescribeOracleResponse, error) {
	if err := s.checkName(request.GetOracle()); err != nil {
		return nil, toStatus(err)
	}
	return s.oracle.description(), nil
}

func (s *oracleService) Observe(
	ctx context.Context, request *pb.ObserveRequest,
) (*pb.ObserveResponse, error) {
	activations, err := s.answer(ctx, request)
	if err != nil {
		return nil, toStatus(err)
	}
	return &pb.ObserveResponse{Activations: activations.message()}, nil
}

func (s *oracleService) answer(ctx context.Context, request *pb.ObserveRequest) (Tensor, error) {
	units, err := s.request(request)
	if err != nil {
		return Tensor{}, err
	}
	stimuli, err := tensorOf(request.GetStimuli(), "stimuli")
	if err == nil {
		err = s.checkStimuli(stimuli)
	}
	if err != nil {
		return Tensor{}, err
	}
	return s.activations(ctx, stimuli, units, stimuli.Rows())
}

func (s *oracleService) ObserveStream(stream pb.OracleService_ObserveStreamServer) error {
	return toStatusOrNil(s.answerStream(stream))
}

func (s *oracleService) answerStream(stream pb.OracleService_ObserveStreamServer) error {
	var units []OracleUnit
	receive := func() (part, error) {
		message, err := stream.Recv()
		if err != nil {
			return part{}, &transportError{err}
		}
		header := message.GetHeader()
		if header == nil {
			return part{nil, message.GetChunk()}, nil
		}
		units, err = s.request(header)
		announced := header.GetStimuli()
		if announced == nil {
			announced = &pb.Tensor{}
		}
		return part{announced, nil}, err
	}
	stimuli, err := receiveTensor("stimuli", maxStreamBytes, receive, s.checkStimuli)
	if err != nil {
		return err
	}
	found, err := s.activations(stream.Context(), stimuli, units, max(s.oracle.BatchSize, 1))
	if err != nil {
		return err
	}
	header := &pb.ObserveResponse{Activations: found.header()}
	err = stream.Send(&pb.ObserveStreamResponse{Part: &pb.ObserveStreamResponse_Header{Header: header}})
	if err != nil {
		return err
	}
	return split(found.Data, func(chunk *pb.Chunk) error {
		return stream.Send(&pb.ObserveStreamResponse{
			Part: &pb.ObserveStreamResponse_Chunk{Chunk: chunk},
		})
	})
}

func (s *oracleService) checkName(name string) error {
	if name != "" && name != s.oracle.Name {
		return newError(NotFound, "oracle", "this server has the oracle %q, and none with the name "+
			"%q", s.oracle.Name, name)
	}
	return nil
}

// request checks the oracle's name, and returns the units of a request.
func (s *oracleService) request(request *pb.ObserveRequest) ([]OracleUnit, error) {
	if err := s.checkName(request.GetOracle()); err != nil {
		return nil, err
	}
	units := make([]OracleUnit, len(request.GetUnits()))
	for i, address := range request.GetUnits() {
		unit, known := s.oracle.unit(address)
		if !known {
			return nil, newError(UnknownUnit, fmt.Sprintf("units[%d]", i), "the oracle has no unit "+
				"%q; it has %s", address, s.oracle.unitsInWords())
		}
		units[i] = unit
	}
	return units, nil
}

func (s *oracleService) checkStimuli(stimuli Tensor) error {
	fits := len(stimuli.Shape) == len(s.oracle.StimulusShape)+1
	for i := 0; fits && i < len(s.oracle.StimulusShape); i++ {
		fits = stimuli.Shape[i+1] == s.oracle.StimulusShape[i]
	}
	numbers := stimuli.Dtype == "float32" || stimuli.Dtype == "float64" || stimuli.Dtype == "uint8"
	if !fits || !numbers {
		return newError(ShapeMismatch, "stimuli", "stimuli: expected float32, float64 or uint8 of "+
			"the shape (N, %v), got %s of the shape %v",
			s.oracle.StimulusShape, stimuli.Dtype, stimuli.Shape)
	}
	return nil
}

// activations is (N, U), measured in batches.
func (s *oracleService) activations(
	ctx context.Context, stimuli Tensor, units []OracleUnit, batch int,
) (Tensor, error) {
	rows := stimuli.Rows()
	values := make([]float32, 0, rows*len(units))
	for start := 0; start < rows; start += batch {
		piece := stimuli.slice(start, min(start+batch, rows))
		found, err := s.oracle.observed(ctx, stimuliOf(piece), units)
		if err != nil {
			return Tensor{}, err
		}
		for _, row := range found {
			values = append(values, row...)
		}
	}
	return Float32Tensor(values, rows, len(units)), nil
}

// stimuliOf converts stimuli to float32; uint8 from 0..255 to 0..1.
func stimuliOf(tensor Tensor) Stimuli {
	stimuli := Stimuli{Rows: tensor.Shape[0], Shape: tensor.Shape[1:]}
	if tensor.Dtype != "uint8" {
		stimuli.Values = tensor.Float32s()
		return stimuli
	}
	stimuli.Values = make([]float32, len(tensor.Data))
	for i, value := range tensor.Data {
		stimuli.Values[i] = float32(value) / 255
	}
	return stimuli
}

func toStatusOrNil(err error) error {
	if err == nil {
		return nil
	}
	return toStatus(err)
}
