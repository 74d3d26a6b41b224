//go:build debian

package blackboxam

import (
	oldproto "github.com/golang/protobuf/proto"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// newConn is a connection, with gRPC 1.33, which has no NewClient.
func newConn(target string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.Dial(target, options...)
}

// messageOf converts a message of the first version of Go's protobuf, such as those of Debian's
// errdetails.
func messageOf(detail any) proto.Message {
	return oldproto.MessageV2(detail)
}

func plaintext() grpc.DialOption { return grpc.WithInsecure() }
