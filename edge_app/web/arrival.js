// Runs before Gradio. If one of Gradio's files does not arrive, as on a bad connection, the page
// stays empty or incomplete. It is then loaded again, unless the visitor has begun to use it.
(() => {
  const SENTENCES = "__SENTENCES__";
  const MOST = 5;
  const loads = history.state?.loads ?? 1;
  const language = window.visitorLanguages.map((code) => code.split("-")[0]).find((code) => SENTENCES[code]);
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  let lost = false;
  let used = false;

  async function again() {
    if (lost || used) return;  // a visitor who has begun keeps what is there
    lost = true;
    const line = document.createElement("p");
    line.id = "arrival";
    line.setAttribute("role", "status");
    line.style.cssText = "position: fixed; z-index: 9; inset: auto 0 0; margin: 0; padding: 1rem; "
      + "text-align: center; font: 1rem system-ui; background: #1c2430; color: #fff";
    line.textContent = SENTENCES[language ?? "en"][loads < MOST ? 0 : 1];
    (document.body ?? document.documentElement).append(line);
    if (loads >= MOST) return;
    for (let ms = 500 * 2 ** loads; ; ms = Math.min(2 * ms, 30_000)) {
      await wait(ms);
      const answer = await fetch(location.href, { method: "HEAD" }).catch(() => undefined);
      if (answer?.ok) break;
    }
    history.replaceState({ ...history.state, loads: loads + 1 }, "");
    location.reload();
  }
  for (const kind of ["pointerdown", "keydown"])
    addEventListener(kind, () => {
      if (used || !document.querySelector("#result")) return;
      used = true;
      document.getElementById("arrival")?.remove();
      history.replaceState({ ...history.state, loads: 1 }, "");
    }, true);
  addEventListener("vite:preloadError", again);
  addEventListener("error", ({ target }) => {
    if (target.matches?.("script[type=module], link[rel=stylesheet], link[rel=modulepreload]")) again();
  }, true);
})();
