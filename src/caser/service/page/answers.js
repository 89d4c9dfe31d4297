/**
 * The recommendations: rows that keep their identity from answer to answer, so that each moves to its new rank.
 */

import { drawBars, legend, scaleOf } from "./bars.js";
import { button, byId, element, isolated, say, show, titled } from "./dom.js";
import { toggleSimilar } from "./similar.js";
import { count, ruleInWords, signed, sourceInWords } from "./words.js";

const MOVE_MS = 420;
/** How many removed titles the service names at most, and the page. */
const TRACED = 100;
const NAMED = 19;

/**
 * @typedef {import("./store.js").Recommended} Recommended
 * @typedef {import("./store.js").Answer} Answer
 */

/**
 * @param {import("./store.js").Store} store
 * @param {import("./actions.js").Actions} actions
 * @param {(error: unknown) => void} failed
 */
export function showAnswers(store, actions, failed) {
  const list = byId("answers");
  /** @type {Map<string, HTMLElement>} */
  let rows = new Map();
  /** @type {Map<string, number>} */
  let ranks = new Map();

  /** @param {Recommended} item */
  function makeRow(item) {
    const take = () => actions.take(item);
    const toggle = () => toggleSimilar(row, item, actions, failed);
    const label = `Take ${isolated(item)}`;
    const like = `Similar to ${isolated(item)}`;
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
        element("h3", {}, button({ class: "take", "aria-label": label, onclick: take }, titled(item))),
        element("p", { class: "because" }),
      ),
      element("div", { class: "parts" }),
      button({ class: "plain like", "aria-expanded": "false", "aria-label": like, onclick: toggle }, "Similar"),
    );
    return row;
  }

  store.follow(["answer"], ({ answer, user }) => {
    if (!answer) return;
    const before = new Map([...rows].map(([id, row]) => [id, row.getBoundingClientRect().top]));
    const place = [...list.children].findIndex((row) => row.contains(document.activeElement));
    const scale = scaleOf(answer.items);
    rows = new Map(answer.items.map((item) => [String(item.item_id), rows.get(String(item.item_id)) ?? makeRow(item)]));
    for (const item of answer.items) fillRow(/** @type {any} */ (rows.get(String(item.item_id))), item, scale, ranks);
    arrange(list, [...rows.values()]);
    if (place >= 0 && !list.contains(document.activeElement)) {
      (list.children[Math.min(place, rows.size - 1)]?.querySelector(".take") ?? list).focus();
    }
    ranks = new Map(answer.items.map((item) => [String(item.item_id), item.rank]));
    animate(rows, before);
    byId("legend").replaceChildren(...legend(scale));
    byId("source").textContent = sourceInWords(answer.source, user);
    byId("notes").replaceChildren(...notes(answer));
    show("none", answer.items.length === 0);
    say(spoken(answer));
  });

  store.follow(["isAsking"], (state) => list.setAttribute("aria-busy", String(state.isAsking)));

  /** Whichever row is pointed at, else the one that has the focus; a moment later, when it is known which. */
  const look = () =>
    requestAnimationFrame(() => {
      const row = list.querySelector(".answer:hover") ?? list.querySelector(".answer:focus-within");
      const looked = row ? row.dataset.id : null;
      if (looked !== store.state.looked) store.change({ looked });
    });
  for (const event of ["pointerover", "pointerleave", "focusin", "focusout"]) list.addEventListener(event, look);

  list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const focused = /** @type {Element} */ (event.target);
    const kind = [".take", ".like"].find((selector) => focused.matches(selector));
    const row = focused.closest(".answer");
    if (!step || !kind || !row || event.altKey) return;
    event.preventDefault();
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    /** @type {HTMLElement | null | undefined} */ (next?.querySelector(kind))?.focus();
  });
}

/**
 * Put rows in order by moving as few as needed: a row that is moved would lose the focus.
 *
 * @param {HTMLElement} list
 * @param {HTMLElement[]} wanted
 */
function arrange(list, wanted) {
  for (const row of [...list.children]) if (!wanted.includes(/** @type {HTMLElement} */ (row))) row.remove();
  const focused = wanted.findIndex((row) => row.contains(document.activeElement));
  const anchor = wanted[focused] ?? null;
  wanted.slice(0, Math.max(0, focused)).forEach((row) => list.insertBefore(row, anchor));
  wanted.slice(focused + 1).forEach((row) => list.append(row));
}

/**
 * @param {HTMLElement} row
 * @param {Recommended} item
 * @param {import("./bars.js").Scale} scale
 * @param {Map<string, number>} ranks  the ranks of the answer before
 */
function fillRow(row, item, scale, ranks) {
  const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (row.querySelector(name));
  part(".number").textContent = String(item.rank);
  const change = part(".change");
  const before = ranks.get(String(item.item_id));
  const by = before === undefined ? 0 : before - item.rank;
  const isNew = ranks.size > 0 && before === undefined;
  change.className = `change ${isNew || by > 0 ? "up" : "down"}`;
  change.replaceChildren(
    element("span", { "aria-hidden": "true" }, isNew ? "new" : by ? `${by > 0 ? "▲" : "▼"} ${Math.abs(by)}` : ""),
    element("span", { class: "hidden" }, isNew ? "new" : by ? `${by > 0 ? "up" : "down"} ${Math.abs(by)}` : ""),
  );
  part(".because").replaceChildren(...because(item));
  drawBars(part(".parts"), item, scale);
}

/**
 * Which clicks an item rests on: the strongest, and the next if it does nearly as much; or what it holds against it.
 *
 * @param {Recommended} item
 * @returns {(Node | string)[]}
 */
function because(item) {
  const effects = [...(item.why?.history ?? [])].sort((a, b) => b.effect - a.effect);
  if (!effects.length) return [];
  const [first, second] = effects;
  const last = effects[effects.length - 1];
  /** @param {import("./store.js").Effect} one */
  const named = (one) => [titled(one), element("span", { class: "number" }, ` ${signed(one.effect)}`)];
  if (first.effect <= 0) return ["In spite of ", ...named(last)];
  const words = ["Rests most on ", ...named(first)];
  if (second?.effect > first.effect / 2) words.push(", then ", ...named(second));
  if (-last.effect > first.effect / 2) words.push("; in spite of ", ...named(last));
  return words;
}

/**
 * Let each row glide from where it was; new ones appear. Not for people who ask for less motion.
 *
 * @param {Map<string, HTMLElement>} rows
 * @param {Map<string, number>} before
 */
function animate(rows, before) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches || !before.size) return;
  for (const [id, row] of rows) {
    const from = before.get(id);
    const by = from === undefined ? 0 : from - row.getBoundingClientRect().top;
    const appearing = [{ opacity: 0 }, { opacity: 1 }];
    const gliding = [{ transform: `translateY(${by}px)` }, { transform: "none" }];
    const frames = from === undefined ? appearing : gliding;
    if (from === undefined || by) row.animate(frames, { duration: MOVE_MS, easing: "cubic-bezier(0.2, 0.7, 0.2, 1)" });
  }
}

/**
 * What was ignored and what rules have removed.
 *
 * @param {Answer} answer
 */
function notes(answer) {
  const sentences = answer.notes.map((note) => element("p", {}, `${note[0].toUpperCase()}${note.slice(1)}.`));
  if (!answer.removed.length) return sentences;
  const removed = answer.removed.slice(0, NAMED).map((one) => {
    return element("li", {}, titled(one), element("span", { class: "rule" }, ruleInWords(one.rule)));
  });
  const { length } = answer.removed;
  const summary = `Rules have passed over ${length < TRACED ? "" : "at least "}${count(length, "better-ranked title")}`;
  if (length > NAMED) removed.push(element("li", {}, `and ${length - NAMED} more`));
  const list = element("ul", { class: "removed" }, ...removed);
  return [...sentences, element("details", {}, element("summary", {}, summary), list)];
}

/**
 * The answer for people who cannot see it move.
 *
 * @param {Answer} answer
 */
function spoken(answer) {
  const first = answer.items.slice(0, 3).map(isolated).join(", ");
  return first ? `${count(answer.items.length, "recommendation")}: first ${first}.` : "No recommendations.";
}
