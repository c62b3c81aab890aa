/** Speaks HTTP to a server: one request, one answer, one kind of error. */
import { type Clock, sleep } from "../../base/clock.ts";
import { ERROR_CODES, type ErrorCode, messageOf, PoolError } from "../../base/errors.ts";
import type { TaskView } from "../../engine/view.ts";
import { CliError } from "./cli-error.ts";

/** Above what a request may wait for by itself. */
const ANSWER_LIMIT_MS = 30_000;
/** Between two questions for the same task. */
const LEAST_PAUSE_MS = 250;
/** The longest `waitMs` a server takes. */
export const LONGEST_WAIT_MS = 60_000;

export interface ClientOptions {
  /** Of the server, `http://127.0.0.1:8000`. */
  readonly url: string;
  readonly key?: string | undefined;
  readonly clock: Clock;
}

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string | number | undefined>> | undefined;
  readonly body?: unknown;
  /** How long the server is asked to wait before it answers. */
  readonly waitMs?: number | undefined;
  /** How much longer than usual the answer may take, for what is done before it is answered. */
  readonly patienceMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class Client {
  readonly url: string;
  readonly #key: string | undefined;
  readonly #clock: Clock;

  constructor({ url, key, clock }: ClientOptions) {
    this.url = baseUrl(url);
    this.#key = key;
    this.#clock = clock;
  }

  get<T>(path: string, options?: RequestOptions): Promise<T> {
    return this.#request<T>("GET", path, options);
  }

  post<T>(path: string, options?: RequestOptions): Promise<T> {
    return this.#request<T>("POST", path, options);
  }

  delete<T>(path: string, options?: RequestOptions): Promise<T> {
    return this.#request<T>("DELETE", path, options);
  }

  /**
   * The task once it is settled, or as it is after `waitMs`; without `waitMs` it waits as long as it takes.
   */
  async settled(
    id: string,
    { waitMs, signal }: { waitMs?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<TaskView> {
    const untilMs = waitMs === undefined ? Number.POSITIVE_INFINITY : this.#clock.monotonic() + waitMs;
    for (;;) {
      const leftMs = Math.ceil(Math.max(0, untilMs - this.#clock.monotonic()));
      const partMs = Math.min(leftMs, LONGEST_WAIT_MS);
      const askedAtMs = this.#clock.monotonic();
      const task = await this.get<TaskView>(`/v1/tasks/${encodeURIComponent(id)}`, { waitMs: partMs, signal });
      if (isSettled(task) || leftMs <= partMs) return task;
      // A server that is closing answers at once.
      const tookMs = this.#clock.monotonic() - askedAtMs;
      if (tookMs < LEAST_PAUSE_MS) await sleep(this.#clock, LEAST_PAUSE_MS - tookMs, signal);
    }
  }

  async #request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const { response, text } = await this.#exchange(method, path, options);
    const answer = parsed(text);
    if (response.ok && answer !== undefined) return answer as T;
    throw this.#refusal(response, answer);
  }

  async #exchange(
    method: string,
    path: string,
    { query, body, waitMs, patienceMs, signal }: RequestOptions,
  ): Promise<{ response: Response; text: string }> {
    const url = new URL(this.url + path);
    for (const [name, value] of Object.entries({ ...query, waitMs: waitMs || undefined })) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers: Record<string, string> = { accept: "application/json" };
    if (this.#key !== undefined) headers.authorization = `Bearer ${this.#key}`;
    if (body !== undefined) headers["content-type"] = "application/json";

    const late = new AbortController();
    const limitMs = ANSWER_LIMIT_MS + (waitMs ?? 0) + (patienceMs ?? 0);
    const timer = this.#clock.timer(limitMs, () => late.abort(new Error(`no answer within ${limitMs} ms`)));
    try {
      const response = await fetch(url, {
        method,
        headers,
        redirect: "error",
        signal: signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { response, text: await response.text() };
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw this.#unreachable(cause);
    } finally {
      timer.cancel();
    }
  }

  #unreachable(cause: unknown): CliError {
    // fetch says only "fetch failed"; what happened is in its cause.
    const inner = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
    const code = (inner as { code?: unknown }).code;
    const reason = code === "ECONNREFUSED" ? "connection refused" : messageOf(inner) || String(code);
    return new CliError(
      "unreachable",
      `no server at ${this.url} (${reason}): \`troupe up\` starts one, --url or TROUPE_URL names another`,
      {
        cause,
        details: { url: this.url, reason },
      },
    );
  }

  #refusal(response: Response, answer: unknown): Error {
    const problem = typeof answer === "object" && answer !== null ? (answer as Record<string, unknown>) : undefined;
    const { code, detail, type: _type, title, status: _status, instance: _instance, ...rest } = problem ?? {};
    if (typeof code !== "string") {
      return new CliError("unreachable", `${this.url} answered ${response.status}, but not as a troupe server does`, {
        details: { url: this.url, status: response.status },
      });
    }
    const said = typeof detail === "string" ? detail : String(title ?? code);
    const message =
      response.status === 401 && !said.includes("troupe key")
        ? `${said} (\`troupe key\` prints the key of a server on this machine; give it with --key or TROUPE_KEY)`
        : said;
    return new PoolError(knownCode(code, response.status), message, {
      retryable: response.status === 429 || response.status >= 500,
      details: { ...rest, ...retryAfter(response, rest) },
    });
  }
}

export function isSettled(task: Pick<TaskView, "status">): boolean {
  return task.status === "completed" || task.status === "failed" || task.status === "cancelled";
}

function baseUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || (parsed.protocol !== "http:" && parsed.protocol !== "https:")) {
    throw new CliError("usage", `the URL of the server: expected http://host:port, got ${url}`);
  }
  if (parsed.username !== "" || parsed.password !== "" || parsed.search !== "" || parsed.hash !== "") {
    throw new CliError("usage", "the URL of the server: expected no user, no query and no fragment");
  }
  return parsed.href.replace(/\/+$/, "");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the caller says who answered so.
    return undefined;
  }
}

/** A newer server may know codes that this client does not. */
export function knownCode(code: string, status: number): ErrorCode {
  if ((ERROR_CODES as readonly string[]).includes(code)) return code as ErrorCode;
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 404) return "not_found";
  if (status === 409) return "conflict";
  if (status === 429) return "rate_limited";
  if (status === 503) return "unavailable";
  return status >= 400 && status < 500 ? "invalid" : "internal";
}

function retryAfter(response: Response, fields: Record<string, unknown>): { retryAfterMs?: number } {
  if (typeof fields.retryAfterMs === "number") return {};
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1_000 } : {};
}
