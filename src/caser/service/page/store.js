/**
 * The one place that holds what the page knows. Everything shown follows from it.
 */

/**
 * @typedef {string | number} Id
 * @typedef {{item_id: Id, title: string | null}} Item
 * @typedef {{item_id: Id, title: string | null, effect: number}} Effect
 * @typedef {{rank: number, item_id: Id, title: string | null, score: number, boosted?: number,
 *   why?: {parts: Record<string, number>, history: Effect[]}}} Recommended
 * @typedef {{source: string, model_version: string, items: Recommended[], ignored: Id[], notes: string[],
 *   removed: {item_id: Id, title: string | null, rule: string}[]}} Answer
 * @typedef {{column: string, value: string}} Condition
 * @typedef {Condition & {amount: number, most: number}} Boost  `most` is the end of its slider
 *
 * @typedef {object} State
 * @property {string | null} user      whom to ask for; null for somebody new
 * @property {boolean} isRemembering   whether a click is posted as an event
 * @property {Item[]} history          oldest first
 * @property {boolean} isStored        whether the history is the one the service has of the user
 * @property {boolean} showsAll        whether the whole history is shown
 * @property {number} k
 * @property {boolean} excludeSeen
 * @property {{column: string, most: number}} atMost   `most` 0 is no limit
 * @property {Condition[]} without
 * @property {Boost[]} boosts
 * @property {Answer | null} answer    the newest one
 * @property {boolean} isAsking
 * @property {string | null} looked    the id of the recommendation that is being looked at
 * @property {any} model               what is served
 */

/** @type {State} */
const START = {
  user: null,
  isRemembering: false,
  history: [],
  isStored: true,
  showsAll: false,
  k: 10,
  excludeSeen: true,
  atMost: { column: "", most: 0 },
  without: [],
  boosts: [],
  answer: null,
  isAsking: false,
  looked: null,
  model: null,
};

/**
 * A store: `state` is replaced as a whole by `change`, and whoever follows is told what changed.
 *
 * @returns {Store}
 */
export function makeStore() {
  /** @type {((state: State, changed: Set<string>) => void)[]} */
  const followers = [];
  const store = {
    state: { ...START },
    /** @param {Partial<State>} patch */
    change(patch) {
      store.state = { ...store.state, ...patch };
      const changed = new Set(Object.keys(patch));
      for (const follower of followers) follower(store.state, changed);
    },
    /**
     * @param {string[]} names
     * @param {(state: State) => void} draw
     */
    follow(names, draw) {
      followers.push((state, changed) => {
        if (names.some((name) => changed.has(name))) draw(state);
      });
      draw(store.state);
    },
  };
  return store;
}

/**
 * @typedef {{state: State, change: (patch: Partial<State>) => void,
 *   follow: (names: string[], draw: (state: State) => void) => void}} Store
 */
