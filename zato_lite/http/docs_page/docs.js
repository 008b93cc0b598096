// Shows /openapi.json, and lets each operation be tried.

const place = document.getElementById("operations");
const search = document.getElementById("search");

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function resolved(schema, all, depth = 0) {
  if (Array.isArray(schema)) return schema.map((item) => resolved(item, all, depth));
  if (schema === null || typeof schema !== "object") return schema;
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return depth > 6 ? { $ref: name } : resolved(all[name] ?? {}, all, depth + 1);
  }
  return Object.fromEntries(Object.entries(schema).map(([k, v]) => [k, resolved(v, all, depth)]));
}

async function ask(verb, path, parameters, body, output) {
  for (const [name, input] of parameters) path = path.replace(`{${name}}`, encodeURIComponent(input.value));
  output.textContent = "…";
  const started = performance.now();
  const options = { method: verb.toUpperCase() };
  if (body) { options.body = body.value; options.headers = { "Content-Type": "application/json" }; }
  const answer = await fetch(new URL(path, location.origin), options);
  const text = await answer.text();
  const took = Math.round(performance.now() - started);
  let shown = text;
  try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is no JSON */ }
  output.textContent = `${answer.status}, ${took} ms, cid ${answer.headers.get("x-zato-cid")}\n\n${shown}`;
}

function inside(path, verb, operation, schemas) {
  const parts = [];
  const described = []; // long, at times: it comes last
  const parameters = (operation.parameters ?? []).map((parameter) => {
    const input = make("input", { placeholder: parameter.name, ariaLabel: parameter.name });
    parts.push(input);
    return [parameter.name, input];
  });
  const taken = operation.requestBody?.content["application/json"];
  const takes = taken?.schema;
  let body = null;
  if (takes) {
    const schema = resolved(takes, schemas);
    const value = JSON.stringify(taken.example ?? {}, null, 2);
    body = make("textarea", { value, rows: Math.min(value.split("\n").length + 1, 20), ariaLabel: "Request" });
    parts.push(make("h2", { textContent: "Request" }), body);
    if (schema.properties) {
      described.push(make("h2", { textContent: "Fields" }), make("pre", { textContent: JSON.stringify(schema.properties, null, 2) }));
    }
  }
  const gives = resolved(operation.responses["200"].content["application/json"].schema, schemas);
  if (Object.keys(gives).length) {
    described.push(make("h2", { textContent: "Response" }), make("pre", { textContent: JSON.stringify(gives, null, 2) }));
  }
  const output = make("pre", { textContent: "" });
  const button = make("button", { textContent: "Try it" });
  button.addEventListener("click", () => ask(verb, path, parameters, body, output).catch((error) => { output.textContent = String(error); }));
  return [...parts, make("p", {}, button), output, ...described];
}

function show(path, verb, operation, schemas) {
  const name = path.replace("/zato/api/invoke/", "");
  const box = make("details", {},
    make("summary", {},
      make("span", { className: "verb", textContent: verb.toUpperCase() }),
      make("code", { textContent: name }),
      make("span", { textContent: operation.summary === name ? "" : operation.summary })));
  box.addEventListener("toggle", () => {
    if (box.open && box.children.length === 1) {
      box.append(make("div", { className: "inside" }, ...inside(path, verb, operation, schemas)));
    }
  });
  box.dataset.text = `${path} ${operation.summary}`.toLowerCase();
  return box;
}

try {
  const answer = await fetch(new URL("/openapi.json", location.origin));
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  const api = await answer.json();
  place.replaceChildren(...Object.entries(api.paths).flatMap(([path, verbs]) =>
    Object.entries(verbs).map(([verb, operation]) => show(path, verb, operation, api.components.schemas))));
} catch (error) {
  place.textContent = String(error);
}

search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const box of place.children) box.hidden = !words.every((word) => box.dataset.text.includes(word));
});
