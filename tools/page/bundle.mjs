// Join the dashboard's modules into few small files, or with --check say if that is to be done anew.
// The server uses them only while they belong to the sources: see zato_lite/dashboard/pages.py.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../zato_lite/dashboard/static");
const target = join(root, "dist");
const first = "pages/overview.js"; // what most people see first is loaded along with main.js

const names = readdirSync(root, { recursive: true })
  .map((name) => String(name).split(sep).join("/"))
  .filter((name) => name.endsWith(".js") && !name.startsWith("dist/"))
  .sort();
const digest = createHash("sha256");
for (const name of names) {
  const body = readFileSync(join(root, name));
  digest.update(`${name}\0${body.length}\0`).update(body);
}
const sources = digest.digest("hex");

if (process.argv.includes("--check")) {
  if (JSON.parse(readFileSync(join(target, "BUNDLE.json"), "utf8")).sources !== sources) {
    console.error("the joined modules are older than their sources; run: make page");
    process.exitCode = 1;
  }
} else {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: ["main.js", first],
    bundle: true,
    splitting: true,
    format: "esm",
    minify: true,
    target: "es2022",
    outdir: target,
    entryNames: "[name]",
    chunkNames: "[name]-[hash]",
    legalComments: "inline",
    metafile: true,
    write: false,
  });
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  for (const file of outputFiles) writeFileSync(file.path, file.contents);
  const byName = new Map(Object.entries(metafile.outputs).map(([path, output]) => [relative(target, join(root, path)), output]));
  const preload = new Set();
  const add = (name) => {
    if (preload.has(name)) return;
    preload.add(name);
    for (const { path, kind } of byName.get(name).imports) if (kind === "import-statement") add(relative(target, join(root, path)));
  };
  for (const [name, output] of byName) if (output.entryPoint === "main.js" || output.entryPoint === first) add(name);
  const about = { sources, preload: [...preload].sort().map((name) => `dist/${name}`) };
  writeFileSync(join(target, "BUNDLE.json"), `${JSON.stringify(about, null, 2)}\n`);
  console.log(`${byName.size} files; first load: ${about.preload.join(", ")}`);
}
