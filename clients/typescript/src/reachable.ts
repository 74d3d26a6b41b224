/** Why a server cannot be reached, in words, with what to do. */

import { Code, type ConnectError } from "@connectrpc/connect";

import type { Destination } from "./status.js";

/** The message for a connection that failed or was lost. */
export function unreachable(error: ConnectError, to: Destination): string {
  const found = nodeError(error);
  const meaning = explained(found, error.code === Code.Canceled, to);
  if (meaning) return `cannot talk to ${to.target}: ${meaning}`;
  const text = found ? `${found.code}: ${found.message}` : error.rawMessage;
  return (
    `cannot reach ${to.target} (${text}); check that the server runs, that the address is right, ` +
    "and that both sides use TLS or neither does"
  );
}

interface NodeError {
  readonly code: string;
  readonly message: string;
}

/** The error of node among the causes of an error. */
function nodeError(error: unknown): NodeError | undefined {
  for (let depth = 0; error instanceof Error && depth < 8; depth += 1, error = error.cause) {
    if ("code" in error && typeof error.code === "string") {
      return { code: error.code, message: error.message };
    }
  }
  return undefined;
}

function explained(error: NodeError | undefined, closed: boolean, to: Destination): string {
  const code = error?.code ?? "";
  if (to.encrypted && /CERT|SIGNATURE|ISSUER/.test(code) && !/CERTIFICATE_REQUIRED/.test(code)) {
    return code === "ERR_TLS_CERT_ALTNAME_INVALID"
      ? "its certificate is for another name than that of its address; give the name that is in it " +
          "as serverName"
      : `its certificate is not trusted (${code}); give the file with its authority as ca`;
  }
  if (to.encrypted && (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "EPROTO")) {
    return "it does not speak TLS; connect without tls, or have it served with TLS";
  }
  if (/CERTIFICATE_REQUIRED/.test(code)) {
    return "it expects a certificate of its client; give certificate and key in tls";
  }
  if (!closed && !["ECONNRESET", "ERR_HTTP2_ERROR", "EPIPE"].includes(code)) return "";
  if (!to.encrypted) {
    return (
      "it closed the connection, as a server does that ends, or expects TLS, or speaks no HTTP/2; " +
      "set tls if it expects TLS"
    );
  }
  if (to.certificate) return "";
  return (
    "it closed the connection, as a server does that ends or expects a certificate of its client; " +
    "give certificate and key in tls if it does"
  );
}
