/**
 * The parts of a score as bars: one scale for the whole answer, a common zero, and the numbers next to the bars.
 */

import { element, svgElement } from "./dom.js";
import { describePart, digitsFor, formatSigned } from "./format.js";

const COLOURS = ["accent", "second", "third", "neutral"];
const ROW_HEIGHT = 10;

/**
 * @typedef {import("./store.js").Recommended} Recommended
 * @typedef {{names: string[], low: number, high: number, digits: number}} Scale  the names of all parts, the range of
 *   their values, and how many decimals are shown
 */

/**
 * The parts of an item's score by name, including the amount that boosts added.
 *
 * @param {Recommended} item
 * @returns {Record<string, number>}
 */
export function partsOf(item) {
  const parts = item.why?.parts ?? {};
  return item.boosted === undefined ? parts : { ...parts, boost: item.boosted };
}

/**
 * One scale for all items.
 *
 * @param {Recommended[]} items
 * @returns {Scale}
 */
export function scaleOf(items) {
  const all = items.map(partsOf);
  const values = all.flatMap((parts) => Object.values(parts));
  const names = [...new Set(all.flatMap((parts) => Object.keys(parts)))];
  return { names, low: Math.min(0, ...values), high: Math.max(0, ...values), digits: digitsFor(values) };
}

/**
 * The entries of the legend.
 *
 * @param {Scale} scale
 */
export function legendEntries(scale) {
  if (!scale.names.length) return [];
  const heading = element("li", {}, "A score is the sum of:");
  const entries = scale.names.map((name, number) =>
    element(
      "li",
      {},
      element("span", { class: `swatch fill-${colour(number)}`, "aria-hidden": "true" }),
      element("span", {}, element("b", {}, name), ` ${describePart(name)}`),
    ),
  );
  return scale.names.length > 1 ? [heading, ...entries] : entries;
}

/**
 * Draw the bars of an item. Bars that exist already are changed in place, so that CSS can animate them.
 *
 * @param {HTMLElement} parent
 * @param {Recommended} item
 * @param {Scale} scale
 */
export function drawBars(parent, item, scale) {
  const parts = partsOf(item);
  const numRows = scale.names.length;
  const span = scale.high - scale.low || 1;
  const zero = (100 * -scale.low) / span;
  let svg = parent.querySelector("svg");
  if (!svg || svg.childElementCount !== numRows + 1) {
    svg = emptyBars(scale, zero);
    parent.replaceChildren(/** @type {Node} */ (svg), element("ul", { class: "values" }));
  }
  // The bars and the line at zero.
  scale.names.forEach((name, number) => {
    const value = parts[name] ?? 0;
    const rect = /** @type {Element} */ (svg?.children[number]);
    rect.setAttribute("x", String(Math.min(zero, zero + (100 * value) / span)));
    rect.setAttribute("width", String(Math.max(0.4, (100 * Math.abs(value)) / span)));
  });
  for (const end of ["x1", "x2"]) svg?.lastElementChild?.setAttribute(end, String(zero));
  // The numbers.
  /** @type {HTMLElement} */ (parent.querySelector(".values")).replaceChildren(
    ...scale.names.map((name) => {
      const label = element("span", { class: "hidden" }, `${name} `);
      return element("li", {}, label, formatSigned(parts[name] ?? 0, numRows > 1, scale.digits));
    }),
  );
}

/**
 * A drawing with one bar of width 0 for each part, and the line at zero.
 *
 * @param {Scale} scale
 * @param {number} zero  where zero lies, in percent of the width
 */
function emptyBars(scale, zero) {
  const numRows = scale.names.length;
  const viewBox = `0 0 100 ${ROW_HEIGHT * numRows}`;
  return svgElement(
    "svg",
    { class: `bars of-${numRows}`, viewBox, preserveAspectRatio: "none", "aria-hidden": "true" },
    ...scale.names.map((_, number) => {
      const place = { x: zero, y: ROW_HEIGHT * number + 2, width: 0, height: ROW_HEIGHT - 4 };
      return svgElement("rect", { class: `fill-${colour(number)}`, ...place });
    }),
    svgElement("line", { class: "zero", y1: 0, y2: ROW_HEIGHT * numRows, "vector-effect": "non-scaling-stroke" }),
  );
}

/** @param {number} number */
function colour(number) {
  return COLOURS[number % COLOURS.length];
}
