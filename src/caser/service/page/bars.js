/**
 * The parts of a score as bars from a common zero, on one scale for the whole answer, with the numbers beside them.
 */

import { drawn, element } from "./dom.js";
import { partInWords, signed } from "./words.js";

const COLOURS = ["accent", "second", "third", "neutral"];
const ROW = 10;

/**
 * @typedef {import("./store.js").Recommended} Recommended
 * @typedef {{names: string[], low: number, high: number}} Scale
 */

/**
 * The parts of an item's score by name; what boosts have added is one of them.
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
  return { names, low: Math.min(0, ...values), high: Math.max(0, ...values) };
}

/**
 * The entries of the legend.
 *
 * @param {Scale} scale
 */
export function legend(scale) {
  return scale.names.map((name, number) =>
    element(
      "li",
      {},
      element("span", { class: `swatch fill-${colour(number)}`, "aria-hidden": "true" }),
      element("span", {}, element("b", {}, name), ` ${partInWords(name)}`),
    ),
  );
}

/**
 * Draw an item's bars; a bar that is there already moves.
 *
 * @param {HTMLElement} into
 * @param {Recommended} item
 * @param {Scale} scale
 */
export function drawBars(into, item, scale) {
  const parts = partsOf(item);
  const span = scale.high - scale.low || 1;
  const zero = (100 * -scale.low) / span;
  let svg = into.querySelector("svg");
  const rows = scale.names.length;
  if (!svg || svg.childElementCount !== rows + 1) {
    const viewBox = `0 0 100 ${ROW * rows}`;
    svg = drawn(
      "svg",
      { class: `bars of-${rows}`, viewBox, preserveAspectRatio: "none", "aria-hidden": "true" },
      ...scale.names.map((_, number) => {
        const place = { x: zero, y: ROW * number + 2, width: 0, height: ROW - 4 };
        return drawn("rect", { class: `fill-${colour(number)}`, ...place });
      }),
      drawn("line", { class: "zero", y1: 0, y2: ROW * rows, "vector-effect": "non-scaling-stroke" }),
    );
    into.replaceChildren(/** @type {Node} */ (svg), element("ul", { class: "values" }));
  }
  scale.names.forEach((name, number) => {
    const value = parts[name] ?? 0;
    const rect = /** @type {Element} */ (svg?.children[number]);
    rect.setAttribute("x", String(Math.min(zero, zero + (100 * value) / span)));
    rect.setAttribute("width", String(Math.max(0.4, (100 * Math.abs(value)) / span)));
  });
  for (const end of ["x1", "x2"]) svg?.lastElementChild?.setAttribute(end, String(zero));
  /** @type {HTMLElement} */ (into.querySelector(".values")).replaceChildren(
    ...scale.names.map((name) => {
      const label = element("span", { class: "hidden" }, `${name} `);
      return element("li", {}, label, signed(parts[name] ?? 0, rows > 1));
    }),
  );
}

/** @param {number} number */
function colour(number) {
  return COLOURS[number % COLOURS.length];
}
