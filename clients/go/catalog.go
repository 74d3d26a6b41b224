package blackboxam

import (
	"context"

	pb "blackbox-am/clients/go/blackboxamv1"
)

const pageSize = 1000

// ServerInfo is what the server says of itself.
func (c *Client) ServerInfo(ctx context.Context) (*pb.GetServerInfoResponse, error) {
	return call(ctx, c, c.catalog.GetServerInfo, &pb.GetServerInfoRequest{})
}

// Oracles is the oracles that the server has, by name.
func (c *Client) Oracles(ctx context.Context) ([]*pb.OracleInfo, error) {
	return pages(func(token string) ([]*pb.OracleInfo, string, error) {
		request := &pb.ListOraclesRequest{PageSize: pageSize, PageToken: token}
		answer, err := call(ctx, c, c.catalog.ListOracles, request)
		return answer.GetOracles(), answer.GetNextPageToken(), err
	})
}

// Generators is the generators that the server has, by name.
func (c *Client) Generators(ctx context.Context) ([]*pb.GeneratorInfo, error) {
	return pages(func(token string) ([]*pb.GeneratorInfo, string, error) {
		request := &pb.ListGeneratorsRequest{PageSize: pageSize, PageToken: token}
		answer, err := call(ctx, c, c.catalog.ListGenerators, request)
		return answer.GetGenerators(), answer.GetNextPageToken(), err
	})
}

// Optimizers is the optimizers that the server has, by name.
func (c *Client) Optimizers(ctx context.Context) ([]*pb.OptimizerInfo, error) {
	return pages(func(token string) ([]*pb.OptimizerInfo, string, error) {
		request := &pb.ListOptimizersRequest{PageSize: pageSize, PageToken: token}
		answer, err := call(ctx, c, c.catalog.ListOptimizers, request)
		return answer.GetOptimizers(), answer.GetNextPageToken(), err
	})
}

// Units is the addresses of an oracle's units: of one layer, or of all layers where layer is empty.
func (c *Client) Units(ctx context.Context, oracle, layer string) ([]string, error) {
	return pages(func(token string) ([]string, string, error) {
		request := &pb.ListUnitsRequest{
			Oracle: oracle, Layer: layer, PageSize: pageSize, PageToken: token,
		}
		answer, err := call(ctx, c, c.catalog.ListUnits, request)
		return answer.GetUnits(), answer.GetNextPageToken(), err
	})
}

// DescribeOracle is the description of one oracle.
func (c *Client) DescribeOracle(ctx context.Context, name string) (*pb.DescribeOracleResponse, error) {
	request := &pb.DescribeOracleRequest{Oracle: name}
	return call(ctx, c, c.oracles.DescribeOracle, request)
}

// Sample draws count latents from the prior of a generator, (count, D). With a nil seed the server
// draws the seed.
func (c *Client) Sample(ctx context.Context, generator string, count int, seed *int64) (Tensor, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request := &pb.SampleRequest{Generator: generator, Count: int32(count), Seed: seed}
	stream, err := c.catalog.Sample(ctx, request)
	if err != nil {
		return Tensor{}, fromRPC(ctx, err, c.target)
	}
	receive := func() (part, error) {
		answer, err := stream.Recv()
		return part{answer.GetHeader().GetLatents(), answer.GetChunk()}, err
	}
	return c.received(ctx, "latents", receive)
}

// Render is the stimuli of latents (N, D), of the dtype `uint8` (also where it is empty) or
// `float32`. The latents must fit into one message; targets are those of the rows, for generators
// that tell them apart.
func (c *Client) Render(
	ctx context.Context, generator string, latents Tensor, dtype string, targets ...int32,
) (Tensor, error) {
	number, err := stimulusDtype(dtype)
	if err != nil {
		return Tensor{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	stream, err := c.catalog.Render(ctx, &pb.RenderRequest{
		Generator: generator, Latents: latents.message(), StimulusDtype: number, Targets: targets,
	})
	if err != nil {
		return Tensor{}, fromRPC(ctx, err, c.target)
	}
	receive := func() (part, error) {
		answer, err := stream.Recv()
		return part{answer.GetHeader().GetStimuli(), answer.GetChunk()}, err
	}
	return c.received(ctx, "stimuli", receive)
}

// received joins the tensor of an answer in parts.
func (c *Client) received(
	ctx context.Context, field string, receive func() (part, error),
) (Tensor, error) {
	tensor, err := receiveTensor(field, maxAnswerBytes, receive, anyTensor)
	return tensor, c.streamError(ctx, err)
}

// stimulusDtype is the number of a dtype in which stimuli can be asked for.
func stimulusDtype(name string) (pb.Dtype, error) {
	switch name {
	case "", "uint8":
		return pb.Dtype_DTYPE_UINT8, nil
	case "float32":
		return pb.Dtype_DTYPE_FLOAT32, nil
	}
	return 0, newError(InvalidInput, "dtype", "dtype: expected uint8 or float32, got %q", name)
}
