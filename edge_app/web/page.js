// What the page does in the browser beside what Gradio does; see also language.js and result.js.
(() => {
  if (!window.isSecureContext) document.documentElement.dataset.insecure = "";
  const within = (selector) => document.querySelector(selector);
  const quiet = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const touch = matchMedia("(pointer: coarse)").matches;

  // A file goes to the upload box as if the visitor had chosen it there.
  function upload(file, tries = 100) {
    const input = within("#picture-input input[type=file]");
    if (!input) {
      // A picture that is there goes first; then the place to drop one has to be chosen again.
      const clear = "#picture-input .icon-button-wrapper button:last-child";
      const choose = "#picture-input [data-testid=source-select] button:first-child";
      (within(clear) ?? within(choose))?.click();
      if (tries) setTimeout(upload, 50, file, tries - 1);
      return;
    }
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
  // Gradio refuses a file that the browser knows no picture type for, as HEIC on most desktops, and
  // says so in its own words. The server looks at the content.
  const isLarge = ({ size }) => size > window.page.megabytes * 1e6;  // it would be sent for nothing
  const isPicture = ({ type }) => type.startsWith("image/");
  const asPicture = (file) => (isPicture(file) ? file : new File([file], file.name, { type: "image/unknown" }));
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("#picture-input input[type=file]")) take(event, event.target.files[0]);
  }, true);
  document.addEventListener("drop", (event) => {
    if (event.target.closest?.("#picture-input")) take(event, event.dataTransfer?.files[0]);
  }, true);
  function take(event, file) {
    if (!file || (isPicture(file) && !isLarge(file))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (isLarge(file)) fail("#result", window.page.say("error_large", { mb: window.page.megabytes }));
    else upload(asPicture(file));
  }
  document.addEventListener("paste", (event) => {
    const picture = [...event.clipboardData.files].find((file) => file.type.startsWith("image/"));
    if (!picture || !within("#picture-input")?.offsetParent) return;
    event.preventDefault();
    upload(picture);
  });
  document.addEventListener("click", async (event) => {
    const example = event.target.closest?.("#examples button");
    if (!example) return;
    try {
      const answer = await fetch(example.dataset.file);
      if (!answer.ok) throw new Error(answer.status);
      upload(new File([await answer.blob()], example.dataset.file.split("/").pop(), { type: "image/jpeg" }));
    } catch {
      fail("#result", window.page.say("error_offline"));
    }
  });

  // Formats that the browser cannot show: the server's preview takes the picture's place.
  document.addEventListener("error", ({ target }) => {
    if (target.matches?.("#picture-input img")) target.dataset.broken = "yes";
  }, true);
  function showPreview() {
    const broken = within("#picture-input img[data-broken]");
    const preview = within("#result .evidence img");
    if (!broken || !preview) return;
    delete broken.dataset.broken;
    broken.src = preview.src;
  }

  // An error stands where the answer would be.
  function fail(place, words) {
    const section = document.createElement("section");
    section.className = "result failed";
    section.append(Object.assign(document.createElement("p"), { textContent: words }));
    within(`${place} .prose`).replaceChildren(section);
  }
  const shown = () => ["#result", "#live-state", "#batch-message"].find((place) => within(place)?.offsetParent);
  function failed(toast) {
    const words = toast.querySelector(".toast-text, .toast-message-text")?.textContent.trim();
    const place = shown();
    if (!words || !place || toast.dataset.words === words) return;
    toast.dataset.words = words;
    const free = place === "#live-state" || !within(`${place} section:not(.empty, .waiting, .failed)`);
    toast.classList.toggle("placed", free);
    if (free) fail(place, words);
  }

  // Without a camera, or if the visitor does not allow it, Gradio says nothing.
  const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
  if (open) navigator.mediaDevices.getUserMedia = async (wanted) => {
    try {
      return await open(wanted);
    } catch (error) {
      const keys = { NotAllowedError: "camera_denied", NotFoundError: "camera_none" };
      fail(shown(), window.page.say(keys[error.name] ?? "camera_busy"));
      throw error;
    }
  };

  // The camera of the Live tab stops when nobody can see it.
  function rest() {
    if (streams()) within("#camera-input .button-wrap button").click();
  }
  const streams = () => {
    const icon = within("#camera-input .button-wrap button");
    return icon && window.page.say("g_stop") === icon.textContent.trim();
  };
  document.addEventListener("visibilitychange", () => document.hidden && rest());
  document.addEventListener("click", (event) => {
    const tab = event.target.closest?.("#tabs [role=tab]");
    if (tab && !tab.matches("[id*=live]")) rest();
  }, true);

  // Arrow keys, Home and End go from tab to tab.
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.("#tabs [role=tab]");
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!tab || step === undefined) return;
    const tabs = [...tab.closest("[role=tablist]").querySelectorAll("[role=tab]")];
    const at = tabs.indexOf(tab);
    const next = Number.isFinite(step) ? (at + step + tabs.length) % tabs.length : step < 0 ? 0 : tabs.length - 1;
    event.preventDefault();
    tabs[next].click();
    tabs[next].focus();
  });

  // Tables are sorted by a click on the head of a column.
  document.addEventListener("click", (event) => {
    const head = event.target.closest?.(".results th button")?.parentElement;
    if (!head) return;
    const down = head.ariaSort === "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.ariaSort = down ? "descending" : "ascending";
    const body = head.closest("table").tBodies[0];
    const value = (row) => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
    const rows = [...body.rows].sort((a, b) => value(a).localeCompare(value(b), undefined, { numeric: true }));
    body.append(...(down ? rows.reverse() : rows));
  });

  // What changes is announced, and brought into view on a small screen.
  const seen = new WeakSet();
  function look() {
    for (const id of ["result", "batch-message", "live-announce"]) {
      const region = document.getElementById(id);
      if (!region || region.getAttribute("aria-live")) continue;
      region.setAttribute("role", "status");
      region.setAttribute("aria-live", "polite");
    }
    const state = within("#live-state .answer")?.textContent.trim() ?? "";
    const announced = within("#live-announce p");
    if (announced && announced.textContent !== state) announced.textContent = state;
    for (const answer of document.querySelectorAll("#result section.result:not(.empty), #live-state section.result:not(.empty), #batch-message section")) {
      if (seen.has(answer)) continue;
      seen.add(answer);
      if (answer.closest("#live-state") && look.live) continue;
      look.live ||= answer.closest("#live-state");
      const { top, height } = answer.getBoundingClientRect();
      if (top + Math.min(height, 160) > innerHeight)
        answer.scrollIntoView({ block: height < innerHeight ? "nearest" : "start", behavior: quiet ? "auto" : "smooth" });
    }
    const input = within("#picture-input input[type=file]");
    if (touch) document.querySelectorAll("[data-testid=upload-text] .or").forEach(({ nextSibling }) => {
      if (nextSibling?.data) nextSibling.data = "";  // "or choose a file", after "drop a file"
    });
    if (input && !touch) input.accept = "image/*,.heic,.heif,.avif";  // a phone offers its camera for image/* alone
    const start = within("#camera-input .button-wrap button");  // Gradio always calls it a photo's
    const does = start?.textContent.trim();
    if (does && start.ariaLabel !== does) start.ariaLabel = does;
    document.querySelectorAll(".toast-body.error").forEach(failed);
    showPreview();
    window.page.mark();
    window.result?.update();
  }
  let soon;
  new MutationObserver(() => { soon ??= requestAnimationFrame(() => { soon = undefined; look(); }); })
    .observe(document, { subtree: true, childList: true });
})();
