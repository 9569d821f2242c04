// Everything that touches the document. Text from the model or the user is only ever set as textContent.

import { cost } from "./answer.js";

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export function showUser(list, text) {
  const box = element("article", "message user");
  box.append(element("div", "text", text));
  append(list, box);
}

export function showError(list, text) {
  append(list, element("p", "message error", text));
}

function append(list, node) {
  const following = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  list.append(node);
  if (following) list.scrollTop = list.scrollHeight;
}

/** The view of one answer: thinking folded and dimmed, text, tool calls, a line of tokens and cost. */
export class AnswerView {
  constructor(list) {
    this.list = list;
    this.box = element("article", "message assistant");
    this.thinking = element("details", "thinking");
    this.thinkingTitle = element("summary", "", "Thinking…");
    this.thinkingText = element("div", "text");
    this.thinking.append(this.thinkingTitle, this.thinkingText);
    this.thinking.hidden = true;
    this.text = element("div", "text");
    this.calls = element("div");
    this.cost = element("div", "cost");
    this.box.append(this.thinking, this.text, this.calls, this.cost);
    append(list, this.box);
  }

  update(answer) {
    const following = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
    this.thinking.hidden = !answer.reasoning;
    this.thinkingText.textContent = answer.reasoning;
    this.text.textContent = answer.content;
    answer.calls.forEach((call, index) => this.updateCall(call, index));
    if (following) this.list.scrollTop = this.list.scrollHeight;
  }

  updateCall(call, index) {
    let node = this.calls.children[index];
    if (!node) {
      node = element("div", "tool");
      node.append(element("span", "name"), element("pre"));
      this.calls.append(node);
    }
    node.children[0].textContent = call.function.name;
    node.children[1].textContent = call.function.arguments;
  }

  finish(answer, rates) {
    const usage = answer.usage;
    this.thinkingTitle.textContent = "Thinking";
    if (!usage) return;
    const thought = usage.completion_tokens_details.reasoning_tokens;
    if (thought) this.thinkingTitle.textContent = `Thought for ${thought} tokens`;
    this.cost.textContent = usageLine(usage, rates) + (answer.finishReason === "length" ? " · cut at the limit" : "");
  }

  /** A box per call for its result. Resolves to the tool messages once all are filled in. */
  askResults(answer, compute) {
    return Promise.all(
      answer.calls.map(async (call, index) => {
        const content = compute(call) ?? (await this.askResult(index));
        this.calls.children[index].append(element("pre", "result", `→ ${content}`));
        return { role: "tool", tool_call_id: call.id, content };
      }),
    );
  }

  askResult(index) {
    const field = element("textarea");
    field.rows = 1;
    field.setAttribute("aria-label", "Result of this tool call");
    field.placeholder = "You are the tool: type its result and press Enter";
    this.calls.children[index].append(field);
    field.focus();
    return new Promise((resolve) => {
      field.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.shiftKey) return;
        event.preventDefault();
        const value = field.value;
        field.remove();
        resolve(value);
      });
    });
  }
}

export function usageLine(usage, rates) {
  const dollars = cost(usage, rates);
  const tokens = `${usage.prompt_tokens} in (${usage.prompt_cache_hit_tokens} cached), ${usage.completion_tokens} out`;
  return dollars === null ? tokens : `${tokens} · $${dollars.toPrecision(2)}`;
}
