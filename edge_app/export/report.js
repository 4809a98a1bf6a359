"use strict";
// Behaviour of the report. Names come from file systems, so they are only ever set as text.

const GAP = 14, TEXT_HEIGHT = 62, SMALLEST_CARD = 158, ROWS_BEYOND = 2;
const NOTES = [[1, "uncertain"], [4, "incomplete"], [8, "changed since the scan"]];
const data = JSON.parse(document.getElementById("data").textContent);
const pictures = data.pictures.map(([name, score, size, modified, marks, address], place) =>
  ({ name, score, size, modified, address, place, lower: name.toLowerCase(),
    uncertain: Boolean(marks & 1), lookedAgain: Boolean(marks & 2),
    notes: NOTES.filter(([bit]) => marks & bit).map(([, note]) => note) }));
const $ = id => document.getElementById(id);
const fileName = picture => picture.name.split(data.backslash ? /[\\/]/ : "/").pop();
const number = n => n.toLocaleString("en-US");
const percent = p => (100 * p).toFixed(1) + "%";
const state = { threshold: data.threshold, view: "all", order: pictures, active: 0, columns: 1,
  cardWidth: 0, rowHeight: 1 };

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// ---- thumbnails: blocks that stand behind this script and may still be on their way

const blocks = new Map();

function thumbnail(picture) {
  const block = Math.floor(picture.place / data.blockSize);
  if (!blocks.has(block)) {
    const source = $("thumbnails-" + block);
    // What follows a block proves that all of it is there.
    if (!source || (document.readyState === "loading" && !source.nextSibling)) return undefined;
    blocks.set(block, source.textContent.split("\n"));
  }
  return blocks.get(block)[picture.place % data.blockSize];
}

// ---- what is shown

const isFound = picture => picture.score >= state.threshold;

function countFound() {
  if (state.threshold === data.threshold) return data.found;
  const lowest = pictures.length ? pictures[pictures.length - 1].score : 0;
  if (pictures.length === data.total || state.threshold > lowest)
    return pictures.filter(isFound).length;
  const from = Math.round(state.threshold * data.histogram.length);
  return data.histogram.slice(from).reduce((sum, n) => sum + n, 0);
}

const sorts = {
  score: (a, b) => a.place - b.place,
  low: (a, b) => b.place - a.place,
  new: (a, b) => b.modified - a.modified || a.place - b.place,
  name: (a, b) => (a.lower < b.lower ? -1 : a.lower > b.lower ? 1 : a.place - b.place),
};

function choose() {
  const wanted = $("search").value.trim().toLowerCase();
  const listing = state.view === "unreadable";
  $("grid").hidden = $("save").hidden = listing;
  document.querySelector(".sort").hidden = listing;
  $("unreadable").hidden = !listing;
  if (listing) return listUnreadable(wanted);
  state.order = pictures.filter(picture =>
    (state.view === "all" || (state.view === "uncertain" ? picture.uncertain
      : (state.view === "found") === isFound(picture)))
    && (!wanted || picture.lower.includes(wanted))).sort(sorts[$("sort").value]);
  state.active = Math.min(state.active, Math.max(0, state.order.length - 1));
  let text = `${number(state.order.length)} of ${number(data.total)} pictures`;
  if (pictures.length < data.total)
    text += `; this file holds the ${number(pictures.length)} with the highest scores`;
  $("count").textContent = text;
  $("nothing").hidden = state.order.length > 0;
  draw(true);
}

function listUnreadable(wanted) {
  const chosen = data.unreadable.filter(([name]) => !wanted || name.toLowerCase().includes(wanted));
  $("unreadable").replaceChildren(...chosen.map(([name, error]) => {
    const item = element("li", "", name);
    item.append(element("small", "", error));
    return item;
  }));
  let text = `${number(chosen.length)} of ${number(data.unreadableTotal)} unreadable files`;
  if (data.unreadable.length < data.unreadableTotal)
    text += `; this file lists ${number(data.unreadable.length)}`;
  $("count").textContent = text;
  $("nothing").hidden = chosen.length > 0;
  $("unreadable").hidden = chosen.length === 0;
}

// ---- the grid: only the cards in sight are in the page

const cards = new Map();

function draw(rebuild) {
  const grid = $("grid"), width = grid.clientWidth;
  if (!width) return;
  state.columns = Math.max(2, Math.floor((width + GAP) / (SMALLEST_CARD + GAP)));
  state.cardWidth = (width - GAP * (state.columns - 1)) / state.columns;
  state.rowHeight = state.cardWidth + TEXT_HEIGHT + GAP;
  const rows = Math.ceil(state.order.length / state.columns);
  grid.style.height = Math.max(0, rows * state.rowHeight - GAP) + "px";
  const above = -grid.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(above / state.rowHeight) - ROWS_BEYOND) * state.columns;
  const last = Math.min(state.order.length, state.columns
    * (Math.ceil((above + window.innerHeight) / state.rowHeight) + ROWS_BEYOND));
  if (rebuild) {
    cards.clear();
    grid.replaceChildren();
  }
  for (const [index, card] of cards)
    if ((index < first || index >= last) && index !== state.active) {
      card.remove();
      cards.delete(index);
    }
  for (let index = first; index < last; index++) place(index);
  if (state.order.length) place(state.active);
  mark();
}

function place(index) {
  if (!cards.has(index)) {
    cards.set(index, makeCard(index));
    $("grid").append(cards.get(index));
  }
  const card = cards.get(index), column = index % state.columns;
  const row = (index - column) / state.columns;
  card.style.width = state.cardWidth + "px";
  card.style.height = state.cardWidth + TEXT_HEIGHT + "px";
  card.style.transform =
    `translate(${column * (state.cardWidth + GAP)}px, ${row * state.rowHeight}px)`;
  const picture = state.order[index];
  if (card.dataset.waits) {
    const encoded = thumbnail(picture);
    if (encoded === undefined) return;
    delete card.dataset.waits;
    if (encoded) card.firstChild.src = "data:image/webp;base64," + encoded;
    else card.firstChild.replaceWith(element("div", "gone", "original missing"));
  }
}

function makeCard(index) {
  const picture = state.order[index], found = isFound(picture);
  const card = element("div", "card " + (found ? "found" : "clear"));
  card.id = "card-" + index;
  card.dataset.index = index;
  card.dataset.waits = "yes";
  card.title = picture.name;
  card.setAttribute("role", "option");
  card.setAttribute("aria-setsize", state.order.length);
  card.setAttribute("aria-posinset", index + 1);
  const label = data.labels[found ? 0 : 1];
  const doubt = picture.notes.map(note => ", " + note).join("");
  card.setAttribute("aria-label",
    `${picture.name}, ${label}${doubt}, score ${percent(picture.score)}`);
  const image = element("img");
  image.alt = "";
  image.decoding = "async";
  const text = element("div", "text"), answer = element("div", "answer");
  answer.append(element("span", "", label), element("span", "", percent(picture.score)));
  const meter = element("div", "meter"), bar = element("i");
  bar.style.width = percent(picture.score);
  meter.append(bar);
  text.append(answer, meter, element("div", "name", fileName(picture)));
  card.append(image, text);
  if (picture.notes.length) card.append(element("span", "doubt", picture.notes.join(", ")));
  return card;
}

function mark() {
  for (const [index, card] of cards) {
    card.classList.toggle("active", index === state.active);
    card.setAttribute("aria-selected", index === state.active);
  }
  if (state.order.length) $("grid").setAttribute("aria-activedescendant", "card-" + state.active);
  else $("grid").removeAttribute("aria-activedescendant");
}

function activate(index) {
  if (!state.order.length) return;
  state.active = Math.max(0, Math.min(state.order.length - 1, index));
  const top = $("grid").getBoundingClientRect().top
    + Math.floor(state.active / state.columns) * state.rowHeight;
  const tools = document.querySelector(".tools");
  const covered = getComputedStyle(tools).position === "sticky" ? tools.offsetHeight : 0;
  if (top < covered) window.scrollBy(0, top - covered - GAP);
  else if (top + state.rowHeight > window.innerHeight)
    window.scrollBy(0, top + state.rowHeight - window.innerHeight);
  draw(false);
}

$("grid").addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const page = state.columns * Math.max(1, Math.floor(window.innerHeight / state.rowHeight) - 1);
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: state.columns, ArrowUp: -state.columns,
    PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  if (event.key in steps) activate(state.active + steps[event.key]);
  else if (event.key === "Enter" || event.key === " ") view();
  else return;
  event.preventDefault();
});
$("grid").addEventListener("click", event => {
  const card = event.target.closest(".card");
  if (!card) return;
  state.active = Number(card.dataset.index);
  mark();
  view();
});

// ---- one picture, larger

function view() {
  const picture = state.order[state.active];
  if (!picture) return;
  const encoded = thumbnail(picture), path = data.root + picture.name, found = isFound(picture);
  $("viewer-picture").hidden = !encoded;
  if (encoded) $("viewer-picture").src = "data:image/webp;base64," + encoded;
  $("viewer-name").textContent = fileName(picture);
  $("viewer-says").textContent = `${data.labels[found ? 0 : 1]}: score ${percent(picture.score)}`
    + picture.notes.map(note => ` (${note})`).join("");
  $("viewer-says").className = found ? "found" : "clear";
  $("viewer-path").textContent = path;
  $("viewer-facts").textContent = [
    picture.size >= 1e5 ? (picture.size / 1e6).toFixed(1) + " MB"
      : (picture.size / 1e3).toFixed(1) + " KB",
    ...(picture.modified > 0 ? ["changed " + dates.format(picture.modified * 1000)] : []),
    ...(picture.lookedAgain ? ["closer look at the marked square"] : []),
    `${number(state.active + 1)} of ${number(state.order.length)}`].join(" · ");
  const address = picture.address || fileAddress(path);
  $("original").hidden = !address || encoded === "";
  if (address) $("original").href = address;
  // Not `disabled`: that would take the focus away, and the keys with it.
  $("previous").setAttribute("aria-disabled", state.active === 0);
  $("next").setAttribute("aria-disabled", state.active === state.order.length - 1);
  if (!$("viewer").open) $("viewer").showModal();
}

function fileAddress(path) {
  if (path.includes("://")) return "";
  const forward = /^[A-Za-z]:\\/.test(path) ? "/" + path.replaceAll("\\", "/") : path;
  if (!forward.startsWith("/")) return "";
  const encoded = forward.split("/").map(encodeURIComponent).join("/");
  return "file://" + encoded.replace(/^\/([A-Za-z])%3A/, "/$1:");
}

function step(by) {
  activate(state.active + by);
  view();
}

$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("close").addEventListener("click", () => $("viewer").close());
$("viewer").addEventListener("click", event => {
  if (event.target === $("viewer")) $("viewer").close(); // beside it, on the backdrop
});
$("viewer").addEventListener("close", () => $("grid").focus({ preventScroll: true }));
$("viewer").addEventListener("keydown", event => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});

// ---- head, histogram, threshold

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function writeHead() {
  $("folder").textContent = data.root;
  const [first, last] = data.scanned.map(text => Date.parse(text));
  const model = data.model || (data.checksum ? data.checksum.slice(0, 12) + "…" : "");
  const facts = [
    ["Pictures", number(data.total)],
    [data.labels[0], number(data.found)],
    ["Uncertain", data.uncertain ? number(data.uncertain) : ""],
    ["Unreadable", number(data.unreadableTotal)],
    ["Threshold", `P(${data.labels[0]}) ≥ ${+data.threshold.toFixed(4)}`],
    ["Model", model],
    ["Scanned", isNaN(first) ? "" : dates.formatRange(first, last)],
  ];
  if (data.otherRules)
    facts.push(["Note", `some were scored by another model or threshold (${data.otherRules} more)`]);
  $("facts").replaceChildren(...facts.filter(([, value]) => value).map(([name, value]) => {
    const pair = element("div"), shown = element("dd", "", value);
    if (name === "Model") shown.title = "SHA-256 " + data.checksum;
    pair.append(element("dt", "", name), shown);
    return pair;
  }));
  document.title = `Scan report: ${number(data.found)} of ${number(data.total)} ${data.labels[0]}`;
}

function drawHistogram() {
  const svg = $("histogram"), bins = data.histogram, top = Math.log1p(Math.max(1, ...bins));
  svg.setAttribute("viewBox", `0 0 ${bins.length} 100`);
  svg.setAttribute("aria-label", `How many pictures have which score, from 0 to 1: ${
    number(countFound())} at or above the threshold`);
  svg.replaceChildren(...bins.map((count, bin) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const height = 100 * Math.log1p(count) / top;
    const found = (bin + 1) / bins.length > state.threshold + 1e-9;
    bar.setAttribute("x", bin + 0.1);
    bar.setAttribute("width", 0.8);
    bar.setAttribute("y", 100 - height);
    bar.setAttribute("height", height);
    bar.setAttribute("class", found ? "found" : "clear");
    return bar;
  }));
}

function setThreshold(value) {
  state.threshold = value;
  const found = countFound(), shown = +value.toFixed(4);
  $("threshold").setAttribute("aria-valuetext", `${shown}: ${number(found)} found`);
  $("threshold-says").textContent =
    `P(${data.labels[0]}) ≥ ${shown}: ${number(found)} of ${number(data.total)}`;
  const hint = $("threshold-hint");
  hint.textContent = "Each bar: number of pictures with this score (logarithmic scale). ";
  if (value !== data.threshold) {
    hint.append("To export this choice: ", element("code", "", `export --min-score ${shown}`));
    const back = element("button", "", "Back to the scan's");
    back.type = "button";
    back.addEventListener("click", () => {
      $("threshold").value = data.threshold;
      setThreshold(data.threshold);
      $("threshold").focus();
    });
    hint.append(back);
  }
  drawHistogram();
  writeViews(found);
  choose();
}

function writeViews(found) {
  const views = { all: ["All", data.total], found: [data.labels[0], found],
    clear: [data.labels[1], data.total - found],
    ...(data.uncertain ? { uncertain: ["Uncertain", data.uncertain] } : {}), unreadable: ["Unreadable", data.unreadableTotal] };
  const group = document.querySelector(".views");
  if (!group.children.length)
    for (const name of Object.keys(views)) {
      const button = element("button");
      button.type = "button";
      button.dataset.view = name;
      button.addEventListener("click", () => {
        state.view = name;
        state.active = 0;
        writeViews(countFound());
        choose();
      });
      group.append(button);
    }
  for (const button of group.children) {
    const [name, count] = views[button.dataset.view];
    button.textContent = `${name} ${number(count)}`;
    button.setAttribute("aria-pressed", button.dataset.view === state.view);
  }
}

$("threshold").addEventListener("input", () => setThreshold(Number($("threshold").value)));
for (const [id, kind] of [["search", "input"], ["sort", "change"]])
  $(id).addEventListener(kind, () => {
    state.active = 0;
    choose();
  });
$("save").addEventListener("click", () => {
  const lines = state.order.map(picture => data.root + picture.name + "\n");
  const link = element("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "text/plain" }));
  link.download = "pictures.txt";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});

let asked = false;
function drawSoon() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    draw(false);
  });
}
addEventListener("scroll", drawSoon, { passive: true });
addEventListener("resize", drawSoon);
const waiting = setInterval(drawSoon, 100); // while thumbnails still arrive
document.addEventListener("DOMContentLoaded", () => {
  clearInterval(waiting);
  drawSoon();
});

writeHead();
$("threshold").value = data.threshold;
setThreshold(data.threshold);
