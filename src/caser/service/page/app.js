/**
 * The page: asks the service again whenever the question changes, and shows the newest answer.
 */

import { makeActions } from "./actions.js";
import { showAnswers } from "./answers.js";
import { ServiceError, ask, hasToken, keepToken, newest } from "./api.js";
import { button, byId, element, say, show, titled } from "./dom.js";
import { showFacts } from "./facts.js";
import { showHistory } from "./history.js";
import { curl, question } from "./question.js";
import { showRules } from "./rules.js";
import { showSearch } from "./search.js";
import { makeStore } from "./store.js";
import { showWho } from "./who.js";

const ASKED = ["user", "history", "isStored", "k", "excludeSeen", "atMost", "without", "boosts"];
const WAIT_MS = 30;
const STARTERS = 3;

const store = makeStore();
const actions = makeActions(store, failed);

const recommend = newest(
  async (signal) => {
    store.change({ isAsking: true });
    const answer = await ask("/v1/recommend", { method: "POST", body: question(store.state), signal });
    if (signal.aborted) return;
    problem("");
    store.change({ answer, isAsking: false });
    if (answer.model_version !== store.state.model.model_version) await showModel();
  },
  (error) => {
    store.change({ isAsking: false });
    failed(error);
  },
  WAIT_MS,
);

/** Show what went wrong in one sentence; ask for a token where that is what is missing. */
function failed(/** @type {unknown} */ error) {
  if (!(error instanceof ServiceError)) throw error;
  problem(error.message);
  const dialog = byId("token");
  if (error.status !== 401 || dialog.open) return;
  show("token-problem", hasToken());
  dialog.showModal();
}

/** @param {string} sentence */
function problem(sentence) {
  byId("problem").textContent = sentence;
  show("problem", sentence !== "");
}

async function showModel() {
  const model = await ask("/v1/model");
  store.change({ model });
  showFacts(model);
}

async function showStarters() {
  const { items } = await ask(`/v1/items?k=${STARTERS}`);
  byId("popular").replaceChildren(
    ...items.map((/** @type {import("./store.js").Item} */ item) => {
      const take = () => {
        byId("search").focus();
        actions.take(item);
      };
      return element("li", {}, button({ class: "pill", onclick: take }, titled(item)));
    }),
  );
}

/** Begin once the service lets us in. */
async function start() {
  try {
    await showModel();
    store.change({ excludeSeen: store.state.model.exclude_seen });
    await showStarters();
  } catch (error) {
    return failed(error);
  }
  problem("");
  showRules(store);
  store.follow(ASKED, () => recommend());
}

showWho(store, actions);
showHistory(store, actions);
showSearch(actions.take, failed);
showAnswers(store, actions, failed);
store.follow(["answer", ...ASKED], (state) => {
  byId("curl").textContent = curl(state, location.origin, hasToken());
});

byId("copy").addEventListener("click", async () => {
  const text = byId("curl").textContent;
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
    byId("copy").textContent = "Copied";
  } catch {
    getSelection()?.selectAllChildren(byId("curl"));
    say("Selected; copy it with the keyboard.");
    byId("copy").textContent = "Selected";
  }
});

byId("token-form").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  keepToken(byId("token-text").value.trim());
  location.reload();
});

if (matchMedia("(max-width: 48rem)").matches) byId("rules").open = false;
start();
