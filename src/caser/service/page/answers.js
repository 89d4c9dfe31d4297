/**
 * The recommendations. A row keeps its element from one answer to the next, so that it can move to its new rank.
 */

import { drawBars, legendEntries, scaleOf } from "./bars.js";
import { announce, button, byId, element, isolatedName, setVisible, titleElement } from "./dom.js";
import { describeRule, describeSource, formatCount, formatSigned, formatThings } from "./format.js";
import { toggleSimilar } from "./similar.js";
import { restOf, sumOf } from "./sums.js";

const MOVE_MS = 420;
/** The service lists at most this many removed titles. */
const MAX_REMOVED_LISTED = 100;
/** The page lists at most this many of them. */
const NUM_REMOVED_SHOWN = 19;

/**
 * @typedef {import("./store.js").Recommended} Recommended
 * @typedef {import("./store.js").Answer} Answer
 */

/**
 * @param {import("./store.js").Store} store
 * @param {import("./actions.js").Actions} actions
 * @param {(error: unknown) => void} onError
 */
export function showAnswers(store, actions, onError) {
  const list = byId("answers");
  /** @type {Map<string, HTMLElement>} */
  let rows = new Map();
  /** @type {Map<string, number>} */
  let ranks = new Map();

  store.subscribe(["answer"], ({ answer, user }) => {
    if (!answer) return;
    const tops = new Map([...rows].map(([id, row]) => [id, row.getBoundingClientRect().top]));
    const focusedPlace = [...list.children].findIndex((row) => row.contains(document.activeElement));
    // Fill the rows, and put them in order.
    const scale = scaleOf(answer.items);
    rows = new Map(
      answer.items.map((item) => {
        const id = String(item.item_id);
        return [id, rows.get(id) ?? makeRow(item, actions, onError)];
      }),
    );
    for (const item of answer.items) fillRow(/** @type {any} */ (rows.get(String(item.item_id))), item, scale, ranks);
    arrange(list, [...rows.values()]);
    // If the row that had the focus is gone, focus the row in its place.
    if (focusedPlace >= 0 && !list.contains(document.activeElement)) {
      (list.children[Math.min(focusedPlace, rows.size - 1)]?.querySelector(".take") ?? list).focus();
    }
    ranks = new Map(answer.items.map((item) => [String(item.item_id), item.rank]));
    animate(rows, tops);
    // Everything around the rows.
    byId("legend").replaceChildren(...legendEntries(scale));
    byId("sums-help").textContent = explainSums(answer.items, scale.digits);
    const hasTaste = answer.items.some((item) => "lasting taste" in (item.why?.parts ?? {}));
    byId("source").textContent = describeSource(answer.source, user, hasTaste);
    byId("notes").replaceChildren(...makeNotes(answer));
    setVisible("none", answer.items.length === 0);
    announce(summary(answer));
  });

  store.subscribe(["isLoading"], (state) => list.setAttribute("aria-busy", String(state.isLoading)));

  /** Note which row the pointer is on, or else which has the focus. It is known only after the event. */
  const updatePointedAt = () =>
    requestAnimationFrame(() => {
      const row = list.querySelector(".answer:hover") ?? list.querySelector(".answer:focus-within");
      const pointedAt = row ? row.dataset.id : null;
      if (pointedAt !== store.state.pointedAt) store.update({ pointedAt });
    });
  for (const event of ["pointerover", "pointerleave", "focusin", "focusout"]) {
    list.addEventListener(event, updatePointedAt);
  }
  list.addEventListener("keydown", moveFocus);
}

/**
 * Make an empty row; `fillRow` fills it.
 *
 * @param {Recommended} item
 * @param {import("./actions.js").Actions} actions
 * @param {(error: unknown) => void} onError
 */
function makeRow(item, actions, onError) {
  const add = () => actions.add(item);
  const toggle = () => toggleSimilar(row, item, actions, onError);
  const addLabel = `Take ${isolatedName(item)}`;
  const similarLabel = `Similar to ${isolatedName(item)}`;
  const row = element(
    "li",
    { class: "answer", "data-id": item.item_id },
    element(
      "div",
      { class: "rank" },
      element("span", { class: "number" }),
      element("span", { class: "change" }),
      element("span", { class: "plus", "aria-hidden": "true" }, "+"),
    ),
    element(
      "div",
      { class: "what" },
      element("h3", {}, button({ class: "take", "aria-label": addLabel, onclick: add }, titleElement(item))),
      element("p", { class: "because" }),
    ),
    element("div", { class: "parts" }),
    button({ class: "plain like", "aria-expanded": "false", "aria-label": similarLabel, onclick: toggle }, "Similar"),
  );
  return row;
}

/**
 * Move the focus to the same button of the next or the previous row.
 *
 * @param {KeyboardEvent} event
 */
function moveFocus(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const focused = /** @type {Element} */ (event.target);
  const kind = [".take", ".like"].find((selector) => focused.matches(selector));
  const row = focused.closest(".answer");
  if (!step || !kind || !row || event.altKey) return;
  event.preventDefault();
  const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  /** @type {HTMLElement | null | undefined} */ (next?.querySelector(kind))?.focus();
}

/**
 * Put the rows in order. The row with the focus is never moved, because a moved element loses the focus.
 *
 * @param {HTMLElement} list
 * @param {HTMLElement[]} rows
 */
function arrange(list, rows) {
  for (const row of [...list.children]) if (!rows.includes(/** @type {HTMLElement} */ (row))) row.remove();
  const focused = rows.findIndex((row) => row.contains(document.activeElement));
  const anchor = rows[focused] ?? null;
  rows.slice(0, Math.max(0, focused)).forEach((row) => list.insertBefore(row, anchor));
  rows.slice(focused + 1).forEach((row) => list.append(row));
}

/**
 * @param {HTMLElement} row
 * @param {Recommended} item
 * @param {import("./bars.js").Scale} scale
 * @param {Map<string, number>} ranks  the ranks in the previous answer
 */
function fillRow(row, item, scale, ranks) {
  const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (row.querySelector(name));
  part(".number").textContent = String(item.rank);
  // How far the item has moved since the previous answer: as signs, and as words for screen readers.
  const change = part(".change");
  const before = ranks.get(String(item.item_id));
  const by = before === undefined ? 0 : before - item.rank;
  const isNew = ranks.size > 0 && before === undefined;
  change.className = `change ${isNew || by > 0 ? "up" : "down"}`;
  change.replaceChildren(
    element("span", { "aria-hidden": "true" }, isNew ? "new" : by ? `${by > 0 ? "▲" : "▼"} ${Math.abs(by)}` : ""),
    element("span", { class: "hidden" }, isNew ? "new" : by ? `${by > 0 ? "up" : "down"} ${Math.abs(by)}` : ""),
  );
  part(".because").replaceChildren(...reasons(item, scale.digits));
  drawBars(part(".parts"), item, scale);
}

/**
 * How the part of the score that depends on the clicks adds up: the click that raises it most, the second if its effect is
 * more than half as large, the click that lowers it most if it matters, and everything else.
 *
 * @param {Recommended} item
 * @param {number} digits  how many decimals are shown
 * @returns {(Node | string)[]}
 */
function reasons(item, digits) {
  const sum = sumOf(item, digits);
  if (!sum) return [];
  const sorted = [...sum.effects].sort((a, b) => b.effect - a.effect);
  const [first, second] = sorted;
  const last = sorted[sorted.length - 1];
  const named = new Set([first.effect > 0 ? first : last]);
  if (second?.effect > first.effect / 2 && second.effect > 0) named.add(second);
  if (-last.effect > first.effect / 2) named.add(last);
  const number = (/** @type {number} */ value) => {
    return element("span", { class: "number" }, ` ${formatSigned(value, true, digits)}`);
  };
  const terms = [...named].flatMap((one) => [titleElement(one), number(one.effect), ", "]);
  const rest = restOf(sum.total, [...named], digits);
  return [element("b", {}, sum.part), number(sum.total), " = ", ...terms, "everything else", number(rest)];
}

/**
 * What the numbers below the titles mean; empty if there are none.
 *
 * @param {Recommended[]} items
 * @param {number} digits
 */
function explainSums(items, digits) {
  const part = sumOf(items[0], digits)?.part;
  if (!part) return "";
  const first = `The line below each name splits its ${part}. The number after a click says how much lower ${part} would be without it.`;
  return `${first} Everything else: the other clicks, what clicks do only together, and what needs no click.`;
}

/**
 * Let each row move from its old position to the new one, and let new rows fade in. Not for people who prefer reduced
 * motion.
 *
 * @param {Map<string, HTMLElement>} rows
 * @param {Map<string, number>} tops  the old positions, by id
 */
function animate(rows, tops) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches || !tops.size) return;
  for (const [id, row] of rows) {
    const top = tops.get(id);
    const by = top === undefined ? 0 : top - row.getBoundingClientRect().top;
    const fadeIn = [{ opacity: 0 }, { opacity: 1 }];
    const move = [{ transform: `translateY(${by}px)` }, { transform: "none" }];
    const frames = top === undefined ? fadeIn : move;
    if (top === undefined || by) row.animate(frames, { duration: MOVE_MS, easing: "cubic-bezier(0.2, 0.7, 0.2, 1)" });
  }
}

/**
 * The notes of the service, and the titles that rules removed.
 *
 * @param {Answer} answer
 */
function makeNotes(answer) {
  const notes = answer.notes.map((note) => element("p", {}, `${note[0].toUpperCase()}${note.slice(1)}.`));
  if (!answer.removed.length) return notes;
  const entries = answer.removed.slice(0, NUM_REMOVED_SHOWN).map((removed) => {
    return element("li", {}, titleElement(removed), element("span", { class: "rule" }, describeRule(removed.rule)));
  });
  const { length } = answer.removed;
  const number = `${length < MAX_REMOVED_LISTED ? "" : "at least "}${formatThings(length, "better-ranked ")}`;
  if (length > NUM_REMOVED_SHOWN) entries.push(element("li", {}, `and ${length - NUM_REMOVED_SHOWN} more`));
  const list = element("ul", { class: "removed" }, ...entries);
  return [...notes, element("details", {}, element("summary", {}, `Rules removed ${number}`), list)];
}

/**
 * The answer in one sentence, for users of a screen reader.
 *
 * @param {Answer} answer
 */
function summary(answer) {
  const first = answer.items.slice(0, 3).map(isolatedName).join(", ");
  return first ? `${formatCount(answer.items.length, "recommendation")}: first ${first}.` : "No recommendations.";
}
