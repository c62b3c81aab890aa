/** The server as an outsider sees it: HTTP, JSON and a key. */
import { setTimeout as sleep } from "node:timers/promises";

/** How long a request is repeated while the server is busy or can't be reached. */
const PATIENCE_MS = 60_000;
/** Between two tries when the server does not say how long to wait. */
const PAUSE_MS = 200;
/** Of one request, above what it asks the server to wait. */
const ANSWER_LIMIT_MS = 60_000;

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class Api {
  readonly url: string;
  readonly #key: string;
  readonly #signal: AbortSignal;

  /** @param options.signal - ends everything that is under way */
  constructor({ url, key, signal }: { url: string; key: string; signal: AbortSignal }) {
    this.url = url;
    this.#key = key;
    this.#signal = signal;
  }

  get<T>(path: string): Promise<T> {
    return this.#patiently<T>(path, { method: "GET" });
  }

  /** Only for what may be sent twice. */
  post<T>(path: string, body: unknown): Promise<T> {
    const headers = { "content-type": "application/json" };
    return this.#patiently<T>(path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  /** Repeats what was refused for now (429, 503) and what got no answer, for a while. */
  async #patiently<T>(path: string, init: RequestInit): Promise<T> {
    const untilMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const tried = await this.#once<T>(path, init);
      if ("value" in tried) return tried.value;
      if (performance.now() + tried.pauseMs > untilMs) throw tried.because;
      await sleep(tried.pauseMs, undefined, { signal: this.#signal }).catch(() => this.#signal.throwIfAborted());
    }
  }

  async #once<T>(path: string, init: RequestInit): Promise<Try<T>> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]);
    const headers = { ...init.headers, authorization: `Bearer ${this.#key}` };
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.url + path, { ...init, headers, signal });
      text = await response.text();
    } catch (error) {
      this.#signal.throwIfAborted();
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const because = new Error(`${init.method} ${path}: no answer (${String(cause)})`, { cause: error });
      return { pauseMs: PAUSE_MS, because };
    }
    if (response.ok) return { value: JSON.parse(text) as T };
    const refusal = refusalOf(`${init.method} ${path}`, response, text);
    if (response.status !== 429 && response.status !== 503) throw refusal;
    const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
    return { pauseMs: seconds * 1_000 > PAUSE_MS ? seconds * 1_000 : PAUSE_MS, because: refusal };
  }
}

type Try<T> = { readonly value: T } | { readonly pauseMs: number; readonly because: Error };

function refusalOf(request: string, response: Response, text: string): ApiError {
  try {
    const { code, detail } = JSON.parse(text) as { code?: string; detail?: string };
    return new ApiError(response.status, code ?? "unknown", `${request}: ${response.status} ${code}: ${detail}`);
  } catch {
    return new ApiError(response.status, "unknown", `${request}: ${response.status} ${text.slice(0, 200)}`);
  }
}
