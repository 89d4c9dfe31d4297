/**
 * The choice of the user: a new user, or one whose history the service has.
 */

import { byId, setVisible } from "./dom.js";

/**
 * @param {import("./store.js").Store} store
 * @param {import("./actions.js").Actions} actions
 */
export function showUser(store, actions) {
  const field = byId("user-id");
  const remember = byId("remember");

  for (const radio of document.querySelectorAll("input[name=who]")) {
    radio.addEventListener("change", () => {
      const isUser = /** @type {HTMLInputElement} */ (radio).value === "user";
      setVisible("user", isUser);
      if (!isUser) actions.clearUser();
      else if (field.value) actions.lookUp(field.value);
      else field.focus();
    });
  }
  byId("user").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    actions.lookUp(field.value);
  });
  remember.addEventListener("change", () => actions.setRemembering(remember.checked));

  store.subscribe(["user", "isRemembering"], (state) => {
    remember.checked = state.isRemembering;
    remember.disabled = state.user === null;
  });
}
