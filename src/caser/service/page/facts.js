/**
 * Facts about the model that is served: its settings, its metrics, and its version.
 */

import { byId, element } from "./dom.js";
import { formatCount, formatThings } from "./format.js";

const VERSION_DIGITS = 12;

/** @param {any} model  the response of /v1/model */
export function showFacts(model) {
  const trainedOn = `${formatCount(model.users, "user")} and ${formatThings(model.items)}`;
  byId("served").textContent = `· learned from ${trainedOn}`;
  const settings = Object.entries(model.settings).filter(([, value]) => ["number", "string"].includes(typeof value));
  const facts = [
    ["Model", model.model],
    ["Settings", settings.map(([name, value]) => `${name} ${value}`).join(", ")],
    ["Evaluated by", model.protocol],
    ...Object.entries(model.metrics ?? {}).map(([name, { value, low, high }]) => [
      name,
      `${value.toFixed(4)} (95 %: ${low.toFixed(4)} to ${high.toFixed(4)})`,
    ]),
    ["Events", model.durable ? "kept on disk" : "kept until the service stops"],
    ["Version", model.model_version.slice(0, VERSION_DIGITS)],
  ];
  byId("facts").replaceChildren(
    ...facts
      .filter(([, value]) => value)
      .map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}
