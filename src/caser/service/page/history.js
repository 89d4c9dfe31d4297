/**
 * The history, newest item first. It is a layout grid as in the ARIA Authoring Practices, so that a long history is a
 * single stop of the Tab key. Each row shows an item and its effect on the recommendation that is pointed at.
 */

import { scaleOf } from "./bars.js";
import { button, byId, element, isolatedName, setVisible, titleElement } from "./dom.js";
import { formatSigned } from "./format.js";
import { restOf, sumOf } from "./sums.js";

/** Rows that are shown before "Show earlier" is pressed. */
const NUM_SHOWN = 8;

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
  const position = { row: 0, column: 0 };
  /** @param {number} row */
  const placeOf = (row) => store.state.history.length - 1 - row;

  /** Make one cell the stop of the Tab key, and focus it if the focus is in the grid. */
  function updateFocus(isFocused = grid.contains(document.activeElement)) {
    const rows = cellsOf(grid);
    if (!rows.length) return isFocused && byId("search").focus();
    position.row = Math.max(0, Math.min(position.row, rows.length - 1));
    position.column = Math.max(0, Math.min(position.column, rows[position.row].length - 1));
    rows.flat().forEach((cell) => cell.setAttribute("tabindex", "-1"));
    const cell = rows[position.row][position.column];
    cell.setAttribute("tabindex", "0");
    if (isFocused) cell.focus();
  }

  /**
   * Move an item to another row. The focus follows it.
   *
   * @param {number} row
   * @param {number} newRow
   */
  function moveItem(row, newRow) {
    if (placeOf(newRow) < 0 || newRow < 0) return;
    position.row = newRow;
    if (newRow >= NUM_SHOWN) store.update({ showsAll: true });
    actions.move(placeOf(row), placeOf(newRow));
  }

  const removeItem = (/** @type {number} */ row) => actions.remove(placeOf(row));

  store.subscribe(["history", "showsAll"], (state) => {
    const isFocused = grid.contains(document.activeElement);
    drawRows(grid, state, moveItem, removeItem);
    updateFocus(isFocused);
  });
  store.subscribe(["history", "showsAll", "answer", "pointedAt"], (state) => showEffects(grid, state));

  grid.addEventListener("focusin", (/** @type {FocusEvent} */ event) => {
    cellsOf(grid).forEach((cells, row) => {
      const column = cells.indexOf(/** @type {Element} */ (event.target));
      if (column >= 0) Object.assign(position, { row, column });
    });
    updateFocus(false);
  });

  grid.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = stepOf(event);
    if (event.altKey && step?.[0]) moveItem(position.row, position.row + step[0]);
    else if (event.key === "Delete") removeItem(position.row);
    else if (step && !event.altKey && !event.metaKey) {
      position.row += step[0];
      position.column += step[1];
      updateFocus(true);
    } else return;
    event.preventDefault();
  });

  byId("earlier").addEventListener("click", () => {
    position.row = NUM_SHOWN;
    position.column = 0;
    store.update({ showsAll: true });
    updateFocus(true);
  });
  byId("clear").addEventListener("click", () => {
    actions.clearHistory();
    byId("search").focus();
  });
}

/**
 * The cells of each row that can have the focus.
 *
 * @param {HTMLElement} grid
 */
function cellsOf(grid) {
  return [...grid.children].map((row) => [...row.querySelectorAll("[tabindex]")]);
}

/**
 * By how many rows and columns a key moves the focus; undefined for another key.
 *
 * @param {KeyboardEvent} event
 * @returns {[number, number] | undefined}
 */
function stepOf(event) {
  const steps = /** @type {Record<string, [number, number]>} */ ({
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    Home: [event.ctrlKey ? -Infinity : 0, -Infinity],
    End: [event.ctrlKey ? Infinity : 0, Infinity],
  });
  return steps[event.key];
}

/**
 * Draw the rows, and the texts and buttons around them.
 *
 * @param {HTMLElement} grid
 * @param {State} state
 * @param {(row: number, newRow: number) => void} moveItem
 * @param {(row: number) => void} removeItem
 */
function drawRows(grid, state, moveItem, removeItem) {
  const newestFirst = [...state.history].reverse();
  const numRows = newestFirst.length;
  const numHidden = state.showsAll ? 0 : Math.max(0, numRows - NUM_SHOWN);
  const shown = newestFirst.slice(0, numRows - numHidden);
  grid.replaceChildren(...shown.map((item, row) => makeRow(item, row, numRows, moveItem, removeItem)));
  grid.setAttribute("aria-rowcount", String(numRows));
  byId("history-count").textContent = numRows ? numRows.toLocaleString("en") : "";
  byId("earlier").textContent = `Show ${numHidden.toLocaleString("en")} earlier`;
  setVisible("earlier", numHidden > 0);
  setVisible("clear", numRows > 1);
  setVisible("history-help", numRows > 0);
  setVisible("history", numRows > 0);
  setVisible("start", numRows === 0);
}

/**
 * @param {import("./store.js").Item} item
 * @param {number} row
 * @param {number} numRows
 * @param {(row: number, newRow: number) => void} moveItem
 * @param {(row: number) => void} removeItem
 */
function makeRow(item, row, numRows, moveItem, removeItem) {
  /** @type {(sign: string, label: string, isPossible: boolean, work: () => void) => HTMLElement} */
  const buttonCell = (sign, label, isPossible, work) => {
    const state = { "aria-label": `${label} ${isolatedName(item)}`, "aria-disabled": !isPossible && "true" };
    const text = element("span", { "aria-hidden": "true" }, sign);
    return element("span", { role: "gridcell" }, button({ tabindex: "-1", ...state, onclick: work }, text));
  };
  return element(
    "div",
    { role: "row", class: "taken", "aria-rowindex": row + 1 },
    element("span", { role: "gridcell", tabindex: "-1", class: "what" }, titleElement(item)),
    element("span", { role: "gridcell", class: "effect" }),
    buttonCell("↑", "Move up", row > 0, () => moveItem(row, row - 1)),
    buttonCell("↓", "Move down", row < numRows - 1, () => moveItem(row, row + 1)),
    buttonCell("×", "Remove", true, () => removeItem(row)),
  );
}

/**
 * Mark the rows that the model reads, and show the effect of each on the recommendation that is pointed at.
 *
 * @param {HTMLElement} grid
 * @param {State} state
 */
function showEffects(grid, state) {
  const items = state.answer?.items ?? [];
  const pointedAt = items.find((item) => String(item.item_id) === state.pointedAt);
  const { digits } = scaleOf(items);
  const sum = sumOf(pointedAt ?? items[0], digits);
  const effects = sum?.effects ?? [];
  const largest = Math.max(...effects.map((one) => Math.abs(one.effect)), 1e-12);
  const effectAt = effectsByPlace(state.history, effects);
  [...grid.children].forEach((row, number) => {
    const node = /** @type {HTMLElement} */ (row);
    const effect = effectAt.get(state.history.length - 1 - number);
    const isShown = Boolean(pointedAt && effect !== undefined);
    node.classList.toggle("unread", effects.length > 0 && effect === undefined);
    node.classList.toggle("helps", isShown && Number(effect) > 0);
    node.classList.toggle("hurts", isShown && Number(effect) < 0);
    node.style.setProperty("--strength", isShown ? String(Math.abs(Number(effect)) / largest) : "0");
    const cell = /** @type {HTMLElement} */ (node.querySelector(".effect"));
    cell.textContent = isShown ? formatSigned(Number(effect), true, digits) : "";
  });
  showSum(sum, pointedAt, digits, grid.childElementCount, effectAt, state.history.length);
  // Say how many rows the model reads, if it does not read all of them.
  const numUnread = effects.length ? state.history.length - effectAt.size : 0;
  grid.classList.toggle("partly", numUnread > 0);
  const note = byId("unread");
  note.hidden = numUnread === 0;
  note.textContent = `Filled dots: the newest ${effectAt.size}, which the model reads as recent.`;
}

/**
 * Say what the numbers in the rows are of, and show below the rows how they add up.
 *
 * @param {import("./sums.js").Sum | null} sum
 * @param {import("./store.js").Recommended | undefined} pointedAt
 * @param {number} digits
 * @param {number} numRows  how many rows are shown
 * @param {Map<number, number>} effectAt
 * @param {number} length  of the history
 */
function showSum(sum, pointedAt, digits, numRows, effectAt, length) {
  setVisible("sum-title", sum !== null);
  setVisible("sum", sum !== null);
  if (!sum) return;
  const title = byId("sum-title");
  if (pointedAt) title.replaceChildren(`Effect of each click on ${sum.part} of `, titleElement(pointedAt));
  else title.textContent = "Point at a recommendation to see the effect of each click.";
  // Effects of clicks that no visible row shows are in the rest too.
  const visible = [...effectAt].filter(([place]) => place >= length - numRows).map(([, effect]) => ({ effect }));
  const rest = restOf(sum.total, /** @type {Effect[]} */ (visible), digits);
  const number = (/** @type {number} */ value) => (pointedAt ? formatSigned(value, true, digits) : "");
  byId("sum").replaceChildren(
    element("div", {}, element("dt", {}, "Beyond single clicks"), element("dd", {}, number(rest))),
    element("div", {}, element("dt", {}, `= ${sum.part}`), element("dd", {}, number(sum.total))),
  );
}

/**
 * The effects by place in the history. Both lists are oldest first; effects exist for the last items that the model
 * knows.
 *
 * @param {import("./store.js").Item[]} history
 * @param {Effect[]} effects
 */
function effectsByPlace(history, effects) {
  const effectAt = new Map();
  let next = effects.length - 1;
  for (let place = history.length - 1; place >= 0 && next >= 0; place -= 1) {
    if (String(history[place].item_id) === String(effects[next].item_id)) effectAt.set(place, effects[next--].effect);
  }
  return effectAt;
}
