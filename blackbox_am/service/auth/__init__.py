"""Who calls and what they may do: TLS, tokens, roles, ownership, quotas and the audit log.

Every call passes the interceptor of `guarding`, before any servicer sees the call.
`docs/security.md` says what this promises.
"""
