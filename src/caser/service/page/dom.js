/**
 * Making elements. Text becomes text and never markup, whatever a title holds.
 */

/** @typedef {Node | string | null | false} Child */

/**
 * An element. `on*` become listeners, a value that is false or null is left out, everything else is an attribute.
 *
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {any}
 */
export function element(name, attributes = {}, ...children) {
  return furnish(document.createElement(name), attributes, children);
}

/**
 * A button that submits nothing.
 *
 * @param {Record<string, any>} attributes
 * @param {...Child} children
 * @returns {any}
 */
export function button(attributes, ...children) {
  return element("button", { type: "button", ...attributes }, ...children);
}

/**
 * An element of SVG.
 *
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {any}
 */
export function drawn(name, attributes = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/**
 * A title or an id, kept apart from the text around it: its direction does not spill over.
 *
 * @param {{item_id: string | number, title?: string | null}} item
 * @param {string} [className]
 * @returns {HTMLElement}
 */
export function titled(item, className = "title") {
  return element("bdi", { dir: "auto", class: className }, nameOf(item));
}

/**
 * What an item is called.
 *
 * @param {{item_id: string | number, title?: string | null}} item
 */
export function nameOf(item) {
  return item.title || String(item.item_id);
}

/**
 * A name inside a sentence that is text only, such as a label: set apart from the direction of what surrounds it.
 *
 * @param {{item_id: string | number, title?: string | null}} item
 */
export function isolated(item) {
  return `\u2068${nameOf(item)}\u2069`;
}

/**
 * The element with an id.
 *
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Say something to people who use a screen reader.
 *
 * @param {string} sentence
 */
export function say(sentence) {
  byId("said").textContent = sentence;
}

/**
 * Show something for a while only: hidden is an attribute, so that it is hidden from everybody.
 *
 * @param {string} id
 * @param {boolean} isShown
 */
export function show(id, isShown) {
  byId(id).hidden = !isShown;
}

/**
 * @param {any} node
 * @param {Record<string, any>} attributes
 * @param {Child[]} children
 */
function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== false));
  return node;
}
