/**
 * What was taken, newest first: a layout grid as in the ARIA Authoring Practices, so that a long history is one stop of
 * the Tab key. Rows are items; beside each, what the recommendation that is being looked at owes to it.
 */

import { button, byId, element, isolated, show, titled } from "./dom.js";
import { signed } from "./words.js";

const SHOWN = 8;

/**
 * @typedef {import("./store.js").State} State
 * @typedef {import("./store.js").Effect} Effect
 */

/**
 * @param {import("./store.js").Store} store
 * @param {import("./actions.js").Actions} actions
 */
export function showHistory(store, actions) {
  const grid = byId("history");
  const focus = { row: 0, column: 0 };
  /** @param {number} row */
  const placeOf = (row) => store.state.history.length - 1 - row;
  const cells = () => [...grid.children].map((row) => [...row.querySelectorAll("[tabindex]")]);

  /** Make one cell the stop of the Tab key, and move there if the focus is in the grid. */
  function settle(isFocused = grid.contains(document.activeElement)) {
    const rows = cells();
    if (!rows.length) return isFocused && byId("search").focus();
    focus.row = Math.max(0, Math.min(focus.row, rows.length - 1));
    focus.column = Math.max(0, Math.min(focus.column, rows[focus.row].length - 1));
    rows.flat().forEach((cell) => cell.setAttribute("tabindex", "-1"));
    const cell = rows[focus.row][focus.column];
    cell.setAttribute("tabindex", "0");
    if (isFocused) cell.focus();
  }

  /**
   * @param {import("./store.js").Item} item
   * @param {number} row
   */
  function drawRow(item, row) {
    /** @type {(sign: string, label: string, isPossible: boolean, work: () => void) => HTMLElement} */
    const cell = (sign, label, isPossible, work) => {
      const state = { "aria-label": `${label} ${isolated(item)}`, "aria-disabled": !isPossible && "true" };
      const shown = element("span", { "aria-hidden": "true" }, sign);
      return element("span", { role: "gridcell" }, button({ tabindex: "-1", ...state, onclick: work }, shown));
    };
    const place = placeOf(row);
    return element(
      "div",
      { role: "row", class: "taken", "aria-rowindex": row + 1 },
      element("span", { role: "gridcell", tabindex: "-1", class: "what" }, titled(item)),
      element("span", { role: "gridcell", class: "effect" }),
      cell("↑", "Move up", row > 0, () => moved(row, row - 1)),
      cell("↓", "Move down", place > 0, () => moved(row, row + 1)),
      cell("×", "Remove", true, () => actions.remove(place)),
    );
  }

  /**
   * @param {number} row
   * @param {number} to
   */
  function moved(row, to) {
    if (placeOf(to) < 0 || to < 0) return;
    focus.row = to;
    if (to >= SHOWN) store.change({ showsAll: true });
    actions.move(placeOf(row), placeOf(to));
  }

  store.follow(["history", "showsAll"], (state) => {
    const isFocused = grid.contains(document.activeElement);
    const newestFirst = [...state.history].reverse();
    const hiddenRows = state.showsAll ? 0 : Math.max(0, newestFirst.length - SHOWN);
    grid.replaceChildren(...newestFirst.slice(0, newestFirst.length - hiddenRows).map(drawRow));
    grid.setAttribute("aria-rowcount", String(newestFirst.length));
    byId("history-count").textContent = newestFirst.length ? newestFirst.length.toLocaleString("en") : "";
    byId("earlier").textContent = `Show ${hiddenRows.toLocaleString("en")} earlier`;
    show("earlier", hiddenRows > 0);
    show("clear", newestFirst.length > 1);
    show("history-help", newestFirst.length > 0);
    show("history", newestFirst.length > 0);
    show("start", newestFirst.length === 0);
    settle(isFocused);
  });

  store.follow(["history", "showsAll", "answer", "looked"], (state) => showEffects(grid, state));

  grid.addEventListener("focusin", (/** @type {FocusEvent} */ event) => {
    cells().forEach((row, number) => {
      const column = row.indexOf(/** @type {Element} */ (event.target));
      if (column >= 0) Object.assign(focus, { row: number, column });
    });
    settle(false);
  });

  grid.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const steps = /** @type {Record<string, [number, number]>} */ ({
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
      Home: [event.ctrlKey ? -Infinity : 0, -Infinity],
      End: [event.ctrlKey ? Infinity : 0, Infinity],
    });
    const step = steps[event.key];
    if (event.altKey && step?.[0]) moved(focus.row, focus.row + step[0]);
    else if (event.key === "Delete") actions.remove(placeOf(focus.row));
    else if (step && !event.altKey && !event.metaKey) {
      focus.row += step[0];
      focus.column += step[1];
      settle(true);
    } else return;
    event.preventDefault();
  });

  byId("earlier").addEventListener("click", () => {
    focus.row = SHOWN;
    focus.column = 0;
    store.change({ showsAll: true });
    settle(true);
  });
  byId("clear").addEventListener("click", () => {
    actions.clear();
    byId("search").focus();
  });
}

/**
 * Mark the rows that the model read, and what each does for the recommendation that is being looked at.
 *
 * @param {HTMLElement} grid
 * @param {State} state
 */
function showEffects(grid, state) {
  const items = state.answer?.items ?? [];
  const looked = items.find((item) => String(item.item_id) === state.looked);
  const effects = (looked ?? items[0])?.why?.history ?? [];
  const largest = Math.max(...effects.map((one) => Math.abs(one.effect)), 1e-12);
  const matched = matchedEffects(state.history, effects);
  [...grid.children].forEach((row, number) => {
    const node = /** @type {HTMLElement} */ (row);
    const effect = matched.get(state.history.length - 1 - number);
    const isShown = Boolean(looked && effect !== undefined);
    node.classList.toggle("unread", effects.length > 0 && effect === undefined);
    node.classList.toggle("helps", isShown && Number(effect) > 0);
    node.classList.toggle("hurts", isShown && Number(effect) < 0);
    node.style.setProperty("--strength", isShown ? String(Math.abs(Number(effect)) / largest) : "0");
    const cell = /** @type {HTMLElement} */ (node.querySelector(".effect"));
    cell.textContent = isShown ? signed(Number(effect)) : "";
  });
  const unread = effects.length ? state.history.length - matched.size : 0;
  grid.classList.toggle("partly", unread > 0);
  const note = byId("unread");
  note.hidden = unread === 0;
  note.textContent = `Filled dots: the newest ${matched.size}, which the model reads as recent.`;
}

/**
 * Effects by place in the history. Both are oldest first; the effects are those of the last items that are known.
 *
 * @param {import("./store.js").Item[]} history
 * @param {Effect[]} effects
 */
function matchedEffects(history, effects) {
  const matched = new Map();
  let next = effects.length - 1;
  for (let place = history.length - 1; place >= 0 && next >= 0; place -= 1) {
    if (String(history[place].item_id) === String(effects[next].item_id)) matched.set(place, effects[next--].effect);
  }
  return matched;
}
