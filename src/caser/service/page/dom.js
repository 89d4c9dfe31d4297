/**
 * Helpers that make elements. Text stays text: a title can never become markup.
 */

/** @typedef {Node | string | null | false} Child */

/**
 * Make an element. `on*` attributes become event listeners; an attribute that is false or null is left out.
 *
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {any}
 */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/**
 * Make a button that does not submit a form.
 *
 * @param {Record<string, any>} attributes
 * @param {...Child} children
 * @returns {any}
 */
export function button(attributes, ...children) {
  return element("button", { type: "button", ...attributes }, ...children);
}

/**
 * Make an SVG element.
 *
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {any}
 */
export function svgElement(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/**
 * Make an element that shows the name of an item. A right-to-left name does not change the text around it.
 *
 * @param {{item_id: string | number, title?: string | null}} item
 * @param {string} [className]
 * @returns {HTMLElement}
 */
export function titleElement(item, className = "title") {
  return element("bdi", { dir: "auto", class: className }, displayName(item));
}

/**
 * The title of an item, or its id if it has no title.
 *
 * @param {{item_id: string | number, title?: string | null}} item
 */
export function displayName(item) {
  return item.title || String(item.item_id);
}

/**
 * The name of an item for use in plain text, such as a label. Unicode marks keep its direction apart from the text.
 *
 * @param {{item_id: string | number, title?: string | null}} item
 */
export function isolatedName(item) {
  return `\u2068${displayName(item)}\u2069`;
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
 * Announce a sentence to users of a screen reader.
 *
 * @param {string} sentence
 */
export function announce(sentence) {
  byId("said").textContent = sentence;
}

/**
 * Show or hide an element. The attribute `hidden` hides it from screen readers too.
 *
 * @param {string} id
 * @param {boolean} isVisible
 */
export function setVisible(id, isVisible) {
  byId(id).hidden = !isVisible;
}

/**
 * @param {any} node
 * @param {Record<string, any>} attributes
 * @param {Child[]} children
 */
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== false));
  return node;
}
