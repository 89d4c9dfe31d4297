/**
 * The service, asked over HTTP. Whatever goes wrong becomes one sentence.
 */

const KEPT_AS = "caser-token";

/** What went wrong, and the status the service gave it; 0 when it did not answer. */
export class ServiceError extends Error {
  /**
   * @param {string} sentence
   * @param {number} status
   */
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** Whether a token is in use; the snippet then names one, and never holds it. */
export function hasToken() {
  return sessionStorage.getItem(KEPT_AS) !== null;
}

/** @param {string} token */
export function keepToken(token) {
  sessionStorage.setItem(KEPT_AS, token);
}

/**
 * Ask, and return the JSON that comes back. Raises ServiceError, and lets the error of an abandoned request pass.
 *
 * @param {string} path
 * @param {{method?: string, body?: object, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function ask(path, { method = "GET", body, signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  const token = sessionStorage.getItem(KEPT_AS);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body), cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ServiceError("The service does not answer; is it running?", 0);
  }
  const content = await response.json().catch(() => ({}));
  if (response.ok) return content;
  throw new ServiceError(sentence(response, content), response.status);
}

/**
 * A function that may be called again before it has answered: only the newest call is answered.
 *
 * @param {(signal: AbortSignal, ...given: any[]) => Promise<void>} work
 * @param {(error: ServiceError) => void} failed
 * @param {number} [wait_ms]  how long to wait for a newer call first
 * @returns {(...given: any[]) => void}
 */
export function newest(work, failed, wait_ms = 0) {
  let current = new AbortController();
  let timer = 0;
  return (...given) => {
    current.abort();
    clearTimeout(timer);
    const own = (current = new AbortController());
    timer = setTimeout(async () => {
      try {
        await work(own.signal, ...given);
      } catch (error) {
        if (own.signal.aborted) return;
        if (!(error instanceof ServiceError)) throw error;
        failed(error);
      }
    }, wait_ms);
  };
}

/**
 * @param {Response} response
 * @param {any} content
 */
function sentence(response, content) {
  const wait = Number(response.headers.get("Retry-After"));
  if (response.status === 401) return "This service asks for a token; load the page again to give one.";
  if (response.status === 429) return `Too many questions at once; ask again in ${wait || 1} s.`;
  if (response.status === 503) return "The service is too busy just now; ask again in a moment.";
  const said = typeof content.error === "string" ? content.error : "";
  return said ? said[0].toUpperCase() + said.slice(1) : `The service failed with status ${response.status}.`;
}
