/**
 * Whom the answer is for: somebody new, or a user whose history the service knows.
 */

import { byId, show } from "./dom.js";

/**
 * @param {import("./store.js").Store} store
 * @param {import("./actions.js").Actions} actions
 */
export function showWho(store, actions) {
  const field = byId("user-id");
  const remember = byId("remember");

  for (const radio of document.querySelectorAll("input[name=who]")) {
    radio.addEventListener("change", () => {
      const isUser = /** @type {HTMLInputElement} */ (radio).value === "user";
      show("user", isUser);
      if (!isUser) actions.anyone();
      else if (field.value) actions.lookUp(field.value);
      else field.focus();
    });
  }
  byId("user").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    actions.lookUp(field.value);
  });
  remember.addEventListener("change", () => actions.remember(remember.checked));

  store.follow(["user", "isRemembering"], (state) => {
    remember.checked = state.isRemembering;
    remember.disabled = state.user === null;
  });
}
