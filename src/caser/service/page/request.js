/**
 * The request that the page sends, and the same request as a command for a terminal.
 */

/** @typedef {import("./store.js").State} State */

/** Items of a history that one request may have; the service refuses more. */
const MAX_HISTORY = 1000;

/**
 * The body of POST /v1/recommend. The history is left out if the service has the same one.
 *
 * @param {State} state
 * @returns {Record<string, any>}
 */
export function requestBody(state) {
  /** @type {Record<string, any>} */
  const body = {};
  if (state.user !== null) body.user_id = state.user;
  if (state.user === null || !state.isStored) {
    body.history = state.history.slice(-MAX_HISTORY).map((item) => item.item_id);
  }
  body.k = state.k;
  body.exclude_seen = state.excludeSeen;
  const rules = rulesOf(state);
  if (Object.keys(rules).length) body.rules = rules;
  body.explain = true;
  return body;
}

/**
 * A curl command that sends the same request.
 *
 * @param {State} state
 * @param {string} base  the address of the page, with a slash at its end
 * @param {boolean} hasToken
 */
export function curlCommand(state, base, hasToken) {
  const fields = Object.entries(requestBody(state)).map(([name, value]) => `  "${name}": ${JSON.stringify(value)}`);
  const lines = [`curl ${shellQuote(`${base}v1/recommend`)}`, "-H 'Content-Type: application/json'"];
  if (hasToken) lines.push('-H "Authorization: Bearer $CASER_TOKEN"');
  return [...lines, `-d ${shellQuote(`{\n${fields.join(",\n")}\n}`)}`].join(" \\\n  ");
}

/** @param {State} state */
function rulesOf(state) {
  /** @type {Record<string, any>} */
  const rules = {};
  if (state.without.length) rules.without = valuesByColumn(state.without);
  if (state.atMost.limit) rules.at_most = { [state.atMost.column]: state.atMost.limit };
  const boosts = state.boosts.filter((boost) => boost.amount);
  if (boosts.length) {
    rules.boosts = boosts.map(({ column, value, amount }) => ({ where: { [column]: [value] }, amount }));
  }
  return rules;
}

/** @param {import("./store.js").Condition[]} conditions */
function valuesByColumn(conditions) {
  /** @type {Record<string, string[]>} */
  const values = {};
  for (const { column, value } of conditions) (values[column] ??= []).push(value);
  return values;
}

/**
 * Quote text for a POSIX shell.
 *
 * @param {string} text
 */
function shellQuote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
