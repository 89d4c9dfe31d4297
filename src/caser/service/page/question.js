/**
 * From what the page shows to the question it asks, and to the same question for a terminal.
 */

/** @typedef {import("./store.js").State} State */

const LONGEST = 1000;

/**
 * The body of POST /v1/recommend. The history is sent unless it is the one that the service has itself.
 *
 * @param {State} state
 * @returns {Record<string, any>}
 */
export function question(state) {
  /** @type {Record<string, any>} */
  const body = {};
  if (state.user !== null) body.user_id = state.user;
  if (state.user === null || !state.isStored) body.history = state.history.slice(-LONGEST).map((item) => item.item_id);
  body.k = state.k;
  body.exclude_seen = state.excludeSeen;
  const rules = rulesOf(state);
  if (Object.keys(rules).length) body.rules = rules;
  body.explain = true;
  return body;
}

/**
 * A command that asks the same.
 *
 * @param {State} state
 * @param {string} origin
 * @param {boolean} hasToken
 */
export function curl(state, origin, hasToken) {
  const fields = Object.entries(question(state)).map(([name, value]) => `  "${name}": ${JSON.stringify(value)}`);
  const lines = [`curl ${quoted(`${origin}/v1/recommend`)}`, "-H 'Content-Type: application/json'"];
  if (hasToken) lines.push('-H "Authorization: Bearer $CASER_TOKEN"');
  return [...lines, `-d ${quoted(`{\n${fields.join(",\n")}\n}`)}`].join(" \\\n  ");
}

/** @param {State} state */
function rulesOf(state) {
  /** @type {Record<string, any>} */
  const rules = {};
  if (state.without.length) rules.without = grouped(state.without);
  if (state.atMost.most) rules.at_most = { [state.atMost.column]: state.atMost.most };
  const boosts = state.boosts.filter((boost) => boost.amount);
  if (boosts.length) {
    rules.boosts = boosts.map(({ column, value, amount }) => ({ where: { [column]: [value] }, amount }));
  }
  return rules;
}

/**
 * Values by column.
 *
 * @param {import("./store.js").Condition[]} conditions
 */
function grouped(conditions) {
  /** @type {Record<string, string[]>} */
  const values = {};
  for (const { column, value } of conditions) (values[column] ??= []).push(value);
  return values;
}

/**
 * Text for a POSIX shell.
 *
 * @param {string} text
 */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
