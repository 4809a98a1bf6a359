// The page of a live run: pictures as MJPEG, everything else as server-sent events.

const known = JSON.parse(document.getElementById("known").textContent);
const texts = known.texts;
const language = document.documentElement.lang;
const MOST_STREAMS = 4; // a browser opens six connections to a server; one is for the events
const SVG = "http://www.w3.org/2000/svg";
const HISTORY_SECONDS = 600;

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const percent = (value) => new Intl.NumberFormat(language, { style: "percent" }).format(value);
const label = texts[known.label] ?? known.label;
const decimal = (value) => new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value);
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString(language);

class Camera {
  constructor({ id, name, threshold, toml, masks }) {
    this.id = id;
    this.toml = toml;
    this.masks = masks;
    this.threshold = threshold;
    this.points = [];
    this.corners = [];
    this.size = null;
    const card = document.getElementById("camera").content.cloneNode(true).firstElementChild;
    this.card = card;
    this.part = (selector) => card.querySelector(selector);
    this.part("h2").textContent = name;
    this.picture = this.part(".picture");
    this.part(".restart").textContent = toml ? fill(texts.restart_toml, { name }) : texts.restart;
    this.picture.alt = fill(texts.live, { name });
    this.part(".evidence").addEventListener("click", (event) => this.toggleMap(event.currentTarget));
    this.part(".draw").addEventListener("click", (event) => this.toggleDrawing(event.currentTarget));
    this.part(".zone").addEventListener("click", (event) => this.addCorner(event));
    this.part(".undo").addEventListener("click", () => { this.corners.pop(); this.showDrawing(); });
    this.part(".copy").addEventListener("click", (event) => this.copy(event.currentTarget));
    for (const choice of card.querySelectorAll("input")) {
      choice.name = `kind-${id}`;
      choice.addEventListener("change", () => this.showDrawing());
    }
    document.getElementById("cameras").append(card);
  }

  // Nothing is encoded on the other side while nobody looks.
  start() {
    if (known.cameras.length <= MOST_STREAMS) {
      this.picture.src = `stream/${this.id}.mjpg`;
    } else {
      const poll = () => (this.picture.src = `picture/${this.id}.jpg?${Date.now()}`);
      poll();
      this.timer = setInterval(poll, 1000);
    }
    fetch(`history/${this.id}`).then((answer) => answer.json()).then((points) => {
      this.points = points;
      this.drawChart();
    }).catch(() => {});
  }

  stop() {
    clearInterval(this.timer);
    this.picture.src = "data:,";
    this.picture.removeAttribute("src");
  }

  update(state, now) {
    const isLost = state.lost !== null;
    this.now = now;
    this.card.dataset.state = isLost ? "lost" : state.state ?? "waiting";
    const lost = this.part(".lost");
    lost.hidden = !isLost;
    if (isLost) {
      const { key, text, ...values } = state.reason;
      const reason = key ? fill(texts[key], values) : text;
      this.say(lost, `${fill(texts.lost, { time: clock(state.lost) })}\n${reason}`);
    }
    this.part(".waiting").hidden = isLost || state.state !== undefined;
    if (state.state === undefined) return;
    const name = isLost ? fill(texts.lost, { time: clock(state.lost) }) : fill(texts[state.state], { label });
    this.say(this.part(".state"), name + (state.uncertain && !isLost ? `, ${texts.uncertain}` : ""));
    this.part(".score").textContent = isLost ? "" : percent(state.score);
    this.part(".stats").textContent = isLost ? "" : fill(texts.stats, { ...state, rate: decimal(state.rate) });
    if (String(state.size) !== String(this.size)) {
      this.size = state.size;
      this.part(".stage").style.aspectRatio = this.size.join(" / ");
      this.part(".zone").setAttribute("viewBox", `0 0 ${this.size.join(" ")}`);
      this.showDrawing();
    }
    if (!isLost && state.number !== this.number) this.points.push([now, state.smoothed]); // it may have stalled
    if (isLost && this.points.length && this.points.at(-1)[1] !== null) this.points.push([now, null]); // a gap begins
    this.number = state.number;
    this.drawChart();
    this.drawZone(state);
    this.drawMap(state);
  }

  say(element, text) { // a status that is set again is read out again
    if (element.textContent !== text) element.textContent = text;
  }

  drawChart() {
    const last = Math.max(this.now ?? 0, this.points.at(-1)?.[0] ?? 0);
    while (this.points.length && this.points[0][0] < last - HISTORY_SECONDS) this.points.shift();
    let command = "M";
    const line = this.points.map(([time, score]) => {
      const place = `${command}${(600 * (1 - (last - time) / HISTORY_SECONDS)).toFixed(1)},${(60 - 60 * score).toFixed(1)}`;
      command = score === null ? "M" : "L";
      return score === null ? "" : place;
    });
    this.part(".chart path").setAttribute("d", line.join(" "));
    for (const end of ["y1", "y2"]) this.part(".chart line").setAttribute(end, 60 - 60 * this.threshold);
  }

  // The region is outlined, and what the model does not see is dimmed.
  drawZone({ size: [width, height], outline, masks, region }) {
    const zone = this.part(".seen");
    zone.replaceChildren();
    const path = (...polygons) => polygons.map((points) => `M${points.join(" ")}Z`).join("");
    const add = (name, d) => {
      const shape = document.createElementNS(SVG, "path");
      shape.setAttribute("class", name);
      shape.setAttribute("d", d);
      zone.append(shape);
    };
    const rectangle = (left, top, right, bottom) => [[left, top], [right, top], [right, bottom], [left, bottom]];
    if (outline.length) add("unseen", path(rectangle(0, 0, width, height), outline));
    for (const mask of masks) add("unseen", path(mask));
    if (outline.length) add("box", path(outline));
    if (region) add("look", path(rectangle(...region)));
  }

  toggleMap(button) {
    const map = this.part(".map");
    map.hidden = !map.hidden;
    button.setAttribute("aria-pressed", String(!map.hidden));
  }

  // Red speaks for the label, blue against it; drawn here, so that one picture serves all watchers.
  drawMap({ evidence, box, size }) {
    const map = this.part(".map");
    this.part(".evidence").disabled = evidence === null;
    this.part(".evidence").title = evidence === null ? texts.noevidence : "";
    if (map.hidden || evidence === null) return;
    const cells = new ImageData(evidence[0].length, evidence.length);
    evidence.flat().forEach((value, place) => {
      const strength = Math.tanh(value / 2); // a logit of 2 is nearly certain
      cells.data.set([...(strength > 0 ? [255, 40, 40] : [40, 140, 255]), 153 * Math.abs(strength)], 4 * place);
    });
    const small = new OffscreenCanvas(cells.width, cells.height);
    small.getContext("2d").putImageData(cells, 0, 0);
    [map.width, map.height] = size;
    const [x, y, width, height] = box ?? [0, 0, ...size];
    map.getContext("2d").drawImage(small, x, y, width, height);
  }

  toggleDrawing(button) {
    const isOn = this.card.classList.toggle("is-drawing");
    button.setAttribute("aria-pressed", String(isOn));
    this.part(".drawing").hidden = !isOn;
    if (!isOn) this.corners = [];
    this.showDrawing();
  }

  addCorner(event) {
    if (!this.size || !this.card.classList.contains("is-drawing")) return;
    const frame = this.part(".stage").getBoundingClientRect();
    const place = (part, length, most) => Math.min(Math.max(Math.round((part / length) * most), 0), most);
    this.corners.push([
      place(event.clientX - frame.left, frame.width, this.size[0]),
      place(event.clientY - frame.top, frame.height, this.size[1]),
    ]);
    this.showDrawing();
  }

  showDrawing() {
    const zone = this.part(".drawn");
    zone.replaceChildren();
    const polygon = document.createElementNS(SVG, "polygon");
    polygon.setAttribute("points", this.corners.map((corner) => corner.join(",")).join(" "));
    zone.append(polygon);
    for (const [x, y] of this.corners) {
      const dot = document.createElementNS(SVG, "circle");
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
      dot.setAttribute("r", this.size[0] / 100);
      zone.append(dot);
    }
    const isWhole = this.corners.length > 2;
    const kind = this.card.querySelector("input:checked").value;
    const place = `"${this.corners.map((corner) => corner.join(",")).join(" ")}"`;
    const line = kind === "region" ? place : `[${[...this.masks.map((mask) => `"${mask}"`), place].join(", ")}]`;
    this.part(".option").textContent = !isWhole ? "" : this.toml ? `${kind} = ${line}` : `--${kind} ${place}`;
    this.part(".restart").hidden = this.part(".copy").hidden = !isWhole;
  }

  async copy(button) {
    const code = this.part(".option");
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch { // without HTTPS there is no clipboard; the selection can be copied
      document.execCommand("copy");
    }
    button.textContent = texts.copied;
    setTimeout(() => (button.textContent = texts.copy), 2000);
  }
}

function showEvents(events, names) {
  const items = events.map((event) => {
    const item = document.createElement("li");
    const time = new Date(event.started).toLocaleString(language);
    if (event.picture) {
      const button = document.createElement("button");
      const picture = new Image();
      picture.src = `event/${event.id}.jpg`;
      picture.alt = fill(texts.picture, { time });
      picture.loading = "lazy";
      button.append(picture);
      button.addEventListener("click", () => open(picture.cloneNode()));
      item.append(button);
    }
    const text = document.createElement("div");
    const when = document.createElement("time");
    when.dateTime = event.started;
    when.textContent = time;
    const length = event.seconds === undefined ? texts.lasting : fill(texts.seconds, { n: Math.round(event.seconds) });
    text.append(when, [names.size > 1 && (names.get(event.camera) ?? event.camera), length,
      fill(texts.peak, { n: percent(event.peak) })].filter(Boolean).join(", "));
    item.append(text);
    if (event.clip) {
      const button = document.createElement("button");
      button.className = "clip";
      button.textContent = texts.clip;
      button.addEventListener("click", () => {
        const video = document.createElement("video");
        Object.assign(video, { src: `clip/${event.clip}`, controls: true, autoplay: true, muted: true, playsInline: true });
        open(video);
      });
      item.append(button);
    }
    return item;
  });
  document.getElementById("events").replaceChildren(...items);
  document.getElementById("none").hidden = items.length > 0;
}

function open(element) {
  document.getElementById("shown").replaceChildren(element);
  document.getElementById("viewer").showModal();
}

document.getElementById("viewer").addEventListener("close", () => document.getElementById("shown").replaceChildren());

const cameras = new Map(known.cameras.map((camera) => [camera.id, new Camera(camera)]));
const names = new Map(known.cameras.map((camera) => [camera.id, camera.name]));
let source = null;

function listen() {
  source = new EventSource("updates");
  const offline = document.getElementById("offline");
  let wasOffline = false;
  source.onopen = () => {
    offline.hidden = true;
    if (wasOffline) cameras.forEach((camera) => { camera.stop(); camera.start(); });
    wasOffline = false;
  };
  source.onerror = () => { offline.hidden = false; wasOffline = true; };
  source.onmessage = ({ data }) => {
    const { time, temperature, cameras: states } = JSON.parse(data);
    for (const [id, state] of Object.entries(states)) cameras.get(id)?.update(state, time);
    const shown = temperature === null ? "" : fill(texts.temperature, { n: Math.round(temperature) });
    document.getElementById("temperature").textContent = shown;
  };
  source.addEventListener("events", ({ data }) => showEvents(JSON.parse(data), names));
}

function attend() {
  if (document.hidden) {
    source?.close();
    source = null;
    cameras.forEach((camera) => camera.stop());
  } else if (!source) {
    listen();
    cameras.forEach((camera) => camera.start());
  }
}

document.addEventListener("visibilitychange", attend);
// Not before: a page with a stream would count as loading forever.
addEventListener("load", attend);
