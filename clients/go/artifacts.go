package blackboxam

import (
	"context"

	pb "blackbox-am/clients/go/blackboxamv1"
)

// WriteArtifact stores bytes on the server, and returns their digest. The same bytes have the same
// digest.
func (c *Client) WriteArtifact(ctx context.Context, data []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	stream, err := c.studies.WriteArtifact(ctx)
	if err != nil {
		return "", fromRPC(ctx, err, c.target)
	}
	send := func(chunk *pb.Chunk) error {
		return stream.Send(&pb.WriteArtifactRequest{Chunk: chunk})
	}
	if len(data) == 0 {
		_ = send(&pb.Chunk{})
	} else {
		_ = split(data, send) // where it fails, CloseAndRecv has the error
	}
	answer, err := stream.CloseAndRecv()
	return answer.GetDigest(), fromRPC(ctx, err, c.target)
}

// ReadArtifact is the bytes with this digest.
func (c *Client) ReadArtifact(ctx context.Context, digest string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	stream, err := c.studies.ReadArtifact(ctx, &pb.ReadArtifactRequest{Name: "artifacts/" + digest})
	if err != nil {
		return nil, fromRPC(ctx, err, c.target)
	}
	var joined *joiner
	for {
		answer, err := stream.Recv()
		if err != nil {
			if err := c.streamError(ctx, err); err != nil {
				return nil, err
			}
			break
		}
		if joined == nil {
			joined, err = newJoiner(int64(answer.GetChunk().GetTotalSize()), maxAnswerBytes)
			if err != nil {
				return nil, err
			}
		}
		if err := joined.add(answer.GetChunk()); err != nil {
			return nil, err
		}
	}
	if joined == nil {
		return nil, nil
	}
	return joined.result()
}
