package blackboxam

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"

	pb "blackbox-am/clients/go/blackboxamv1"
)

const (
	defaultTimeout   = 30 * time.Second
	defaultReconnect = 60 * time.Second
)

// An Option of Connect.
type Option func(*settings)

type settings struct {
	access    access
	clientID  string
	timeout   time.Duration
	reconnect time.Duration
}

// WithClientID names this client in leases, such as `rig-2`; no other client may have the name at
// the same time. A client that starts again under its name gets the candidates that it held back at
// once. Without a name, they are handed out again when their lease has expired.
func WithClientID(id string) Option { return func(s *settings) { s.clientID = id } }

// WithTimeout limits the time of each call; 30 seconds without this option. Watches have no limit.
func WithTimeout(timeout time.Duration) Option { return func(s *settings) { s.timeout = timeout } }

// WithReconnect limits the time that Ask, Tell, AskTell and Watch wait for a server that is away;
// 60 seconds without this option.
func WithReconnect(limit time.Duration) Option { return func(s *settings) { s.reconnect = limit } }

// A Client is a connection to one server. It is safe to use from any goroutine.
type Client struct {
	target    string
	conn      *grpc.ClientConn
	clientID  string
	session   string
	timeout   time.Duration
	reconnect time.Duration

	studies pb.StudyServiceClient
	catalog pb.CatalogServiceClient
	oracles pb.OracleServiceClient
}

// Connect connects to the server at target, host:port, and compares the versions of the API.
//
// It returns an error of the kind ServerUnavailable if no server answers, Unsupported if the server
// has another version, Unauthenticated if the server does not accept the token, and InvalidInput
// for options that do not fit together.
func Connect(ctx context.Context, target string, options ...Option) (*Client, error) {
	chosen := settings{timeout: defaultTimeout, reconnect: defaultReconnect}
	for _, option := range options {
		option(&chosen)
	}
	dialOptions, err := chosen.access.dialOptions(target)
	if err != nil {
		return nil, err
	}
	conn, err := newConn(target, append(dialOptions, transportOptions()...)...)
	if err != nil {
		return nil, newError(InvalidInput, "target", "expected host:port, got %q: %v", target, err)
	}
	client := &Client{
		target:    target,
		conn:      conn,
		clientID:  chosen.clientID,
		session:   randomHex(),
		timeout:   chosen.timeout,
		reconnect: chosen.reconnect,
		studies:   pb.NewStudyServiceClient(conn),
		catalog:   pb.NewCatalogServiceClient(conn),
		oracles:   pb.NewOracleServiceClient(conn),
	}
	if err := client.checkVersion(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return client, nil
}

// Close closes the connection. Studies on the server continue.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) checkVersion(ctx context.Context) error {
	info, err := c.ServerInfo(ctx)
	if err != nil {
		return err
	}
	if theirs := info.GetApiVersion(); theirs != APIVersion {
		if theirs == "" {
			theirs = "unknown"
		}
		return newError(Unsupported, "", "the server at %s speaks version %s of the API, this "+
			"client version %s; use the client of the server's version", c.target, theirs, APIVersion)
	}
	return nil
}

func transportOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2,
				MaxDelay: time.Second,
			},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 30 * time.Second, Timeout: 10 * time.Second,
		}),
	}
}

func randomHex() string {
	var bytes [16]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		panic(err) // the system has no random numbers
	}
	return hex.EncodeToString(bytes[:])
}
