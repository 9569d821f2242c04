// The conversation: what was said, one answer at a time, and the controls around it.

import { Answer, cost } from "./answer.js";
import { ApiError, loadSetup, streamChat } from "./api.js";
import { compute } from "./tools.js";
import { AnswerView, showError, showUser } from "./view.js";

const TOOL_ROUNDS = 16;
const find = (id) => document.getElementById(id);
const list = find("messages");
let setup = null;
let messages = [];
let running = null; // AbortController of the answer being made
let spent = { tokens: 0, dollars: 0 };

async function start() {
  try {
    setup = await loadSetup(find("key").value);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) return showError(list, error.message);
    find("key-row").hidden = false;
    return find("key").focus();
  }
  find("model").textContent = setup.model;
  find("thinking").checked = setup.thinking;
  find("tools-label").hidden = !setup.tools.length;
}

function request(conversation) {
  const body = {
    model: setup.model,
    messages: conversation,
    thinking: { type: find("thinking").checked ? "enabled" : "disabled" },
  };
  if (find("tools").checked && setup.tools.length) body.tools = setup.tools;
  return body;
}

async function answerOnce(conversation, signal) {
  const answer = new Answer();
  const view = new AnswerView(list);
  try {
    for await (const chunk of streamChat(find("key").value, request(conversation), signal)) {
      answer.add(chunk);
      view.update(answer);
    }
  } finally {
    view.finish(answer, setup.prices);
    count(answer.usage);
  }
  return { answer, view };
}

function count(usage) {
  if (!usage) return;
  spent.tokens += usage.total_tokens;
  spent.dollars += cost(usage, setup.prices) ?? 0;
  const dollars = setup.prices ? ` · $${spent.dollars.toPrecision(2)} at ${setup.prices.name} prices of ${setup.prices.date}` : "";
  find("totals").textContent = `${spent.tokens} tokens in this chat${dollars}`;
}

async function converse(text) {
  const conversation = messages; // "New chat" puts another list in its place
  const before = conversation.length;
  conversation.push({ role: "user", content: text });
  showUser(list, text);
  running = new AbortController();
  const { signal } = running;
  find("send").textContent = "Stop";
  try {
    for (let round = 0; round < TOOL_ROUNDS; round++) {
      const { answer, view } = await answerOnce(conversation, signal);
      conversation.push(answer.message());
      if (answer.parseError) showError(list, `Parts of the answer could not be read: ${answer.parseError}`);
      if (answer.finishReason !== "tool_calls") return;
      conversation.push(...(await Promise.race([view.askResults(answer, compute), aborted(signal)])));
    }
    showError(list, `Stopped after ${TOOL_ROUNDS} rounds of tool calls.`);
  } catch (error) {
    // A turn without an answer has no place in the next request.
    conversation.length = before;
    if (messages === conversation) showError(list, signal.aborted ? "Stopped; this turn is forgotten." : error.message);
  } finally {
    running = null;
    find("send").textContent = "Send";
  }
}

function aborted(signal) {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

find("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (running) return running.abort();
  if (!setup) await start();
  const text = find("input").value.trim();
  if (!setup || !text) return;
  find("input").value = "";
  converse(text);
});

find("input").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!running) find("composer").requestSubmit();
  }
});

find("new-chat").addEventListener("click", () => {
  running?.abort();
  messages = [];
  spent = { tokens: 0, dollars: 0 };
  list.replaceChildren();
  find("totals").textContent = "";
  find("input").focus();
});

start();
