/**
 * The search field: a combobox with a list of titles, as in the ARIA Authoring Practices (list autocomplete, manual
 * selection): the focus stays in the field, arrows walk the list, Enter takes, Escape closes and then empties.
 */

import { ask, newest } from "./api.js";
import { byId, element, say, titled } from "./dom.js";
import { count } from "./words.js";

const SHOWN = 8;
const WAIT_MS = 120;

/** @typedef {import("./store.js").Item} Item */

/**
 * @param {(item: Item) => void} take
 * @param {(error: unknown) => void} failed
 */
export function showSearch(take, failed) {
  const field = byId("search");
  const list = byId("found");
  /** @type {Item[]} */
  let found = [];
  let active = -1;

  const search = newest(
    async (signal) => {
      const query = new URLSearchParams({ query: field.value.trim(), k: String(SHOWN) });
      found = (await ask(`/v1/items?${query}`, { signal })).items;
      if (document.activeElement === field) open();
    },
    failed,
    WAIT_MS,
  );

  function open() {
    const nothing = element("li", { class: "nothing" }, "No such title");
    list.replaceChildren(...(found.length ? found.map(option) : [nothing]));
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
    activate(field.value.trim() && found.length ? 0 : -1);
    if (field.value.trim()) say(found.length ? `${count(found.length, "title")} found.` : "No such title.");
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
  function option(item, place) {
    return element(
      "li",
      {
        id: `found-${place}`,
        role: "option",
        "aria-selected": "false",
        onpointerdown: (/** @type {Event} */ event) => event.preventDefault(),
        onclick: () => choose(item),
        onpointermove: () => place !== active && activate(place),
      },
      titled(item),
    );
  }

  /** @param {number} place */
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
    take(item);
  }

  field.addEventListener("input", search);
  field.addEventListener("click", search);
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : active < 0 ? 0 : -1;
      if (list.hidden) search();
      else if (found.length) activate((active + step + found.length) % found.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!list.hidden && found[active]) choose(found[active]);
    } else if (event.key === "Escape") {
      if (list.hidden) field.value = "";
      else close();
    }
  });
}
