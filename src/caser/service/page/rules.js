/**
 * What an answer must be like beyond its scores: how many, what was seen, and the columns that the items have.
 */

import { button, byId, element } from "./dom.js";
import { signed } from "./words.js";

const MOST_SHOWN = 30;
const MOST_OF_A_GROUP = 5;
const STEPS = 20;

/**
 * @typedef {import("./store.js").State} State
 * @typedef {import("./store.js").Store} Store
 */

/**
 * Draw the rules that this model allows.
 *
 * @param {Store} store
 */
export function showRules(store) {
  const { model, k, excludeSeen } = store.state;
  /** @type {string[]} */
  const columns = model.columns;
  const exclude = (/** @type {any} */ event) => store.change({ excludeSeen: event.target.checked });
  const noColumns = "Start the service with a table of items to limit groups, leave out values, and boost.";
  const inForce = element("ul", { id: "conditions", "aria-label": "Rules in force" });
  byId("rules-body").replaceChildren(
    slider("How many", { id: "k", min: 1, max: MOST_SHOWN, value: k }, String, (value) => store.change({ k: value })),
    element(
      "label",
      { class: "check" },
      element("input", { type: "checkbox", id: "exclude-seen", checked: excludeSeen, onchange: exclude }),
      element("span", {}, "Leave out what they took"),
    ),
    ...(columns.length
      ? [atMost(store, columns), conditions(store, columns), inForce]
      : [element("p", { class: "help" }, noColumns)]),
  );
  if (columns.length) store.follow(["without", "boosts"], (state) => drawConditions(store, state));
}

/**
 * @param {Store} store
 * @param {string[]} columns
 */
function atMost(store, columns) {
  const [column] = columns;
  store.change({ atMost: { column, most: 0 } });
  /** @param {{column?: string, most?: number}} patch */
  const change = (patch) => store.change({ atMost: { ...store.state.atMost, ...patch } });
  const choose = (/** @type {any} */ event) => change({ column: event.target.value });
  const each = element(
    "label",
    { class: "each" },
    "of the same ",
    element("select", { id: "at-most-column", onchange: choose }, ...columns.map(choice)),
  );
  const words = (/** @type {number} */ value) => (value ? String(value) : "any number");
  const range = { id: "at-most", min: 0, max: MOST_OF_A_GROUP, value: 0 };
  const bar = slider("At most", range, words, (most) => change({ most }));
  return element("div", {}, bar, each);
}

/**
 * A column and a value, to be left out or boosted.
 *
 * @param {Store} store
 * @param {string[]} columns
 */
function conditions(store, columns) {
  const column = element("select", { id: "column", "aria-label": "Column" }, ...columns.map(choice));
  const named = { id: "value", "aria-label": "Value", placeholder: "Value" };
  const value = element("input", { type: "text", maxlength: 200, list: "values", autocomplete: "off", ...named });
  const values = element("datalist", { id: "values" });
  const suggest = () => values.replaceChildren(...(store.state.model.values[column.value] ?? []).map(choice));
  column.addEventListener("change", suggest);
  suggest();

  /** @param {(condition: import("./store.js").Condition) => void} add */
  const adding = (add) => () => {
    const typed = value.value.trim();
    if (!typed) return value.focus();
    add({ column: column.value, value: typed });
    value.value = "";
  };
  const leaveOut = adding((one) => {
    store.change({ without: [...store.state.without.filter((other) => !isSame(one, other)), one] });
  });
  const boost = adding((one) => {
    const most = usefulBoost(store.state);
    const others = store.state.boosts.filter((other) => !isSame(one, other));
    store.change({ boosts: [...others, { ...one, amount: most / 2, most }] });
  });
  const submitted = (/** @type {Event} */ event) => {
    event.preventDefault();
    leaveOut();
  };
  return element(
    "form",
    { class: "condition", "aria-label": "A rule for some titles", onsubmit: submitted },
    element("div", { class: "row" }, column, value, values),
    element(
      "div",
      { class: "row" },
      element("button", { type: "submit" }, "Leave out"),
      button({ onclick: boost }, "Boost"),
    ),
  );
}

/**
 * The rules in force, each with a button that removes it. A boost's row is kept while it is being dragged.
 *
 * @param {Store} store
 * @param {State} state
 */
function drawConditions(store, state) {
  const list = byId("conditions");
  /** @type {(kind: "without" | "boosts", one: import("./store.js").Condition, child: Node) => HTMLElement} */
  const entry = (kind, one, child) => {
    const label = `Remove the rule on ${one.column} ${one.value}`;
    const drop = () => {
      const others = /** @type {any[]} */ (store.state[kind]).filter((other) => !isSame(one, other));
      store.change({ [kind]: others });
      byId("value").focus();
    };
    const cross = button({ class: "plain", "aria-label": label, onclick: drop }, "×");
    return element("li", { "data-key": JSON.stringify([kind, one.column, one.value]) }, child, cross);
  };
  /** @param {import("./store.js").Boost} one */
  const amount = (one) => {
    const change = (/** @type {number} */ to) => {
      const changed = store.state.boosts.map((other) => (isSame(one, other) ? { ...other, amount: to } : other));
      store.change({ boosts: changed });
    };
    const range = { min: -one.most, max: one.most, step: one.most / STEPS, value: one.amount };
    return slider(`Boost ${one.column} ${one.value}`, range, signed, change);
  };
  const wanted = [
    ...state.without.map((one) => {
      const words = element("span", {}, `Without ${one.column} `, element("bdi", {}, one.value));
      return entry("without", one, words);
    }),
    ...state.boosts.map((one) => entry("boosts", one, amount(one))),
  ];
  const kept = new Map([...list.children].map((child) => [/** @type {any} */ (child).dataset.key, child]));
  list.replaceChildren(...wanted.map((child) => kept.get(child.dataset.key) ?? child));
}

/**
 * A boost that can change the order: three times what lies between the first and the last score that are shown.
 *
 * @param {State} state
 */
function usefulBoost(state) {
  const scores = (state.answer?.items ?? []).map((item) => item.score);
  const spread = Math.max(...scores) - Math.min(...scores);
  return Number((spread > 0 && Number.isFinite(spread) ? 3 * spread : 1).toPrecision(1));
}

/**
 * A slider with its name and its value.
 *
 * @param {string} name
 * @param {Record<string, any>} attributes
 * @param {(value: number) => string} words
 * @param {(value: number) => void} changed
 */
function slider(name, attributes, words, changed) {
  const output = element("output", {}, words(attributes.value));
  const input = element("input", {
    type: "range",
    ...attributes,
    "aria-valuetext": words(attributes.value),
    oninput: () => {
      output.textContent = words(Number(input.value));
      input.setAttribute("aria-valuetext", words(Number(input.value)));
      changed(Number(input.value));
    },
  });
  return element("label", { class: "slider" }, element("span", {}, name), output, input);
}

/** @param {string} value */
function choice(value) {
  return element("option", { value }, value);
}

/**
 * @param {import("./store.js").Condition} one
 * @param {import("./store.js").Condition} other
 */
function isSame(one, other) {
  return one.column === other.column && one.value === other.value;
}
