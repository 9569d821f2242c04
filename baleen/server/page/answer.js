// Collects the chunks of one answer into the message that is sent back with the next request.

export class Answer {
  constructor() {
    this.reasoning = "";
    this.content = "";
    this.calls = [];
    this.usage = null;
    this.finishReason = null;
    this.parseError = null;
  }

  add(chunk) {
    if (chunk.usage) this.usage = chunk.usage;
    const choice = chunk.choices[0];
    if (!choice) return;
    const delta = choice.delta;
    this.reasoning += delta.reasoning_content ?? "";
    this.content += delta.content ?? "";
    for (const piece of delta.tool_calls ?? []) {
      const call = (this.calls[piece.index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
      if (piece.id) call.id = piece.id;
      if (piece.function.name) call.function.name = piece.function.name;
      call.function.arguments += piece.function.arguments ?? "";
    }
    this.finishReason = choice.finish_reason ?? this.finishReason;
    this.parseError = choice.parse_error ?? this.parseError;
  }

  /** The assistant message. Reasoning goes back with it: inside a chain of tool calls the server wants it. */
  message() {
    const message = { role: "assistant", content: this.content, reasoning_content: this.reasoning };
    // An answer that ended otherwise may hold a call that broke off.
    if (this.finishReason === "tool_calls") message.tool_calls = this.calls;
    return message;
  }
}

/** Dollars of `usage` at `rates` (dollars per million tokens), or null when no price is known. */
export function cost(usage, rates) {
  if (!rates) return null;
  return (
    (usage.prompt_cache_miss_tokens * rates.input +
      usage.prompt_cache_hit_tokens * rates.cached +
      usage.completion_tokens * rates.output) /
    1e6
  );
}
