// Shows /openapi.json, and lets each operation be tried.

const ROOT = new URL("../", import.meta.url); // also behind a proxy that adds a prefix
const place = document.getElementById("operations");
const search = document.getElementById("search");

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Texts have `code` between backticks.
function prose(text) {
  return text.split(/`([^`]+)`/).map((part, index) => (index % 2 ? make("code", { textContent: part }) : part));
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
  const query = new URLSearchParams();
  const options = { method: verb.toUpperCase(), headers: {} };
  for (const [{ name, in: place, schema }, input] of parameters) {
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value === "") continue;
    else if (place === "header") options.headers[name] = input.value;
    else if (schema.type === "array") input.value.split(",").forEach((item) => query.append(name, item.trim()));
    else query.append(name, input.value);
  }
  if (query.size) path += `?${query}`;
  output.textContent = "…";
  const started = performance.now();
  if (body) { options.body = body.value; options.headers["Content-Type"] = "application/json"; }
  const answer = await fetch(new URL(path.slice(1), ROOT), options);
  const text = await answer.text();
  const took = Math.round(performance.now() - started);
  let shown = text;
  try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is no JSON */ }
  output.textContent = `${answer.status}, ${took} ms, cid ${answer.headers.get("x-zato-cid")}\n\n${shown}`;
}

// The type of a parameter and its limits, in a line.
function kind(schema) {
  const limits = ["minimum", "maximum", "minLength", "maxLength", "pattern"].filter((key) => key in schema);
  const values = schema.enum ?? schema.anyOf?.flatMap((choice) => choice.enum ?? []) ?? [];
  const name = schema.type === "array" ? `${kind(schema.items ?? {})}, several between commas` : schema.format ?? schema.type ?? "";
  return [values.length ? values.join(" | ") : name, ...limits.map((key) => `${key} ${schema[key]}`)].filter(Boolean).join(", ");
}

function parameterInput(parameter, schemas) {
  const schema = resolved(parameter.schema, schemas);
  const initial = schema.default === undefined || typeof schema.default === "object" ? "" : String(schema.default);
  const input = make("input", { placeholder: kind(schema), ariaLabel: parameter.name, value: parameter.required ? "" : initial, required: parameter.required });
  input.disabled = parameter.in === "cookie"; // pages cannot set the cookies of a request
  const text = `${parameter.name}${parameter.required ? "" : "?"} `;
  const note = [`(${parameter.in})`, kind(schema), parameter.description].filter(Boolean).join(" ");
  return [make("label", {}, make("code", { textContent: text }), make("small", { textContent: note }), input), [{ ...parameter, schema }, input]];
}

function inside(path, verb, operation, schemas) {
  const parts = operation.description ? [make("p", { className: "description" }, ...prose(operation.description))] : [];
  const described = []; // long, at times: it comes last
  const parameters = (operation.parameters ?? []).map((parameter) => {
    const [label, entry] = parameterInput(parameter, schemas);
    parts.push(label);
    return entry;
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
  for (const [status, answer] of Object.entries(operation.responses)) {
    const gives = resolved(answer.content?.["application/json"]?.schema ?? {}, schemas);
    if (answer.$ref || (status === "200" && !Object.keys(gives).length)) continue; // an error that all have; anything
    const headers = Object.entries(answer.headers ?? {}).map(([name, { description }]) => `${name}: ${description}\n`).join("");
    const schema = Number(status) < 400 && Object.keys(gives).length ? JSON.stringify(gives, null, 2) : "";
    described.push(make("h2", { textContent: `Response ${status}: ${answer.description}` }));
    if (headers || schema) described.push(make("pre", { textContent: headers + schema }));
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
      make("span", {}, ...prose(operation.summary === name ? "" : operation.summary))));
  box.addEventListener("toggle", () => {
    if (box.open && box.children.length === 1) {
      box.append(make("div", { className: "inside" }, ...inside(path, verb, operation, schemas)));
    }
  });
  box.dataset.text = `${path} ${operation.summary}`.toLowerCase();
  return box;
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const box of place.querySelectorAll("details")) box.hidden = !words.every((word) => box.dataset.text.includes(word));
  for (const part of place.children) part.hidden = !part.querySelector("details:not([hidden])");
}

function section(words, entries, schemas) {
  const boxes = entries.map(([path, verb, operation]) => show(path, verb, operation, schemas));
  return make("section", {}, make("h2", { textContent: `${words} (${boxes.length})` }), ...boxes);
}

search.addEventListener("input", filter);

try {
  const answer = await fetch(new URL("openapi.json", ROOT));
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  const api = await answer.json();
  document.title = document.querySelector("h1").textContent = `${api.info.title} ${api.info.version}`;
  document.getElementById("about").textContent = api.info.description ?? "";
  const all = Object.entries(api.paths).flatMap(([path, verbs]) => Object.entries(verbs).map(([verb, operation]) => [path, verb, operation]));
  const own = all.filter(([, , operation]) => !operation["x-built-in"]), rest = all.filter((entry) => !own.includes(entry));
  place.replaceChildren(section("Yours", own, api.components.schemas), section("Built in", rest, api.components.schemas));
  filter(); // the user may have typed meanwhile
} catch (error) {
  place.textContent = String(error);
}

