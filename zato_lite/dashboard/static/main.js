// Dashboard: finds the page for the path, loads its module and shows it in the shell.
import { effect, html, render, signal, useLayoutEffect, useState } from "./vendor/vendor.js";
import { ApiError } from "./core/api.js";
import { pageUrl } from "./core/base.js";
import { startKeys } from "./core/keys.js";
import { startLive } from "./core/live.js";
import { match, navigate, place, startRouter } from "./core/router.js";
import { GlobalSearch } from "./core/search.js";
import { loadSession, session, sessionTrouble } from "./core/session.js";
import { Overlays, Page, Shell } from "./core/shell.js";
import { NoServer, SignInAgain, SignInPage } from "./core/signin.js";
import { startTheme } from "./core/theme.js";
import { startClock } from "./core/time.js";
import { Button, Empty, ErrorBox, Skeleton } from "./core/ui.js";

/** @typedef {{params: Record<string, string>, query: Record<string, string>}} PageProps */
/** @typedef {() => Promise<{default: (props: PageProps) => any}>} Load */

/** Patterns of paths, the item of the rail, and the module; the first that matches wins. */
const PAGES = /** @type {[string, string, Load][]} */ ([
  ["/", "overview", () => import("./pages/overview.js")],
  ["/forecast", "forecast", () => import("./pages/forecast.js")],
  ["/jobs", "jobs", () => import("./pages/jobs.js")],
  ["/jobs/new", "jobs", () => import("./pages/job_form.js")],
  ["/jobs/:id/edit", "jobs", () => import("./pages/job_form.js")],
  ["/jobs/:id/runs/:run", "jobs", () => import("./pages/run.js")],
  ["/jobs/:id/:tab?", "jobs", () => import("./pages/job.js")],
  ["/runs", "runs", () => import("./pages/runs.js")],
  ["/services/:name?", "services", () => import("./pages/services.js")],
  ["/calendars/:name?", "calendars", () => import("./pages/calendars.js")],
  ["/nodes", "nodes", () => import("./pages/nodes.js")],
  ["/people", "people", () => import("./pages/people.js")],
  ["/audit", "audit", () => import("./pages/audit.js")],
]);
const WHY = /** @type {Load | null} */ (() => import("./pages/why.js"));

const SLOW_MS = 400;

const failed = signal(/** @type {Error | null} */ (null));

function App() {
  if (sessionTrouble.value) return html`<${NoServer} /><${Overlays} />`;
  if (session.value === undefined) return html`<p class="boot">Loading the dashboard …</p>`;
  const { path, query } = place.value;
  if (session.value === null || path === "/login") return html`<${SignInPage} /><${Overlays} />`;
  const found = PAGES.map(([pattern, key, load]) => ({ key, load, params: match(pattern, path) })).find(({ params }) => params !== null);
  return html`<${Shell} current=${found?.key ?? ""}>${
    found ? html`<${LoadedPage} key=${found.load} load=${found.load} params=${found.params} query=${query} />` : html`<${NotFound} />`}<//>${
    WHY && query.why ? html`<${LoadedPage} load=${WHY} params=${{}} query=${query} quiet />` : null}<${SignInAgain} />`;
}

/** @param {{load: Load, params: Record<string, string>, query: Record<string, string>, quiet?: boolean}} props */
function LoadedPage({ load, params, query, quiet = false }) {
  const [module, setModule] = useState(/** @type {any} */ (null)), [isSlow, setSlow] = useState(false), [error, setError] = useState(/** @type {Error | null} */ (null));
  useLayoutEffect(() => {
    const timer = setTimeout(() => setSlow(true), SLOW_MS); // a page that flashes by would only take the focus away
    load().finally(() => clearTimeout(timer)).then(setModule, (reason) => setError(reason instanceof Error ? reason : new Error(String(reason))));
  }, [load]);
  if (error) return html`<${Page} title="This page could not be loaded"><${Empty} title="This page could not be loaded" actions=${html`<${Button} icon="reload" onClick=${() => location.reload()}>Load again<//>`}>The server may have been updated or may not be running. (${error.message})<//><//>`;
  if (!module && !quiet && !isSlow) return html`<div class="sr"><${GlobalSearch} /></div>`; // what is written into it goes on in the page's
  if (!module) return quiet ? null : html`<${Page} title="Loading"><${Skeleton} rows=${8} /><//>`;
  return html`<${module.default} params=${params} query=${query} />`;
}

function NotFound() {
  return html`<${Page} title="No such page"><${Empty} title="There is no page at this address." actions=${html`<${Button} href=${pageUrl("/")}>Overview<//>`} /><//>`;
}

/** Errors in the page's own code are shown, and what works stays. */
function Crash() {
  const error = failed.value;
  return error ? html`<div class="crash"><${ErrorBox} what="The dashboard has an error:" error=${new ApiError(1, error.message)} retry=${() => location.reload()} /></div>` : null;
}

addEventListener("error", (event) => { if (event.error instanceof Error) failed.value = event.error; });
addEventListener("unhandledrejection", (event) => { if (event.reason instanceof Error && event.reason.name !== "AbortError" && !(event.reason instanceof ApiError)) failed.value = event.reason; });

// Browsers look for the icon again when the address changes, which is where relative ones end.
for (const link of /** @type {NodeListOf<HTMLLinkElement>} */ (document.querySelectorAll("link[rel=icon]"))) link.setAttribute("href", link.href);

startTheme();
startRouter();
startKeys();
startClock();
startLive();
effect(() => {
  const { path, query } = place.value;
  if (session.value === null && path !== "/login") {
    const to = path + (Object.keys(query).length ? `?${new URLSearchParams(query)}` : "");
    void navigate("/login", to === "/" ? {} : { to }, { replace: true, force: true });
  } else if (session.value && path === "/login") {
    const to = query.to ?? "/", isOwn = to.startsWith("/") && !to.startsWith("//");
    const [target, search = ""] = (isOwn ? to : "/").split("?");
    void navigate(target, Object.fromEntries(new URLSearchParams(search)), { replace: true, force: true });
  }
});
const root = /** @type {HTMLElement} */ (document.getElementById("root"));
root.replaceChildren();
render(html`<${App} /><${Crash} />`, root);
void loadSession();
