/**
 * The list of titles that are similar to a recommended one.
 */

import { callService } from "./api.js";
import { button, element, isolatedName, titleElement } from "./dom.js";
import { withThings } from "./format.js";

const NUM_SIMILAR = 5;

/**
 * Open or close the list under a row.
 *
 * @param {HTMLElement} row
 * @param {import("./store.js").Recommended} item
 * @param {import("./actions.js").Actions} actions
 * @param {(error: unknown) => void} onError
 */
export async function toggleSimilar(row, item, actions, onError) {
  const opener = /** @type {HTMLElement} */ (row.querySelector(".like"));
  const open = row.querySelector(".similar");
  opener.setAttribute("aria-expanded", String(!open));
  if (open) return open.remove();
  const heading = element("p", { class: "help" }, withThings("Similar {things}. Click one to take it:"));
  const pills = element("ul", { "aria-label": `Similar to ${isolatedName(item)}` });
  const list = element("div", { class: "similar" }, heading, pills);
  row.append(list);
  try {
    const query = new URLSearchParams({ item_id: String(item.item_id), k: String(NUM_SIMILAR) });
    const { items } = await callService(`v1/similar?${query}`);
    const entries = items.map((/** @type {import("./store.js").Recommended} */ similar) =>
      element("li", {}, button({ class: "pill", onclick: () => actions.add(similar) }, titleElement(similar))),
    );
    if (entries.length) pills.replaceChildren(...entries);
    else heading.textContent = withThings("No {thing} is similar.");
  } catch (error) {
    list.remove();
    opener.setAttribute("aria-expanded", "false");
    onError(error);
  }
}
