//! Errors on the wire: kinds and gRPC codes, in both directions.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::{Error, Kind, KINDS};

const DOMAIN: &str = "blackbox_am";
/// A message travels several times in headers, which hold 8 KiB.
const MAX_MESSAGE_BYTES: usize = 1200;

fn code_of(kind: Kind) -> Code {
    match kind {
        Kind::InvalidInput
        | Kind::InvalidSpec
        | Kind::ShapeMismatch
        | Kind::UnknownUnit
        | Kind::MessageTooLarge => Code::InvalidArgument,
        Kind::NotFound => Code::NotFound,
        Kind::Conflict | Kind::SequenceTaken | Kind::NotOwner => Code::Aborted,
        Kind::StudyExists => Code::AlreadyExists,
        Kind::StudyClosed | Kind::ModelChanged => Code::FailedPrecondition,
        Kind::Unsupported
        | Kind::GradientUnavailable
        | Kind::CapabilityMissing
        | Kind::MissingExtra => Code::Unimplemented,
        Kind::Denied | Kind::Forbidden => Code::PermissionDenied,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::QuotaExceeded | Kind::OutOfMemory => Code::ResourceExhausted,
        Kind::ServerFailed | Kind::OracleError | Kind::OracleFailed => Code::Internal,
        Kind::ServerUnavailable | Kind::OracleUnavailable | Kind::StoreError => Code::Unavailable,
        Kind::OracleTimeout => Code::DeadlineExceeded,
        Kind::StoreCorrupt => Code::DataLoss,
        Kind::Model | Kind::BlackboxError | Kind::ServerError => Code::Unknown,
    }
}

fn retry_after(kind: Kind) -> Option<Duration> {
    let seconds = match kind {
        Kind::SequenceTaken | Kind::NotOwner | Kind::ServerUnavailable => 1,
        Kind::StoreError => 2,
        Kind::OracleUnavailable | Kind::OracleTimeout => 5,
        Kind::QuotaExceeded => 60,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

/// The typed error for the status of a call to `target`.
pub(crate) fn from_status(status: Status, target: &str) -> Error {
    let info = status
        .get_details_error_info()
        .filter(|info| info.domain == DOMAIN);
    let reason = info.map(|info| info.reason).unwrap_or_default();
    let known = KINDS.into_iter().find(|kind| kind.reason() == reason);
    let mut error = match known {
        Some(kind) => Error::new(kind, status.message()),
        None => from_code(&status, target),
    };
    if !reason.is_empty() {
        error.reason = reason;
    }
    if let Some(violation) = status
        .get_details_bad_request()
        .and_then(|bad| bad.field_violations.into_iter().next())
    {
        error.field = violation.field;
    }
    error.retry_after = status
        .get_details_retry_info()
        .and_then(|retry| retry.retry_delay);
    error
}

/// The error for a status without a known reason.
fn from_code(status: &Status, target: &str) -> Error {
    let details = status.message();
    match status.code() {
        Code::Unavailable => Error::new(
            Kind::ServerUnavailable,
            format!(
                "cannot reach {target} ({details}); check that the server runs, that the address \
                 is right, and that both sides use TLS or neither does"
            ),
        ),
        Code::DeadlineExceeded => Error::new(
            Kind::ServerUnavailable,
            format!(
                "{target} did not answer in time; give it more time, or see what keeps it busy"
            ),
        ),
        Code::Cancelled => Error::new(
            Kind::ServerUnavailable,
            format!("the call to {target} was cancelled ({details})"),
        ),
        // tonic reports a connection that broke as an error of its transport.
        Code::Unknown | Code::Internal if std::error::Error::source(status).is_some() => {
            Error::new(
                Kind::ServerUnavailable,
                format!("the connection to {target} was lost ({details})"),
            )
        }
        Code::ResourceExhausted | Code::OutOfRange
            if details.contains("larger than max")
                || details.contains("message length too large") =>
        {
            Error::new(
                Kind::MessageTooLarge,
                format!(
                    "the message is too large for its receiver ({details}); send fewer rows at a \
                     time, or raise the limit where it is received"
                ),
            )
        }
        Code::Unimplemented => Error::new(
            Kind::Unsupported,
            format!("{target} does not know this call ({details})"),
        ),
        code => {
            let kind = KINDS.into_iter().find(|kind| code_of(*kind) == code);
            let message = if details.is_empty() {
                format!("{target} answered {code:?} and said nothing more")
            } else {
                details.to_owned()
            };
            Error::new(kind.unwrap_or(Kind::ServerFailed), message)
        }
    }
}

/// An error as the answer of an oracle.
pub(crate) fn to_status(error: Error) -> Status {
    let message = shortened(&error.message);
    let mut details = ErrorDetails::with_error_info(
        error.kind.reason(),
        DOMAIN,
        HashMap::<String, String>::new(),
    );
    if !error.field.is_empty() {
        details.add_bad_request_violation(error.field.clone(), message.clone());
    }
    if let Some(wait) = error.retry_after.or_else(|| retry_after(error.kind)) {
        details.set_retry_info(Some(wait));
    }
    Status::with_error_details(code_of(error.kind), message, details)
}

fn shortened(message: &str) -> String {
    if message.len() <= MAX_MESSAGE_BYTES {
        return message.to_owned();
    }
    let end = (0..=MAX_MESSAGE_BYTES)
        .rev()
        .find(|end| message.is_char_boundary(*end))
        .unwrap_or(0);
    format!("{} ...", &message[..end])
}
