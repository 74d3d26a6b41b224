package blackboxam

import (
	"fmt"
	"time"
)

// A Kind is a class of errors. Kinds form a tree, and errors.Is(err, kind) is true for the kind of
// an error and for all parents of that kind.
//
//	BlackboxError
//	├── InvalidInput            the same request can never succeed
//	│   ├── InvalidSpec         a field of a specification is wrong
//	│   ├── ShapeMismatch       an array has another shape or dtype than expected
//	│   ├── UnknownUnit         the oracle has no such layer or unit
//	│   └── MessageTooLarge     a message has more bytes than its receiver accepts
//	├── NotFound                no such study, oracle, generator or file
//	├── Conflict                the request is in conflict with existing data
//	│   ├── StudyExists         a study of this id has another specification
//	│   ├── ModelChanged        the study began with another oracle or generator
//	│   ├── StudyClosed         the study has ended
//	│   ├── SequenceTaken       another process wrote to this study first
//	│   └── NotOwner            another process runs this study
//	├── Unsupported             the component does not support the request
//	│   ├── GradientUnavailable order-1 optimizer, but no gradients
//	│   ├── CapabilityMissing   the oracle or generator lacks a capability
//	│   └── MissingExtra        an optional package is not installed
//	├── OracleError             the model could not be evaluated
//	│   ├── OracleFailed        the model returned an error or an invalid answer
//	│   ├── OracleUnavailable   the model cannot be reached
//	│   ├── OracleTimeout       the model did not answer in time
//	│   └── OutOfMemory         the batch does not fit into memory
//	├── StoreError              the journal could not be read or written
//	│   └── StoreCorrupt        the file is damaged or has another format
//	├── Denied                  the caller is not allowed to do this
//	│   ├── Unauthenticated     the caller's identity is unknown
//	│   ├── Forbidden           the caller lacks the permission
//	│   └── QuotaExceeded       the caller's quota is used up
//	└── ServerError             a server could not process the request
//	    ├── ServerUnavailable   the server cannot be reached or did not answer in time
//	    └── ServerFailed        an unexpected failure; the server's log has the traceback
type Kind struct {
	name   string
	parent *Kind
}

// Error is the name of the kind, so that a kind can be the target of errors.Is.
func (k *Kind) Error() string { return k.name }

func (k *Kind) within(other *Kind) bool {
	for ; k != nil; k = k.parent {
		if k == other {
			return true
		}
	}
	return false
}

// The kinds of errors.
var (
	BlackboxError       = &Kind{"BlackboxError", nil}
	InvalidInput        = &Kind{"InvalidInput", BlackboxError}
	InvalidSpec         = &Kind{"InvalidSpec", InvalidInput}
	ShapeMismatch       = &Kind{"ShapeMismatch", InvalidInput}
	UnknownUnit         = &Kind{"UnknownUnit", InvalidInput}
	MessageTooLarge     = &Kind{"MessageTooLarge", InvalidInput}
	NotFound            = &Kind{"NotFound", BlackboxError}
	Conflict            = &Kind{"Conflict", BlackboxError}
	StudyExists         = &Kind{"StudyExists", Conflict}
	ModelChanged        = &Kind{"ModelChanged", Conflict}
	StudyClosed         = &Kind{"StudyClosed", Conflict}
	SequenceTaken       = &Kind{"SequenceTaken", Conflict}
	NotOwner            = &Kind{"NotOwner", Conflict}
	Unsupported         = &Kind{"Unsupported", BlackboxError}
	GradientUnavailable = &Kind{"GradientUnavailable", Unsupported}
	CapabilityMissing   = &Kind{"CapabilityMissing", Unsupported}
	MissingExtra        = &Kind{"MissingExtra", Unsupported}
	OracleError         = &Kind{"OracleError", BlackboxError}
	OracleFailed        = &Kind{"OracleFailed", OracleError}
	OracleUnavailable   = &Kind{"OracleUnavailable", OracleError}
	OracleTimeout       = &Kind{"OracleTimeout", OracleError}
	OutOfMemory         = &Kind{"OutOfMemory", OracleError}
	StoreError          = &Kind{"StoreError", BlackboxError}
	StoreCorrupt        = &Kind{"StoreCorrupt", StoreError}
	Denied              = &Kind{"Denied", BlackboxError}
	Unauthenticated     = &Kind{"Unauthenticated", Denied}
	Forbidden           = &Kind{"Forbidden", Denied}
	QuotaExceeded       = &Kind{"QuotaExceeded", Denied}
	ServerError         = &Kind{"ServerError", BlackboxError}
	ServerUnavailable   = &Kind{"ServerUnavailable", ServerError}
	ServerFailed        = &Kind{"ServerFailed", ServerError}
)

// Error is an error of this client or of its server.
type Error struct {
	// Kind is the class of the error.
	Kind *Kind
	// Reason is that of the server, such as `STUDY_EXISTS`; for an error that this client itself
	// found, that of its kind; empty if the server gave none.
	Reason string
	// Message says what was expected, what came, and what to do.
	Message string
	// Field is the path of the request's field at fault, such as `spec.targets[0].quantities[1]`.
	Field string
	// RetryAfter is the time after which the same call may succeed; 0 if the server named none.
	RetryAfter time.Duration

	cause error
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Is reports whether the error is of the kind target, or of a kind below it.
func (e *Error) Is(target error) bool {
	kind, ok := target.(*Kind)
	return ok && e.Kind.within(kind)
}

// Unwrap is the error of gRPC, if there is one.
func (e *Error) Unwrap() error { return e.cause }

// NewError is an error of a kind, for the observe function of an oracle: the caller of the oracle
// gets an error of the same kind.
func NewError(kind *Kind, message string) *Error {
	return &Error{Kind: kind, Reason: kind.Reason(), Message: message}
}

func newError(kind *Kind, field, format string, values ...any) *Error {
	message := fmt.Sprintf(format, values...)
	return &Error{Kind: kind, Reason: kind.Reason(), Message: message, Field: field}
}
