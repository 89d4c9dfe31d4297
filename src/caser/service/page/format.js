/**
 * Numbers, sources and rules as text for people.
 */

/** A sentence for each way in which the service makes an answer. `{user}` stands for the user's id. */
const SOURCES = {
  "known user": "For user {user}, from what they took: this model learns no taste of a user.",
  "known taste": "For user {user}, whose lasting taste the model has learned.",
  "fold-in": "For a user who is new to the model: it estimates their taste from what they took.",
  "mean user": "For a user who is new to the model: what they took, with the taste of an average user.",
  "learned anonymous user": "For a user who is new to the model: what they took, with a taste learned for new users.",
  history: "From what they took alone: this model learns no taste of a user.",
  popularity: "Nothing is known about them yet: these are the most popular {things}.",
};

/** The word for one item: "title" if the model knows titles, "item" if it knows only ids. */
let thing = "title";

/** @param {boolean} hasTitles  whether any item has a title */
export function setThing(hasTitles) {
  thing = hasTitles ? "title" : "item";
}

/** Put the word for an item, and for several, in place of `{thing}` and `{things}`.
 *
 * @param {string} text
 */
export function withThings(text) {
  return text.replaceAll("{things}", `${thing}s`).replaceAll("{thing}", thing);
}

/**
 * How an answer was made, as a sentence.
 *
 * @param {string} source  as the service names it
 * @param {string | null} user
 * @param {boolean} hasTaste  whether scores have a part for the lasting taste of a user
 */
export function describeSource(source, user, hasTaste) {
  const name = source === "known user" && hasTaste ? "known taste" : source;
  const sentence = SOURCES[/** @type {keyof typeof SOURCES} */ (name)] ?? `Made by: ${source}.`;
  return withThings(sentence).replace("{user}", () => `\u2068${user}\u2069`);
}

/** What each part of a score depends on. */
const PARTS = {
  "short-term": "the last clicks",
  "lasting taste": "the person",
  bias: "the {thing}, for everybody",
  boost: "your rules",
  score: "as a whole",
};

/**
 * What a part of a score depends on.
 *
 * @param {string} name  of the part, as the service names it
 */
export function describePart(name) {
  return withThings(PARTS[/** @type {keyof typeof PARTS} */ (name)] ?? "");
}

/**
 * How many decimals numbers need that are read side by side: two from 1 on, none from 100 on, more below 1.
 *
 * @param {number[]} values
 */
export function digitsFor(values) {
  const largest = Math.max(0, ...values.map(Math.abs));
  if (largest >= 100) return 0;
  return largest >= 1 || largest === 0 ? 2 : Math.min(6, 2 - Math.floor(Math.log10(largest)));
}

/**
 * A part of a score as text, with its sign.
 *
 * @param {number} value
 * @param {boolean} [hasPlus]  whether a positive number gets a plus sign
 * @param {number} [digits]  how many decimals
 */
export function formatSigned(value, hasPlus = true, digits = digitsFor([value])) {
  const text = Math.abs(value).toFixed(digits);
  const sign = Number(text) === 0 ? "" : value < 0 ? "\u2212" : hasPlus ? "+" : "";
  return sign + text;
}

/**
 * A number of items as text, such as "2 titles".
 *
 * @param {number} number
 * @param {string} [adjective]  such as "better-ranked "
 */
export function formatThings(number, adjective = "") {
  return formatCount(number, `${adjective}${thing}`);
}

/**
 * A number of things as text, for instance "1 title" or "1,682 titles".
 *
 * @param {number} number
 * @param {string} singular
 * @param {string} [plural]
 */
export function formatCount(number, singular, plural = `${singular}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? singular : plural}`;
}

/**
 * Why a rule removed an item, in a few words.
 *
 * @param {string} rule  as the service names it, for instance "at_most genre"
 */
export function describeRule(rule) {
  const [kind, ...column] = rule.split(" ");
  const name = column.join(" ");
  if (kind === "at_most") return `too many with the same ${name}`;
  if (kind === "without") return `excluded ${name}`;
  if (kind === "filters") return `other ${name}`;
  if (kind === "diversity") return "too similar to a better title";
  return rule;
}
