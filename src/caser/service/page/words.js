/**
 * Numbers and sources in words.
 */

/** How an answer was made, as the service names it, in a sentence. `{user}` is the user's id. */
const SOURCES = {
  "known user": "For user {user}, whose lasting taste the model has learned.",
  "fold-in": "For somebody the model has not met: their taste is worked out from what they took.",
  "mean user": "For somebody the model has not met: what they took, with the taste of an average user.",
  "learned anonymous user": "For somebody the model has not met: what they took, with a taste learned for strangers.",
  history: "From what they took alone: this model keeps no taste per person.",
  popularity: "Nothing is known of them yet: what most people took.",
};

/**
 * @param {string} source
 * @param {string | null} user
 */
export function sourceInWords(source, user) {
  const words = SOURCES[/** @type {keyof typeof SOURCES} */ (source)] ?? `Made by: ${source}.`;
  return words.replace("{user}", () => `\u2068${user}\u2069`);
}

/** What the parts of a score speak of. */
const PARTS = {
  "short-term": "the last clicks",
  "lasting taste": "the person",
  bias: "the title, for everybody",
  boost: "your rules",
  score: "as a whole",
};

/** @param {string} name */
export function partInWords(name) {
  return PARTS[/** @type {keyof typeof PARTS} */ (name)] ?? "";
}

/**
 * A number with its sign, for a part of a score: three figures are enough to compare.
 *
 * @param {number} value
 * @param {boolean} [hasPlus]
 */
export function signed(value, hasPlus = true) {
  const digits = Math.abs(value) >= 100 ? 0 : 2;
  const text = Math.abs(value).toFixed(digits);
  const sign = Number(text) === 0 ? "" : value < 0 ? "\u2212" : hasPlus ? "+" : "";
  return sign + text;
}

/**
 * A count of things.
 *
 * @param {number} number
 * @param {string} thing
 * @param {string} [things]
 */
export function count(number, thing, things = `${thing}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? thing : things}`;
}

/**
 * What a rule of the trace says.
 *
 * @param {string} rule
 */
export function ruleInWords(rule) {
  const [kind, ...column] = rule.split(" ");
  const name = column.join(" ");
  if (kind === "at_most") return `enough of the same ${name}`;
  if (kind === "without") return `unwanted ${name}`;
  if (kind === "filters") return `another ${name}`;
  return rule;
}
