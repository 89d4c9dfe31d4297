/**
 * The search field: a combobox as in the ARIA Authoring Practices (list autocomplete with manual selection). The focus
 * stays in the field. Arrow keys move through the list, Enter chooses, Escape closes the list and then clears the field.
 */

import { callService, latestOnly } from "./api.js";
import { announce, byId, element, titleElement } from "./dom.js";
import { formatThings, withThings } from "./format.js";

const NUM_RESULTS = 8;
const WAIT_MS = 120;

/** @typedef {import("./store.js").Item} Item */

/**
 * @param {(item: Item) => void} onChoose
 * @param {(error: unknown) => void} onError
 */
export function showSearch(onChoose, onError) {
  const field = byId("search");
  const list = byId("found");
  /** @type {Item[]} */
  let results = [];
  let active = -1;

  const search = latestOnly(
    async (signal) => {
      const query = new URLSearchParams({ query: field.value.trim(), k: String(NUM_RESULTS) });
      results = (await callService(`v1/items?${query}`, { signal })).items;
      if (document.activeElement === field) open();
    },
    onError,
    WAIT_MS,
  );

  function open() {
    const nothing = element("li", { class: "nothing" }, withThings("No such {thing}"));
    list.replaceChildren(...(results.length ? results.map(makeOption) : [nothing]));
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
    activate(field.value.trim() && results.length ? 0 : -1);
    if (field.value.trim()) {
      announce(results.length ? `${formatThings(results.length)} found.` : withThings("No such {thing}."));
    }
  }

  function close() {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    activate(-1);
  }

  /**
   * @param {Item} item
   * @param {number} place
   */
  function makeOption(item, place) {
    return element(
      "li",
      {
        id: `found-${place}`,
        role: "option",
        "aria-selected": "false",
        onpointerdown: (/** @type {Event} */ event) => event.preventDefault(), // keeps the focus in the field
        onclick: () => choose(item),
        onpointermove: () => place !== active && activate(place),
      },
      titleElement(item),
    );
  }

  /** @param {number} place  of the option in the list; -1 for none */
  function activate(place) {
    active = place;
    [...list.children].forEach((child, other) => child.setAttribute("aria-selected", String(other === place)));
    if (place >= 0) {
      field.setAttribute("aria-activedescendant", `found-${place}`);
      list.children[place].scrollIntoView({ block: "nearest" });
    } else {
      field.removeAttribute("aria-activedescendant");
    }
  }

  /** @param {Item} item */
  function choose(item) {
    field.value = "";
    close();
    onChoose(item);
  }

  /** @param {number} step  1 for the next option, -1 for the one before */
  function moveActive(step) {
    const from = active < 0 && step < 0 ? 0 : active;
    if (list.hidden) search();
    else if (results.length) activate((from + step + results.length) % results.length);
  }

  field.addEventListener("input", search);
  field.addEventListener("click", search);
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      moveActive(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!list.hidden && results[active]) choose(results[active]);
    } else if (event.key === "Escape") {
      if (list.hidden) field.value = "";
      else close();
    }
  });
}
