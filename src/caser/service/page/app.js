/**
 * The page: it asks the service whenever the question changes, and shows the newest answer.
 */

import { makeActions } from "./actions.js";
import { showAnswers } from "./answers.js";
import { ServiceError, callService, hasToken, latestOnly, storeToken } from "./api.js";
import { announce, button, byId, element, setVisible, titleElement } from "./dom.js";
import { showFacts } from "./facts.js";
import { setThing, withThings } from "./format.js";
import { showHistory } from "./history.js";
import { curlCommand, requestBody } from "./request.js";
import { showRules } from "./rules.js";
import { showSearch } from "./search.js";
import { makeStore } from "./store.js";
import { showUser } from "./user.js";

/** The properties of the state that make up the question. */
const QUESTION = ["user", "history", "isStored", "k", "excludeSeen", "atMost", "without", "boosts"];
const WAIT_MS = 30;
const NUM_POPULAR = 3;

const store = makeStore();
const actions = makeActions(store, showError);

const recommend = latestOnly(
  async (signal) => {
    store.update({ isLoading: true });
    const answer = await callService("v1/recommend", { method: "POST", body: requestBody(store.state), signal });
    if (signal.aborted) return;
    setProblem("");
    store.update({ answer, isLoading: false });
    if (answer.model_version !== store.state.model.model_version) await loadModel();
  },
  (error) => {
    store.update({ isLoading: false });
    showError(error);
  },
  WAIT_MS,
);

/**
 * Show an error as one sentence. If the service needs a token, ask for one.
 *
 * @param {unknown} error
 */
function showError(error) {
  if (!(error instanceof ServiceError)) throw error;
  setProblem(error.message);
  const dialog = byId("token");
  if (error.status !== 401 || dialog.open) return;
  setVisible("token-problem", hasToken());
  dialog.showModal();
}

/** @param {string} sentence  empty for no problem */
function setProblem(sentence) {
  byId("problem").textContent = sentence;
  setVisible("problem", sentence !== "");
}

async function loadModel() {
  const model = await callService("v1/model");
  store.update({ model });
  setThing(model.has_titles);
  for (const node of document.querySelectorAll("[data-things]")) {
    node.textContent = withThings(/** @type {HTMLElement} */ (node).dataset.things ?? "");
  }
  byId("search").placeholder = withThings("Search {things} to add");
  showFacts(model);
}

/** Show popular titles to start with. */
async function loadPopular() {
  const { items } = await callService(`v1/items?k=${NUM_POPULAR}`);
  byId("popular").replaceChildren(
    ...items.map((/** @type {import("./store.js").Item} */ item) => {
      const add = () => {
        byId("search").focus();
        actions.add(item);
      };
      return element("li", {}, button({ class: "pill", onclick: add }, titleElement(item)));
    }),
  );
}

/** Load what the page needs, and ask the first question. */
async function start() {
  try {
    await loadModel();
    store.update({ excludeSeen: store.state.model.exclude_seen });
    await loadPopular();
  } catch (error) {
    return showError(error);
  }
  setProblem("");
  showRules(store);
  store.subscribe(QUESTION, () => recommend());
}

showUser(store, actions);
showHistory(store, actions);
showSearch(actions.add, showError);
showAnswers(store, actions, showError);
store.subscribe(["answer", ...QUESTION], (state) => {
  byId("curl").textContent = curlCommand(state, new URL(".", location.href).href, hasToken());
});

byId("copy").addEventListener("click", async () => {
  const text = byId("curl").textContent;
  try {
    await navigator.clipboard.writeText(text);
    announce("Copied.");
    byId("copy").textContent = "Copied";
  } catch {
    getSelection()?.selectAllChildren(byId("curl"));
    announce("Selected. Copy it with the keyboard.");
    byId("copy").textContent = "Selected";
  }
});

byId("token-form").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  storeToken(byId("token-text").value.trim());
  location.reload();
});

if (matchMedia("(max-width: 48rem)").matches) byId("rules").open = false;
start();
