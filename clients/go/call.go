package blackboxam

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Second
	// Requests that are larger are split, so that any server accepts them.
	sendBytes = 3 << 20
)

// method is a unary method of a generated client.
type method[Request, Answer any] func(context.Context, Request, ...grpc.CallOption) (Answer, error)

// call makes one unary call.
func call[Request, Answer any](
	ctx context.Context, c *Client, send method[Request, Answer], request Request,
) (Answer, error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, err := send(limited, request)
	return answer, fromRPC(ctx, err, c.target)
}

// persist makes one unary call, and repeats it while the server is away. Only for calls that may be
// repeated.
func persist[Request, Answer any](
	ctx context.Context, c *Client, send method[Request, Answer], request Request,
) (Answer, error) {
	attempts := newReconnecting(c.reconnect)
	for {
		answer, err := call(ctx, c, send, request)
		if err == nil {
			return answer, nil
		}
		if err := attempts.failed(ctx, err); err != nil {
			return answer, err
		}
	}
}

// reconnecting waits for a server that is away, longer after each attempt, up to a limit.
type reconnecting struct {
	limit     time.Duration
	pause     time.Duration
	lostSince time.Time
}

func newReconnecting(limit time.Duration) *reconnecting {
	return &reconnecting{limit: limit, pause: firstPause}
}

// answered notes that the server answered: a later failure counts as the first one.
func (r *reconnecting) answered() {
	r.pause, r.lostSince = firstPause, time.Time{}
}

// failed waits before the next attempt. It returns err if err is not a lost connection, or if the
// server did not come back in time, and the error of ctx if that ends first.
func (r *reconnecting) failed(ctx context.Context, err error) error {
	var known *Error
	if !errors.As(err, &known) || !known.Is(ServerUnavailable) {
		return err
	}
	now := time.Now()
	if r.lostSince.IsZero() {
		r.lostSince = now
	}
	wait := r.pause
	if known.RetryAfter > wait {
		wait = known.RetryAfter
	}
	if now.Add(wait).After(r.lostSince.Add(r.limit)) {
		return err
	}
	r.pause *= 2
	if r.pause > longestPause {
		r.pause = longestPause
	}
	return sleep(ctx, wait)
}

// sleep waits; it returns the error of ctx if that ends first.
func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// pages collects the entries of all pages.
func pages[Entry any](fetch func(token string) ([]Entry, string, error)) ([]Entry, error) {
	var all []Entry
	for token := ""; ; {
		entries, next, err := fetch(token)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
		if next == "" {
			return all, nil
		}
		token = next
	}
}
