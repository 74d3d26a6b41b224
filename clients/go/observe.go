package blackboxam

import (
	"context"
	"errors"
	"io"

	pb "blackbox-am/clients/go/blackboxamv1"
)

// Observe is the activations (N, U) of an oracle's units for stimuli (N, *stimulus): uint8 (0 to
// 255), or float32 in [0, 1]. A batch is split over several calls, and a stimulus that is too large
// for one message is sent in chunks.
func (c *Client) Observe(
	ctx context.Context, oracle string, stimuli Tensor, units []string,
) (Tensor, error) {
	rows := stimuli.Rows()
	if rows == 0 {
		return Float32Tensor(nil, 0, len(units)), nil
	}
	step := sendBytes / max(len(stimuli.Data)/rows, 1)
	streamed := step == 0
	step = max(step, 1)
	var joined Tensor
	for start := 0; start < rows; start += step {
		request := &pb.ObserveRequest{Oracle: oracle, Units: units}
		piece := stimuli.slice(start, min(start+step, rows))
		answer, err := c.observePiece(ctx, request, piece, streamed)
		if err != nil {
			return Tensor{}, err
		}
		if start == 0 {
			joined = answer
			continue
		}
		joined.Shape[0] += answer.Rows()
		joined.Data = append(joined.Data, answer.Data...)
	}
	return joined, nil
}

func (c *Client) observePiece(
	ctx context.Context, request *pb.ObserveRequest, stimuli Tensor, streamed bool,
) (Tensor, error) {
	if streamed {
		return c.observeStream(ctx, request, stimuli)
	}
	request.Stimuli = stimuli.message()
	answer, err := call(ctx, c, c.oracles.Observe, request)
	if err != nil {
		return Tensor{}, err
	}
	return tensorOf(answer.GetActivations(), "activations")
}

func (c *Client) observeStream(
	ctx context.Context, request *pb.ObserveRequest, stimuli Tensor,
) (Tensor, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	stream, err := c.oracles.ObserveStream(ctx)
	if err != nil {
		return Tensor{}, fromRPC(ctx, err, c.target)
	}
	go func() { // the server may answer before it has read everything
		defer stream.CloseSend()
		request.Stimuli = stimuli.header()
		header := &pb.ObserveStreamRequest_Header{Header: request}
		if stream.Send(&pb.ObserveStreamRequest{Part: header}) != nil {
			return // Recv has the error
		}
		_ = split(stimuli.Data, func(chunk *pb.Chunk) error {
			return stream.Send(&pb.ObserveStreamRequest{
				Part: &pb.ObserveStreamRequest_Chunk{Chunk: chunk},
			})
		})
	}()
	receive := func() (part, error) {
		answer, err := stream.Recv()
		return part{answer.GetHeader().GetActivations(), answer.GetChunk()}, err
	}
	return c.received(ctx, "activations", receive)
}

// streamError is the typed error of a stream; nil for its end.
func (c *Client) streamError(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return fromRPC(ctx, err, c.target)
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
