// Write vendor.js and VENDOR.json, or with --check compare them with the committed ones.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "../../zato_lite/dashboard/static/vendor");
const packages = ["preact", "@preact/signals", "@preact/signals-core", "htm"];
const lock = JSON.parse(readFileSync(join(here, "package-lock.json"), "utf8")).packages;

const described = packages.map((name) => {
  const { version, license, integrity } = lock[`node_modules/${name}`];
  const licence_text = readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8").trim();
  return { name, version, license, integrity, licence_text };
});
const banner = `/*! ${described.map((p) => `${p.name} ${p.version} (${p.license})`).join(", ")}; licences in VENDOR.json */`;
const result = await build({
  absWorkingDir: here,
  entryPoints: ["entry.js"],
  bundle: true,
  format: "esm",
  minify: true,
  target: "es2022",
  legalComments: "none",
  banner: { js: banner },
  write: false,
});
const code = result.outputFiles[0].text;
const about = {
  file: "vendor.js",
  sha256: createHash("sha256").update(code).digest("hex"),
  esbuild: lock["node_modules/esbuild"].version,
  packages: described,
};
const files = { "vendor.js": code, "VENDOR.json": `${JSON.stringify(about, null, 2)}\n` };

for (const [name, text] of Object.entries(files)) {
  const path = join(target, name);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, text);
  } else if (readFileSync(path, "utf8") !== text) {
    console.error(`${name} differs from what its pinned sources give; run: make vendor`);
    process.exitCode = 1;
  }
}
if (!process.exitCode) console.log(`vendor.js ${code.length} bytes, sha256 ${about.sha256.slice(0, 16)}…`);
