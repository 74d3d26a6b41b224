/** Requests to the gateway, and their errors. */

const TOKEN = "blackbox-am-token";

/** An answer that is not a success. `reason` is that of the server, such as STUDY_NOT_FOUND. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

/** Whether the dashboard or its server did not answer. */
export function isAway(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 503);
}

export type Query = Record<string, string | number | null | undefined>;

/** The address of a resource, relative to the page, so that a proxy may put it under a path. */
export function address(path: string, query: Query = {}): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  const text = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString();
  return `api/${path}${text ? `?${text}` : ""}`;
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return request<T>(address(path, query), signal ? { signal } : {});
}

/** A change, with the token of this tab. */
export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const token = readToken();
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (token) headers["authorization"] = `Bearer ${token}`;
  return request<T>(address(path), { method: "POST", headers, body: JSON.stringify(body) });
}

async function request<T>(url: string, init: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(url, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "DASHBOARD_AWAY", "the dashboard does not answer; is it still running?");
  }
  if (answer.ok) return (await answer.json()) as T;
  throw await failure(answer);
}

async function failure(answer: Response): Promise<ApiError> {
  const body: unknown = await answer.json().catch(() => null);
  const error = (body as { error?: { reason?: string; message?: string } } | null)?.error;
  const message = error?.message ?? `${answer.status} ${answer.statusText}`;
  return new ApiError(answer.status, error?.reason ?? "", message);
}

/** The token for changes: it stays in this tab until the tab closes. */
export function readToken(): string {
  return sessionStorage.getItem(TOKEN) ?? "";
}

export function keepToken(token: string): void {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
}

/** What went wrong, for people. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
