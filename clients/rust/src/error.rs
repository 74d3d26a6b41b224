//! The errors of the client and of its server.

use std::fmt;
use std::time::Duration;

/// The classes of errors, in a tree: see [`Kind::parent`] and [`Error::is`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The root: all deliberate errors.
    BlackboxError,
    /// A model function of the caller returned an error.
    Model,
    /// The same request can never succeed.
    InvalidInput,
    /// A field of a specification is wrong.
    InvalidSpec,
    /// An array has another shape or dtype than expected.
    ShapeMismatch,
    /// The oracle has no such layer or unit.
    UnknownUnit,
    /// A message has more bytes than its receiver accepts.
    MessageTooLarge,
    /// No such study, oracle, generator or file.
    NotFound,
    /// The request is in conflict with existing data.
    Conflict,
    /// A study of this id has another specification.
    StudyExists,
    /// The study has ended.
    StudyClosed,
    /// The study began with another oracle or generator.
    ModelChanged,
    /// Another process wrote to this study first.
    SequenceTaken,
    /// Another process runs this study.
    NotOwner,
    /// The component does not support the request.
    Unsupported,
    /// Order-1 optimizer, but no gradients.
    GradientUnavailable,
    /// The oracle or generator lacks a capability.
    CapabilityMissing,
    /// An optional package is not installed.
    MissingExtra,
    /// The caller is not allowed to do this.
    Denied,
    /// The caller's identity is unknown.
    Unauthenticated,
    /// The caller lacks the permission.
    Forbidden,
    /// The caller's quota is used up.
    QuotaExceeded,
    /// A server could not process the request.
    ServerError,
    /// An unexpected failure; the server's log has the traceback.
    ServerFailed,
    /// The server cannot be reached or did not answer in time.
    ServerUnavailable,
    /// The model could not be evaluated.
    OracleError,
    /// The model returned an error or an invalid answer.
    OracleFailed,
    /// The model cannot be reached.
    OracleUnavailable,
    /// The model did not answer in time.
    OracleTimeout,
    /// The batch does not fit into memory.
    OutOfMemory,
    /// The journal could not be read or written.
    StoreError,
    /// The file is damaged or has another format.
    StoreCorrupt,
}

/// All kinds of the wire. The first of a status code is that of an error without a reason.
pub(crate) const KINDS: [Kind; 30] = [
    Kind::InvalidInput,
    Kind::InvalidSpec,
    Kind::ShapeMismatch,
    Kind::UnknownUnit,
    Kind::MessageTooLarge,
    Kind::NotFound,
    Kind::Conflict,
    Kind::StudyExists,
    Kind::StudyClosed,
    Kind::ModelChanged,
    Kind::SequenceTaken,
    Kind::NotOwner,
    Kind::Unsupported,
    Kind::GradientUnavailable,
    Kind::CapabilityMissing,
    Kind::MissingExtra,
    Kind::Denied,
    Kind::Unauthenticated,
    Kind::Forbidden,
    Kind::QuotaExceeded,
    Kind::ServerError,
    Kind::ServerFailed,
    Kind::ServerUnavailable,
    Kind::OracleError,
    Kind::OracleFailed,
    Kind::OracleUnavailable,
    Kind::OracleTimeout,
    Kind::OutOfMemory,
    Kind::StoreError,
    Kind::StoreCorrupt,
];

impl Kind {
    /// The kind above this one; none for the root.
    pub fn parent(self) -> Option<Kind> {
        match self {
            Kind::BlackboxError => None,
            Kind::InvalidSpec | Kind::ShapeMismatch | Kind::UnknownUnit | Kind::MessageTooLarge => {
                Some(Kind::InvalidInput)
            }
            Kind::StudyExists
            | Kind::StudyClosed
            | Kind::ModelChanged
            | Kind::SequenceTaken
            | Kind::NotOwner => Some(Kind::Conflict),
            Kind::GradientUnavailable | Kind::CapabilityMissing | Kind::MissingExtra => {
                Some(Kind::Unsupported)
            }
            Kind::Unauthenticated | Kind::Forbidden | Kind::QuotaExceeded => Some(Kind::Denied),
            Kind::ServerFailed | Kind::ServerUnavailable => Some(Kind::ServerError),
            Kind::OracleFailed
            | Kind::OracleUnavailable
            | Kind::OracleTimeout
            | Kind::OutOfMemory => Some(Kind::OracleError),
            Kind::StoreCorrupt => Some(Kind::StoreError),
            _ => Some(Kind::BlackboxError),
        }
    }

    /// Whether this is `other` or a kind below it.
    pub fn within(self, other: Kind) -> bool {
        self == other || self.parent().is_some_and(|parent| parent.within(other))
    }

    /// The name of the kind, such as `StudyExists`.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// The kind with a name.
    pub fn named(name: &str) -> Option<Kind> {
        KINDS.into_iter().find(|kind| kind.name() == name)
    }

    /// The name of the kind on the wire, such as `STUDY_EXISTS`.
    pub fn reason(self) -> String {
        let mut reason = String::new();
        for letter in self.name().chars() {
            if letter.is_uppercase() && !reason.is_empty() {
                reason.push('_');
            }
            reason.push(letter.to_ascii_uppercase());
        }
        reason
    }
}

/// An error of the client, or of its server.
#[derive(Clone, Debug)]
pub struct Error {
    /// The class of the error.
    pub kind: Kind,
    /// As the server gave it; of an error that the client found, that of its kind.
    pub reason: String,
    /// What was expected, what came, and what to do.
    pub message: String,
    /// Path of the request's field at fault, such as `spec.targets[0]`; else empty.
    pub field: String,
    /// After which time the same call may succeed.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// An error of a kind. An oracle sends it to its caller as it is.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            reason: kind.reason(),
            message: message.into(),
            field: String::new(),
            retry_after: None,
        }
    }

    /// The same error with the field at fault.
    pub fn at(mut self, field: impl Into<String>) -> Error {
        self.field = field.into();
        self
    }

    /// Whether the error is of this kind, or of one below it.
    pub fn is(&self, kind: Kind) -> bool {
        self.kind.within(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
