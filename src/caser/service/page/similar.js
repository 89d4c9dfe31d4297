/**
 * Titles like a recommended one, on demand.
 */

import { ask } from "./api.js";
import { button, element, isolated, titled } from "./dom.js";

const SHOWN = 5;

/**
 * Open or close the list under a row.
 *
 * @param {HTMLElement} row
 * @param {import("./store.js").Recommended} item
 * @param {import("./actions.js").Actions} actions
 * @param {(error: unknown) => void} failed
 */
export async function toggleSimilar(row, item, actions, failed) {
  const opener = /** @type {HTMLElement} */ (row.querySelector(".like"));
  const open = row.querySelector(".similar");
  opener.setAttribute("aria-expanded", String(!open));
  if (open) return open.remove();
  const list = element("ul", { class: "similar", "aria-label": `Similar to ${isolated(item)}` });
  row.append(list);
  try {
    const found = await ask(`/v1/items/${encodeURIComponent(item.item_id)}/similar?k=${SHOWN}`);
    const entries = found.items.map((/** @type {import("./store.js").Recommended} */ one) =>
      element("li", {}, button({ class: "pill", onclick: () => actions.take(one) }, titled(one))),
    );
    list.replaceChildren(...(entries.length ? entries : [element("li", {}, "Nothing is similar.")]));
  } catch (error) {
    list.remove();
    opener.setAttribute("aria-expanded", "false");
    failed(error);
  }
}
