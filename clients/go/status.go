package blackboxam

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

const domain = "blackbox_am"

// Bytes of a message in an answer of an oracle: gRPC sends it several times in a header of 8 KiB.
const maxStatusMessage = 1200

// The kinds and the code of each. The first kind of a code is the one for an error without a reason.
var codesOfKinds = []struct {
	kind *Kind
	code codes.Code
}{
	{InvalidInput, codes.InvalidArgument},
	{InvalidSpec, codes.InvalidArgument},
	{ShapeMismatch, codes.InvalidArgument},
	{UnknownUnit, codes.InvalidArgument},
	{MessageTooLarge, codes.InvalidArgument},
	{NotFound, codes.NotFound},
	{Conflict, codes.Aborted},
	{StudyExists, codes.AlreadyExists},
	{StudyClosed, codes.FailedPrecondition},
	{ModelChanged, codes.FailedPrecondition},
	{SequenceTaken, codes.Aborted},
	{NotOwner, codes.Aborted},
	{Unsupported, codes.Unimplemented},
	{GradientUnavailable, codes.Unimplemented},
	{CapabilityMissing, codes.Unimplemented},
	{MissingExtra, codes.Unimplemented},
	{Denied, codes.PermissionDenied},
	{Unauthenticated, codes.Unauthenticated},
	{Forbidden, codes.PermissionDenied},
	{QuotaExceeded, codes.ResourceExhausted},
	{ServerFailed, codes.Internal},
	{ServerUnavailable, codes.Unavailable},
	{ServerError, codes.Unknown},
	{OracleError, codes.Internal},
	{OracleFailed, codes.Internal},
	{OracleUnavailable, codes.Unavailable},
	{OracleTimeout, codes.DeadlineExceeded},
	{OutOfMemory, codes.ResourceExhausted},
	{StoreError, codes.Unavailable},
	{StoreCorrupt, codes.DataLoss},
	{BlackboxError, codes.Unknown},
}

// Reason is the name of the kind on the wire, as in ErrorReason without its prefix:
// `STUDY_EXISTS`.
func (k *Kind) Reason() string {
	var reason strings.Builder
	for i, letter := range k.name {
		if i > 0 && unicode.IsUpper(letter) {
			reason.WriteByte('_')
		}
		reason.WriteRune(unicode.ToUpper(letter))
	}
	return reason.String()
}

func kindOfReason(reason string) *Kind {
	for _, entry := range codesOfKinds {
		if entry.kind.Reason() == reason {
			return entry.kind
		}
	}
	return nil
}

// fromRPC is the typed error for err, an error of a call to target. A context of the caller that
// has ended gives the error of that context.
func fromRPC(ctx context.Context, err error, target string) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	answer := status.Convert(err)
	found := &Error{Message: answer.Message(), cause: err}
	for _, detail := range answer.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == domain {
				found.Reason = detail.GetReason()
				found.Kind = kindOfReason(found.Reason)
			}
		case *errdetails.BadRequest:
			if violations := detail.GetFieldViolations(); len(violations) > 0 {
				found.Field = violations[0].GetField()
			}
		case *errdetails.RetryInfo:
			found.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	if found.Kind == nil { // of a proxy, or of a later server
		found.Kind, found.Message = fromCode(answer, target)
		if found.Reason == "" {
			found.Reason = found.Kind.Reason()
		}
	}
	return found
}

// fromCode is the kind and the message of an error without a reason.
func fromCode(answer *status.Status, target string) (*Kind, string) {
	details := answer.Message()
	switch answer.Code() {
	case codes.Unavailable:
		return ServerUnavailable, "cannot reach " + target + " (" + details +
			"); check that the server runs, that the address is right, and that both sides use " +
			"TLS or neither does"
	case codes.DeadlineExceeded:
		return ServerUnavailable, target +
			" did not answer in time; give it more time, or see what keeps it busy"
	case codes.Canceled:
		return ServerUnavailable, "the call to " + target + " was cancelled (" + details + ")"
	case codes.ResourceExhausted:
		if strings.Contains(details, "larger than max") {
			return MessageTooLarge, "the message is too large for its receiver (" + details +
				"); send fewer rows at a time, or raise the limit where it is received"
		}
	case codes.Unimplemented:
		return Unsupported, target + " does not know this call (" + details + ")"
	}
	if details == "" {
		details = target + " answered " + answer.Code().String() + " and said nothing more"
	}
	for _, entry := range codesOfKinds {
		if entry.code == answer.Code() {
			return entry.kind, details
		}
	}
	return ServerFailed, details
}

// Waits before a retry, of errors without an own one.
var retryAfter = map[*Kind]time.Duration{
	SequenceTaken:     time.Second,
	NotOwner:          time.Second,
	OracleUnavailable: 5 * time.Second,
	OracleTimeout:     5 * time.Second,
	ServerUnavailable: time.Second,
	StoreError:        2 * time.Second,
	QuotaExceeded:     time.Minute,
}

// transportError is an error of gRPC while an oracle reads a request, and goes out as it is.
type transportError struct{ cause error }

func (e *transportError) Error() string { return e.cause.Error() }
func (e *transportError) Unwrap() error { return e.cause }

// toStatus is err as an answer of an oracle: its code, message, kind, field and time to retry. An
// error that is not an *Error is of the kind OracleFailed.
func toStatus(err error) error {
	var lost *transportError
	if errors.As(err, &lost) {
		return lost.cause
	}
	var known *Error
	if !errors.As(err, &known) {
		known = &Error{Kind: OracleFailed, Message: "the model failed: " + err.Error()}
	}
	code := codes.Unknown
	for _, entry := range codesOfKinds {
		if entry.kind == known.Kind {
			code = entry.code
		}
	}
	message := shortened(known.Message)
	details := []any{
		&errdetails.ErrorInfo{Reason: known.Kind.Reason(), Domain: domain},
	}
	if known.Field != "" {
		violation := &errdetails.BadRequest_FieldViolation{Field: known.Field, Description: message}
		details = append(details, &errdetails.BadRequest{
			FieldViolations: []*errdetails.BadRequest_FieldViolation{violation},
		})
	}
	wait := known.RetryAfter
	if wait == 0 {
		wait = retryAfter[known.Kind]
	}
	if wait > 0 {
		delay := durationpb.New(wait)
		details = append(details, &errdetails.RetryInfo{RetryDelay: delay})
	}
	answer := status.New(code, message).Proto()
	for _, detail := range details {
		if packed, err := anypb.New(messageOf(detail)); err == nil {
			answer.Details = append(answer.Details, packed)
		}
	}
	return status.ErrorProto(answer)
}

func shortened(message string) string {
	if len(message) <= maxStatusMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxStatusMessage], "") + " ..."
}

// KindOf is the kind with a name, such as `OutOfMemory`.
func KindOf(name string) (*Kind, bool) {
	for _, entry := range codesOfKinds {
		if entry.kind.name == name {
			return entry.kind, true
		}
	}
	return nil, false
}
