/**
 * The state of the page, in one place. Every part of the page is drawn from it.
 */

/**
 * @typedef {string | number} Id
 * @typedef {{item_id: Id, title: string | null}} Item
 * @typedef {{item_id: Id, title: string | null, effect: number}} Effect
 * @typedef {{rank: number, item_id: Id, title: string | null, score: number, boosted?: number,
 *   why?: {parts: Record<string, number>, history: Effect[], effects_of: string, rest: number}}} Recommended
 * @typedef {{source: string, model_version: string, items: Recommended[], ignored: Id[], notes: string[],
 *   removed: {item_id: Id, title: string | null, rule: string}[]}} Answer
 * @typedef {{column: string, value: string}} Condition
 * @typedef {Condition & {amount: number, maxAmount: number}} Boost  `maxAmount` is the end of its slider
 *
 * @typedef {object} State
 * @property {string | null} user      the user to recommend for; null for a new user
 * @property {boolean} isRemembering   whether each click is posted as an event
 * @property {Item[]} history          oldest first
 * @property {boolean} isStored        whether `history` equals the history that the service has of the user
 * @property {boolean} showsAll        whether the whole history is shown
 * @property {number} k                how many items to recommend
 * @property {boolean} excludeSeen     whether to leave out the items of the history
 * @property {{column: string, limit: number}} atMost   how many items may share a value; 0 for no limit
 * @property {Condition[]} without     items that match one of these are left out
 * @property {Boost[]} boosts
 * @property {Answer | null} answer    the newest one
 * @property {boolean} isLoading       whether an answer is awaited
 * @property {string | null} pointedAt the id of the recommendation under the pointer or with the focus
 * @property {any} model               the description of the model, from /v1/model
 */

/** @type {State} */
const INITIAL_STATE = {
  user: null,
  isRemembering: false,
  history: [],
  isStored: true,
  showsAll: false,
  k: 10,
  excludeSeen: true,
  atMost: { column: "", limit: 0 },
  without: [],
  boosts: [],
  answer: null,
  isLoading: false,
  pointedAt: null,
  model: null,
};

/**
 * Make a store. `update` replaces `state` and calls the subscribers of the properties that it sets.
 *
 * @returns {Store}
 */
export function makeStore() {
  /** @type {((state: State, changed: Set<string>) => void)[]} */
  const subscribers = [];
  const store = {
    state: { ...INITIAL_STATE },
    /** @param {Partial<State>} patch */
    update(patch) {
      store.state = { ...store.state, ...patch };
      const changed = new Set(Object.keys(patch));
      for (const subscriber of subscribers) subscriber(store.state, changed);
    },
    /**
     * Call `draw` now, and whenever one of these properties is set.
     *
     * @param {string[]} names
     * @param {(state: State) => void} draw
     */
    subscribe(names, draw) {
      subscribers.push((state, changed) => {
        if (names.some((name) => changed.has(name))) draw(state);
      });
      draw(store.state);
    },
  };
  return store;
}

/**
 * @typedef {{state: State, update: (patch: Partial<State>) => void,
 *   subscribe: (names: string[], draw: (state: State) => void) => void}} Store
 */
