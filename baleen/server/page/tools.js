// The calculator of the built-in tools, so that a person need not play it: integers joined by + - *.

const EXPRESSION = /^\s*[+-]?\s*\d+(\s*[-+*]\s*[+-]?\s*\d+)*\s*$/;

/** The result of a tool call the page knows how to make, as text; undefined for any other. */
export function compute(call) {
  if (call.function.name !== "calculate") return undefined;
  let expression;
  try {
    ({ expression } = JSON.parse(call.function.arguments));
  } catch {
    return "error: the arguments are not JSON";
  }
  if (typeof expression !== "string" || expression.length > 200 || !EXPRESSION.test(expression)) {
    return "error: only integers and + - * are understood";
  }
  return String(evaluate(expression.match(/\d+|[-+*]/g)));
}

function evaluate(tokens) {
  let at = 0;
  function factor() {
    if (tokens[at] === "-" || tokens[at] === "+") return tokens[at++] === "-" ? -factor() : factor();
    return BigInt(tokens[at++]);
  }
  function product() {
    let value = factor();
    while (tokens[at] === "*") {
      at++;
      value *= factor();
    }
    return value;
  }
  let value = product();
  while (at < tokens.length) value = tokens[at++] === "+" ? value + product() : value - product();
  return value;
}
