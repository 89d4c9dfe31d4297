/**
 * What a person can do on the page: choose a user, and edit the history.
 */

import { callService } from "./api.js";
import { announce, isolatedName } from "./dom.js";

/**
 * @typedef {import("./store.js").Item} Item
 * @typedef {import("./store.js").Store} Store
 * @typedef {ReturnType<typeof makeActions>} Actions
 */

/**
 * @param {Store} store
 * @param {(error: unknown) => void} onError
 */
export function makeActions(store, onError) {
  /** @param {Item[]} history */
  const setHistory = (history) => store.update({ history, isStored: false });
  let numLookups = 0;

  /**
   * Choose a user, and load the history that the service has of them. A newer call replaces one that is under way.
   *
   * @param {string} user
   */
  async function lookUp(user) {
    const lookup = ++numLookups;
    try {
      const stored = await callService(`v1/history?${new URLSearchParams({ user_id: user })}`);
      if (lookup !== numLookups) return;
      store.update({ user, history: stored.interactions, isStored: true, showsAll: false });
      if (!stored.interactions.length) announce(`The service has no history of user ${user} yet.`);
    } catch (error) {
      onError(error);
    }
  }

  return {
    lookUp,

    /** Choose no user. The history stays, so that one can compare the answers with and without the user. */
    clearUser() {
      numLookups += 1;
      store.update({ user: null, isRemembering: false, isStored: false });
    },

    /**
     * Add an item as the newest. If clicks are remembered, it is added after the service has stored the event.
     *
     * @param {Item} item
     */
    async add(item) {
      const { user, isRemembering } = store.state;
      const added = { item_id: item.item_id, title: item.title ?? null };
      try {
        if (user !== null && isRemembering) {
          await callService("v1/events", { method: "POST", body: { user_id: user, item_id: item.item_id } });
          if (store.state.user !== user) return;
          store.update({ history: [...store.state.history, added] });
        } else {
          setHistory([...store.state.history, added]);
        }
        announce(`Added ${isolatedName(added)}.`);
      } catch (error) {
        onError(error);
      }
    },

    /** @param {number} place  in the history, from 0 for the oldest */
    remove(place) {
      const { history } = store.state;
      announce(`Removed ${isolatedName(history[place])}.`);
      setHistory(history.filter((_, other) => other !== place));
    },

    /**
     * @param {number} place  in the history, from 0 for the oldest
     * @param {number} newPlace
     */
    move(place, newPlace) {
      const history = [...store.state.history];
      if (newPlace < 0 || newPlace >= history.length) return;
      const [item] = history.splice(place, 1);
      history.splice(newPlace, 0, item);
      setHistory(history);
      announce(`${isolatedName(item)} is now ${history.length - newPlace} of ${history.length}, newest first.`);
    },

    clearHistory() {
      setHistory([]);
      announce("Removed all.");
    },

    /**
     * Post clicks as events from now on, or stop. It starts with the history that the service has.
     *
     * @param {boolean} isRemembering
     */
    setRemembering(isRemembering) {
      store.update({ isRemembering });
      if (isRemembering && store.state.user !== null && !store.state.isStored) lookUp(store.state.user);
    },
  };
}
