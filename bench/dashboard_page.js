// Added to each page of bench/dashboard_page.py before its own scripts: counts the requests on
// their way, the script of each frame and long tasks, and has the measurements of a page.
(() => {
  const PATIENCE_MS = 20_000;
  const watch = { flying: 0, asked: 0, ended: 0, frames: [], long: [], shownAt: 0 };
  window.watch = watch;

  const send = window.fetch.bind(window);
  window.fetch = async (...args) => {
    watch.flying += 1;
    watch.asked += 1;
    try {
      const answer = await send(...args);
      await answer.clone().text();
      return answer;
    } finally {
      watch.flying -= 1;
      watch.ended = performance.now();
    }
  };

  const frame = window.requestAnimationFrame.bind(window);
  let stampOfLatest = -1;
  window.requestAnimationFrame = (callback) =>
    frame((stamp) => {
      const begin = performance.now();
      callback(stamp);
      const spent = performance.now() - begin;
      if (stamp === stampOfLatest) watch.frames[watch.frames.length - 1] += spent;
      else watch.frames.push(spent);
      stampOfLatest = stamp;
    });
  const nextFrame = () => new Promise((done) => frame(done));

  new PerformanceObserver((list) => {
    for (const item of list.getEntries()) watch.long.push(item.duration);
  }).observe({ entryTypes: ["longtask"] });

  // All of a page is shown when nothing is on its way for a moment and no part of it waits.
  const isWhole = () =>
    watch.asked > 1 && watch.flying === 0 && performance.now() - watch.ended > 150 &&
    document.querySelector("h1") && !document.querySelector(".skeleton, .boot, tr.waiting");
  const look = () => {
    if (isWhole()) watch.shownAt = watch.ended + 16;
    else setTimeout(look, 10);
  };
  look();

  const until = async (condition, words) => {
    const begin = performance.now();
    while (!condition()) {
      await nextFrame();
      if (performance.now() - begin > PATIENCE_MS) throw new Error(`waited too long: ${words}`);
    }
    await nextFrame();
  };
  watch.shown = async () => {
    await until(() => watch.shownAt > 0, "the page");
    return watch.shownAt;
  };

  let typedAt = 0;
  addEventListener("input", () => { typedAt = performance.now(); }, true);
  const rows = () => [...document.querySelectorAll("tbody tr[aria-rowindex]:not(.waiting)")];
  watch.filtered = async (word) => {
    const fits = (row) => row.textContent.includes(word);
    await until(() => watch.flying === 0 && rows().length > 0 && rows().every(fits), word);
    return performance.now() - typedAt;
  };

  watch.sorted = async (words) => {
    const begin = performance.now(), before = rows()[0].textContent, asked = watch.asked;
    const buttons = [...document.querySelectorAll("thead button")];
    buttons.find((button) => button.textContent.startsWith(words)).click();
    const isSorted = () => watch.flying === 0 && rows()[0]?.textContent !== before;
    await until(() => watch.asked > asked && isSorted(), words);
    return performance.now() - begin;
  };

  // Moves and zooms in turns, by one step a frame.
  watch.moved = async (ms) => {
    const canvas = document.querySelector("canvas"), box = canvas.getBoundingClientRect();
    const place = { clientX: box.left + box.width / 2, clientY: box.top + 20 };
    const begin = performance.now();
    watch.frames.length = watch.long.length = 0;
    let count = 0;
    for (let t = 0; t < ms / 1000; t = (performance.now() - begin) / 1000) {
      const zoom = { ctrlKey: true, deltaY: 12 * Math.sin(t * 3) };
      const step = Math.floor(t) % 2 ? zoom : { deltaX: 40 * Math.sin(t * 2) };
      const init = { bubbles: true, cancelable: true, ...place, ...step };
      canvas.dispatchEvent(new WheelEvent("wheel", init));
      await nextFrame();
      count += 1;
    }
    return { frames: watch.frames, long: watch.long, rate: count / (ms / 1000) };
  };
})();
