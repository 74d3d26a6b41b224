package blackboxam

import (
	"errors"
	"hash/crc32"
	"io"

	pb "blackbox-am/clients/go/blackboxamv1"
)

const (
	chunkBytes      = 1 << 20
	maxStreamBytes  = 1 << 29 // of a stream that an oracle receives
	maxAnswerBytes  = 1 << 32 // of a stream that a client receives
	firstAllocation = 1 << 26
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// split sends data in chunks, each with its checksum; nothing for no data.
func split(data []byte, send func(*pb.Chunk) error) error {
	for start := 0; start < len(data); start += chunkBytes {
		end := start + chunkBytes
		if end > len(data) {
			end = len(data)
		}
		piece := data[start:end]
		checksum := crc32.Checksum(piece, castagnoli)
		err := send(&pb.Chunk{
			Offset: uint64(start), Data: piece, Crc32C: &checksum, TotalSize: uint64(len(data)),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// joiner joins chunks in order.
type joiner struct {
	total uint64
	data  []byte
}

func newJoiner(total, limit int64) (*joiner, error) {
	if total < 0 || total > limit {
		return nil, newError(InvalidInput, "chunk", "a stream of %d bytes is announced, at most %d "+
			"are taken; send fewer rows at a time", total, limit)
	}
	// A wrong announcement must not take memory that its data never fill.
	capacity := total
	if capacity > firstAllocation {
		capacity = firstAllocation
	}
	return &joiner{uint64(total), make([]byte, 0, capacity)}, nil
}

func (j *joiner) add(chunk *pb.Chunk) error {
	end := uint64(len(j.data))
	switch {
	case chunk.GetOffset() != end || chunk.GetTotalSize() != j.total:
		return newError(InvalidInput, "chunk", "expected the chunk at offset %d of %d bytes, got "+
			"offset %d of %d; send the chunks in order",
			end, j.total, chunk.GetOffset(), chunk.GetTotalSize())
	case end+uint64(len(chunk.GetData())) > j.total:
		return newError(InvalidInput, "chunk", "the chunks hold more than the %d bytes announced",
			j.total)
	case chunk.Crc32C != nil && crc32.Checksum(chunk.Data, castagnoli) != *chunk.Crc32C:
		return newError(InvalidInput, "chunk", "the chunk at offset %d is damaged: its crc32c does "+
			"not match; send it again", chunk.Offset)
	}
	j.data = append(j.data, chunk.GetData()...)
	return nil
}

func (j *joiner) result() ([]byte, error) {
	if uint64(len(j.data)) != j.total {
		return nil, newError(InvalidInput, "chunk", "the stream ended after %d of %d bytes",
			len(j.data), j.total)
	}
	return j.data, nil
}

// part is one message of a stream with a tensor: either its header or a chunk.
type part struct {
	header *pb.Tensor
	chunk  *pb.Chunk
}

// receiveTensor joins the tensor of a stream: a header, then chunks. check sees the header before
// any chunk is read.
func receiveTensor(
	field string, limit int64, receive func() (part, error), check func(Tensor) error,
) (Tensor, error) {
	var tensor Tensor
	var chunks *joiner
	for {
		next, err := receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Tensor{}, err
		}
		switch {
		case next.chunk != nil && chunks != nil:
			err = chunks.add(next.chunk)
		case next.header != nil && chunks == nil:
			var size int64
			if tensor, size, err = announced(next.header, field); err != nil {
				return Tensor{}, err
			}
			if err = check(tensor); err != nil {
				return Tensor{}, err
			}
			chunks, err = newJoiner(size, limit)
		default:
			err = newError(InvalidInput, "", "expected a header first, then chunks, in the stream "+
				"with %s", field)
		}
		if err != nil {
			return Tensor{}, err
		}
	}
	if chunks == nil {
		return Tensor{}, newError(InvalidInput, "", "the stream with %s held no header; send the "+
			"header, then chunks", field)
	}
	data, err := chunks.result()
	tensor.Data = data
	return tensor, err
}

func anyTensor(Tensor) error { return nil }
