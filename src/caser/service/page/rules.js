/**
 * The panel of rules: how many items, whether seen items are left out, and rules on the columns of the items.
 */

import { button, byId, element } from "./dom.js";
import { formatSigned, withThings } from "./format.js";

const MAX_K = 30;
const MAX_SAME_VALUE = 5;
const BOOST_STEPS = 20;

/**
 * @typedef {import("./store.js").State} State
 * @typedef {import("./store.js").Store} Store
 */

/**
 * Draw the controls for the rules that this model allows.
 *
 * @param {Store} store
 */
export function showRules(store) {
  const { model, k, excludeSeen } = store.state;
  /** @type {string[]} */
  const columns = model.columns;
  const onExclude = (/** @type {any} */ event) => store.update({ excludeSeen: event.target.checked });
  const noColumns = "To use more rules, start the service with a table of items (--items).";
  const rulesInForce = element("ul", { id: "conditions", "aria-label": "Rules in force" });
  byId("rules-body").replaceChildren(
    slider("How many", { id: "k", min: 1, max: MAX_K, value: k }, String, (value) => store.update({ k: value })),
    element(
      "label",
      { class: "check" },
      element("input", { type: "checkbox", id: "exclude-seen", checked: excludeSeen, onchange: onExclude }),
      element("span", {}, "Leave out what they took"),
    ),
    ...(columns.length
      ? [atMostControls(store, columns), conditionForm(store, columns), rulesInForce]
      : [element("p", { class: "help" }, noColumns)]),
  );
  if (columns.length) store.subscribe(["without", "boosts"], (state) => drawRulesInForce(store, state));
}

/**
 * The controls that limit how many items share a value of a column.
 *
 * @param {Store} store
 * @param {string[]} columns
 */
function atMostControls(store, columns) {
  const [column] = columns;
  store.update({ atMost: { column, limit: 0 } });
  /** @param {{column?: string, limit?: number}} patch */
  const change = (patch) => store.update({ atMost: { ...store.state.atMost, ...patch } });
  const onSelect = (/** @type {any} */ event) => change({ column: event.target.value });
  const columnChoice = element(
    "label",
    { class: "each" },
    "of the same ",
    element("select", { id: "at-most-column", onchange: onSelect }, ...columns.map(option)),
  );
  const format = (/** @type {number} */ value) => (value ? String(value) : "any number");
  const range = { id: "at-most", min: 0, max: MAX_SAME_VALUE, value: 0 };
  return element("div", {}, slider("At most", range, format, (limit) => change({ limit })), columnChoice);
}

/**
 * The form with a column and a value. Items with that value are left out or boosted.
 *
 * @param {Store} store
 * @param {string[]} columns
 */
function conditionForm(store, columns) {
  const column = element("select", { id: "column", "aria-label": "Column" }, ...columns.map(option));
  const labels = { id: "value", "aria-label": "Value", placeholder: "Value" };
  const value = element("input", { type: "text", maxlength: 200, list: "values", autocomplete: "off", ...labels });
  const suggestions = element("datalist", { id: "values" });
  const suggest = () => suggestions.replaceChildren(...(store.state.model.values[column.value] ?? []).map(option));
  column.addEventListener("change", suggest);
  suggest();

  /** @param {(condition: import("./store.js").Condition) => void} add */
  const withCondition = (add) => () => {
    const typed = value.value.trim();
    if (!typed) return value.focus();
    add({ column: column.value, value: typed });
    value.value = "";
  };
  const leaveOut = withCondition((condition) => {
    const others = store.state.without.filter((other) => !isSame(condition, other));
    store.update({ without: [...others, condition] });
  });
  const boost = withCondition((condition) => {
    const maxAmount = usefulBoost(store.state);
    const others = store.state.boosts.filter((other) => !isSame(condition, other));
    store.update({ boosts: [...others, { ...condition, amount: maxAmount / 2, maxAmount }] });
  });
  const onSubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    leaveOut();
  };
  return element(
    "form",
    { class: "condition", "aria-label": withThings("A rule for some {things}"), onsubmit: onSubmit },
    element("div", { class: "row" }, column, value, suggestions),
    element(
      "div",
      { class: "row" },
      element("button", { type: "submit" }, "Leave out"),
      button({ onclick: boost }, "Boost"),
    ),
  );
}

/**
 * Draw the rules in force, each with a button that removes it. The row of a boost is kept, so that it can be dragged.
 *
 * @param {Store} store
 * @param {State} state
 */
function drawRulesInForce(store, state) {
  const list = byId("conditions");
  /** @type {(kind: "without" | "boosts", rule: import("./store.js").Condition, child: Node) => HTMLElement} */
  const makeEntry = (kind, rule, child) => {
    const label = `Remove the rule on ${rule.column} ${rule.value}`;
    const remove = () => {
      const others = /** @type {any[]} */ (store.state[kind]).filter((other) => !isSame(rule, other));
      store.update({ [kind]: others });
      byId("value").focus();
    };
    const cross = button({ class: "plain", "aria-label": label, onclick: remove }, "×");
    return element("li", { "data-key": JSON.stringify([kind, rule.column, rule.value]) }, child, cross);
  };
  const entries = [
    ...state.without.map((rule) => {
      const text = element("span", {}, `Without ${rule.column} `, element("bdi", {}, rule.value));
      return makeEntry("without", rule, text);
    }),
    ...state.boosts.map((boost) => makeEntry("boosts", boost, boostSlider(store, boost))),
  ];
  const existing = new Map([...list.children].map((child) => [/** @type {any} */ (child).dataset.key, child]));
  list.replaceChildren(...entries.map((entry) => existing.get(entry.dataset.key) ?? entry));
}

/**
 * A slider that sets the amount of a boost.
 *
 * @param {Store} store
 * @param {import("./store.js").Boost} boost
 */
function boostSlider(store, boost) {
  const onChange = (/** @type {number} */ amount) => {
    const changed = store.state.boosts.map((other) => (isSame(boost, other) ? { ...other, amount } : other));
    store.update({ boosts: changed });
  };
  const range = { min: -boost.maxAmount, max: boost.maxAmount, step: boost.maxAmount / BOOST_STEPS };
  const name = `Boost ${boost.column} ${boost.value}`;
  return slider(name, { ...range, value: boost.amount }, formatSigned, onChange);
}

/**
 * An amount that can change the order: three times the difference between the highest and the lowest score shown.
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
 * @param {(value: number) => string} format
 * @param {(value: number) => void} onChange
 */
function slider(name, attributes, format, onChange) {
  const output = element("output", {}, format(attributes.value));
  const input = element("input", {
    type: "range",
    ...attributes,
    "aria-valuetext": format(attributes.value),
    oninput: () => {
      output.textContent = format(Number(input.value));
      input.setAttribute("aria-valuetext", format(Number(input.value)));
      onChange(Number(input.value));
    },
  });
  return element("label", { class: "slider" }, element("span", {}, name), output, input);
}

/** @param {string} value */
function option(value) {
  return element("option", { value }, value);
}

/**
 * @param {import("./store.js").Condition} one
 * @param {import("./store.js").Condition} other
 */
function isSame(one, other) {
  return one.column === other.column && one.value === other.value;
}
