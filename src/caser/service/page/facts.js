/**
 * What is being served: the model, what it was judged by, and its version.
 */

import { byId, element } from "./dom.js";
import { count } from "./words.js";

const DIGITS = 12;

/** @param {any} model */
export function showFacts(model) {
  byId("served").textContent = `· learned from ${count(model.users, "user")} and ${count(model.items, "title")}`;
  const settings = Object.entries(model.settings).filter(([, value]) => ["number", "string"].includes(typeof value));
  const facts = [
    ["Model", model.model],
    ["Settings", settings.map(([name, value]) => `${name} ${value}`).join(", ")],
    ["Judged by", model.protocol],
    ...Object.entries(model.metrics ?? {}).map(([name, { value, low, high }]) => [
      name,
      `${value.toFixed(4)} (95 %: ${low.toFixed(4)} to ${high.toFixed(4)})`,
    ]),
    ["Events", model.durable ? "kept on disk" : "kept until the service stops"],
    ["Version", model.model_version.slice(0, DIGITS)],
  ];
  byId("facts").replaceChildren(
    ...facts
      .filter(([, value]) => value)
      .map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}
