/**
 * Calls of the service over HTTP. Every failure becomes an error with one sentence.
 */

const TOKEN_KEY = "caser-token";

/** A call that failed. `status` is the HTTP status, or 0 if the service did not answer. */
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

/** Whether this tab has a token. The curl command then names a token, but never shows it. */
export function hasToken() {
  return sessionStorage.getItem(TOKEN_KEY) !== null;
}

/**
 * Keep a token for this tab.
 *
 * @param {string} token
 */
export function storeToken(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
}

/**
 * Send a request and return the JSON of the response. Throws ServiceError; a call that was aborted throws its own error.
 *
 * @param {string} path  beside the page, without a slash at its start: a proxy may show the service under a prefix
 * @param {{method?: string, body?: object, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function callService(path, { method = "GET", body, signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  const token = sessionStorage.getItem(TOKEN_KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body), cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ServiceError("The service does not answer. Is it running?", 0);
  }
  const content = await response.json().catch(() => ({}));
  if (response.ok) return content;
  throw new ServiceError(errorSentence(response, content), response.status);
}

/**
 * Wrap an asynchronous function: a new call aborts the call before it, so that only the latest one takes effect.
 *
 * @param {(signal: AbortSignal, ...given: any[]) => Promise<void>} work
 * @param {(error: ServiceError) => void} onError
 * @param {number} [wait_ms]  how long to wait for a newer call before the work starts
 * @returns {(...given: any[]) => void}
 */
export function latestOnly(work, onError, wait_ms = 0) {
  let current = new AbortController();
  let timer = 0;
  return (...given) => {
    current.abort();
    clearTimeout(timer);
    const controller = (current = new AbortController());
    timer = setTimeout(async () => {
      try {
        await work(controller.signal, ...given);
      } catch (error) {
        if (controller.signal.aborted) return;
        if (!(error instanceof ServiceError)) throw error;
        onError(error);
      }
    }, wait_ms);
  };
}

/**
 * @param {Response} response
 * @param {any} content
 */
function errorSentence(response, content) {
  const wait = Number(response.headers.get("Retry-After"));
  if (response.status === 401) return "This service needs a token. Reload the page to enter one.";
  if (response.status === 429) return `Too many questions at once. Try again in ${wait || 1} s.`;
  if (response.status === 503) return "The service is too busy. Try again in a moment.";
  const sentence = typeof content.error === "string" ? content.error : "";
  return sentence ? sentence[0].toUpperCase() + sentence.slice(1) : `The service failed with status ${response.status}.`;
}
