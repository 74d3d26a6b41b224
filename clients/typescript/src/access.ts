/** How a client connects: the address, encryption, certificates, the token. */

import { readFileSync } from "node:fs";
import type { SecureClientSessionOptions } from "node:http2";
import { isIP } from "node:net";

import { InvalidInput } from "./errors.js";

/** An encrypted connection. Each field may be missing. */
export interface Tls {
  /** File with the certificates of the authorities to trust, in PEM; the public ones without it. */
  readonly ca?: string;
  /** Files with this client's own certificate and its key, in PEM. */
  readonly certificate?: string;
  readonly key?: string;
  /** The name in the server's certificate, where it is not that of the address. */
  readonly serverName?: string;
}

/** An address as a URL: of `host:port`, also after `dns:///`. */
export function urlOf(target: string, encrypted: boolean): string {
  const address = target.replace(/^dns:(\/\/\/)?/, "");
  const match = /^(\[[^\]]+\]|[^:/?#@[\]\s]+):(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  if (!match || port < 1 || port > 65535) {
    throw new InvalidInput(`expected an address host:port, got ${JSON.stringify(target)}`, {
      field: "target",
    });
  }
  return `${encrypted ? "https" : "http"}://${match[1]}:${port}`;
}

/** The headers with a token, which is checked: nobody else may read it on the way. */
export function headersOf(
  token: string,
  target: string,
  encrypted: boolean,
): Record<string, string> {
  if (!/^[!-~]+$/.test(token)) {
    throw new InvalidInput(
      "token: expected printable ASCII characters without spaces, as `blackbox-am token create` " +
        `prints them, got ${token.length} characters that are not`,
      { field: "token" },
    );
  }
  if (!encrypted && !isLoopback(target)) {
    throw new InvalidInput(
      `token: the connection to ${target} is not encrypted, so others could read the token; use ` +
        "TLS (tls: true, or a file with the certificates to trust)",
      { field: "token" },
    );
  }
  return { authorization: `Bearer ${token}` };
}

/** Whether an address, with or without a port, is one of this machine. */
export function isLoopback(target: string): boolean {
  const address = target.replace(/^dns:(\/\/\/)?/, "");
  if (/[/@,#?]/.test(address)) return false; // it names more than one host
  const host = address
    .replace(/:\d+$/, address.startsWith("[") || address.split(":").length === 2 ? "" : "$&")
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "")
    .toLowerCase();
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  if (isIP(host) === 4) return host.startsWith("127.");
  return isIP(host) === 6 && (host === "::1" || /^::ffff:127\./.test(host));
}

/** Options of node for a connection with these settings. */
export function secureOptions(tls: Tls): SecureClientSessionOptions {
  if (!tls.certificate !== !tls.key) {
    throw new InvalidInput(
      "tls: a certificate needs its key, and a key its certificate; give both",
      {
        field: "tls",
      },
    );
  }
  return {
    ...(tls.ca && { ca: pem(tls.ca, "ca", "CERTIFICATE") }),
    ...(tls.certificate && { cert: pem(tls.certificate, "certificate", "CERTIFICATE") }),
    ...(tls.key && { key: pem(tls.key, "key", "PRIVATE KEY") }),
    ...(tls.serverName && { servername: tls.serverName }),
  };
}

/** The contents of a PEM file. */
export function pem(file: string, field: string, kind: string): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidInput(`${field}: cannot read the file: ${why}`, { field, cause });
  }
  if (!content.includes("-----BEGIN") || !content.includes(kind)) {
    throw new InvalidInput(`${field}: expected a ${kind} in PEM in ${file}, which has none`, {
      field,
    });
  }
  return content;
}
