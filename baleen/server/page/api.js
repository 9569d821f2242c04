// The server's API: the one setup file and streamed chat completions.

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function headers(key) {
  const fields = { "content-type": "application/json" };
  if (key) fields.authorization = `Bearer ${key}`;
  return fields;
}

async function checked(response) {
  if (response.ok) return response;
  let message = `The server answered ${response.status}`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // Not our error object: the status says what there is to say.
  }
  throw new ApiError(response.status, message);
}

export async function loadSetup(key) {
  const response = await checked(await fetch("/setup.json", { headers: headers(key) }));
  return response.json();
}

/** Yields the chunks of one streamed chat completion. */
export async function* streamChat(key, body, signal) {
  const response = await checked(
    await fetch("/v1/chat/completions", {
      method: "POST",
      headers: headers(key),
      body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
      signal,
    }),
  );
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(500, chunk.error.message);
    yield chunk;
  }
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6);
  }
}
