/**
 * What a person can do: take an item, take it back, change the order, say who it is about.
 */

import { ask } from "./api.js";
import { isolated, say } from "./dom.js";

/**
 * @typedef {import("./store.js").Item} Item
 * @typedef {import("./store.js").Store} Store
 * @typedef {ReturnType<typeof makeActions>} Actions
 */

/**
 * @param {Store} store
 * @param {(error: unknown) => void} failed
 */
export function makeActions(store, failed) {
  /** @param {Item[]} history */
  const edit = (history) => store.change({ history, isStored: false });
  let lookups = 0;

  /**
   * Ask who a user is, and show what the service knows of them. Of several calls only the newest counts.
   *
   * @param {string} user
   */
  async function lookUp(user) {
    const number = ++lookups;
    try {
      const found = await ask(`/v1/users/${encodeURIComponent(user)}/history`);
      if (number !== lookups) return;
      store.change({ user, history: found.interactions, isStored: true, showsAll: false });
      if (!found.interactions.length) say(`The service knows nothing of user ${user} yet.`);
    } catch (error) {
      failed(error);
    }
  }

  return {
    lookUp,

    /** Ask for nobody in particular; what was taken stays, so that one can see what knowing the user changes. */
    anyone() {
      lookups += 1;
      store.change({ user: null, isRemembering: false, isStored: false });
    },

    /**
     * Add an item as the newest. When clicks are remembered, it counts once the service has it.
     *
     * @param {Item} item
     */
    async take(item) {
      const { user, isRemembering } = store.state;
      const taken = { item_id: item.item_id, title: item.title ?? null };
      try {
        if (user !== null && isRemembering) {
          await ask("/v1/events", { method: "POST", body: { user_id: user, item_id: item.item_id } });
          if (store.state.user !== user) return;
          store.change({ history: [...store.state.history, taken] });
        } else {
          edit([...store.state.history, taken]);
        }
        say(`Added ${isolated(taken)}.`);
      } catch (error) {
        failed(error);
      }
    },

    /** @param {number} place */
    remove(place) {
      const { history } = store.state;
      say(`Removed ${isolated(history[place])}.`);
      edit(history.filter((_, other) => other !== place));
    },

    /**
     * @param {number} place
     * @param {number} to
     */
    move(place, to) {
      const history = [...store.state.history];
      if (to < 0 || to >= history.length) return;
      const [item] = history.splice(place, 1);
      history.splice(to, 0, item);
      edit(history);
      say(`${isolated(item)} is now ${history.length - to} of ${history.length}, newest first.`);
    },

    clear() {
      edit([]);
      say("Removed all.");
    },

    /**
     * Post clicks from now on, starting from what the service knows.
     *
     * @param {boolean} isRemembering
     */
    remember(isRemembering) {
      store.change({ isRemembering });
      if (isRemembering && store.state.user !== null && !store.state.isStored) lookUp(store.state.user);
    },
  };
}
