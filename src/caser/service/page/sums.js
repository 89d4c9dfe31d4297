/**
 * How the part of a score that depends on the history adds up: the effect of each click, and the rest.
 *
 * The numbers are rounded first and added up then, so that a reader who adds up what is shown finds the total.
 */

/**
 * @typedef {import("./store.js").Recommended} Recommended
 * @typedef {import("./store.js").Effect} Effect
 * @typedef {{part: string, total: number, effects: Effect[], rest: number}} Sum  `total` is the sum of the effects and the rest
 */

/**
 * The sum of an item; null if no click has an effect.
 *
 * @param {Recommended | undefined} item
 * @param {number} digits  how many decimals are shown
 * @returns {Sum | null}
 */
export function sumOf(item, digits) {
  const why = item?.why;
  if (!why?.history.length) return null;
  const round = (/** @type {number} */ value) => Number(value.toFixed(digits));
  const effects = why.history.map((one) => ({ ...one, effect: round(one.effect) }));
  const total = round(why.parts[why.effects_of]);
  return { part: why.effects_of, total, effects, rest: restOf(total, effects, digits) };
}

/**
 * What some effects leave of a total.
 *
 * @param {number} total
 * @param {Effect[]} effects
 * @param {number} digits
 */
export function restOf(total, effects, digits) {
  return Number(effects.reduce((left, one) => left - one.effect, total).toFixed(digits));
}
