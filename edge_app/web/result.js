// The answer for a picture in the browser: the visitor's own threshold, and saving it as an image.
(() => {
  const within = (selector) => document.querySelector(selector);
  const slider = () => within("#threshold input[type=range]");
  let first;

  // The same rule as edge_app.decision.Decision.with_threshold: a band without the threshold in it
  // says nothing.
  function kindOf({ score, low, high, threshold }) {
    const banded = low !== "" && +low <= threshold && threshold <= +high;
    if (banded && +low <= +score && +score < +high) return "unsure";
    return +score >= threshold ? "found" : "clear";
  }

  const percent = (share) => window.page.number(`${(100 * share).toFixed(1)}%`);
  function write(element, words) {
    if (element.textContent !== words) element.textContent = words;
  }

  function update() {
    const card = within("#result section[data-score]");
    first ??= slider()?.value;
    if (!card || !slider()) return;
    const moved = slider().value !== first;
    const { score, low, high, kind: models, threshold: modelThreshold } = card.dataset;
    const threshold = moved ? slider().value / 100 : +modelThreshold;
    // Where the visitor's threshold gives another answer than the model's, it is named as theirs.
    const same = !moved || kindOf({ ...card.dataset, threshold }) === models;
    const kind = same ? models : "own";
    if (!card.classList.contains(kind)) {
      card.classList.remove("found", "clear", "unsure", "own");
      card.classList.add(kind);
      for (const verdict of card.querySelectorAll(".verdict")) verdict.hidden = !verdict.matches(`.${kind}`);
    }
    const { say } = window.page;
    if (!same) {
      const [label, answer] = [".number span", `.verdict.${models} .answer`].map((part) => card.querySelector(part).textContent.trim());
      write(card.querySelector(".verdict.own .answer"), say(+score >= threshold ? "own_above" : "own_below", { threshold: percent(threshold) }));
      write(card.querySelector(".verdict.own .means"), say("own_means", { label, answer, score: percent(+score), threshold: percent(+modelThreshold) }));
    }
    const values = { threshold: percent(threshold), model: percent(+modelThreshold) };
    write(card.querySelector(".threshold-note"), say(moved ? "own_threshold" : "threshold_here", values));
    card.classList.toggle("unbanded", low !== "" && !(+low <= threshold && threshold <= +high));
    card.style.setProperty("--threshold", threshold);
  }
  document.addEventListener("input", (event) => event.target.closest?.("#threshold") && update());

  function draw(card, withCard) {
    const [picture, map] = card.querySelectorAll(".evidence img");
    const { naturalWidth: width, naturalHeight: height } = picture;
    const margin = withCard ? 24 : 0;
    const missing = card.querySelector(".missing");
    const room = withCard ? (missing ? 210 : 180) : 0;
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(width, withCard ? 420 : 0) + 2 * margin;
    canvas.height = height + 2 * margin + room;
    const context = canvas.getContext("2d");
    const style = getComputedStyle(card);
    context.fillStyle = style.getPropertyValue("--card");
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, margin, margin, width, height);
    if (map) {
      context.globalAlpha = getComputedStyle(map).opacity;
      context.drawImage(map, margin, margin, width, height);
      context.globalAlpha = 1;
    }
    const region = card.querySelector(".region");
    if (region) {
      const [left, top, right, bottom] = region.dataset.share.split(" ").map(Number);
      context.lineWidth = 3;
      context.strokeStyle = "#ffffff";
      context.strokeRect(margin + left * width, margin + top * height, (right - left) * width, (bottom - top) * height);
    }
    if (withCard) {
      const line = (words, y, font, colour) => {
        context.font = font;
        context.fillStyle = colour;
        context.fillText(words, margin, height + margin + y, canvas.width - 2 * margin);
      };
      line(card.querySelector(".verdict:not([hidden]) .answer").textContent.trim(), 50, "700 32px system-ui", style.getPropertyValue("--tone"));
      const scores = [...card.querySelectorAll(".number")].map((row) => [...row.children].map((part) => part.textContent).join(" "));
      line(scores.join(" · "), 84, "18px system-ui", style.getPropertyValue("--ink"));
      line(card.querySelector(".threshold-note").textContent, 114, "18px system-ui", style.getPropertyValue("--ink"));
      line(card.querySelector(".took").textContent.trim(), 144, "16px system-ui", style.getPropertyValue("--quiet"));
      if (missing) line(missing.textContent, 174, "18px system-ui", style.getPropertyValue("--unsure"));
    }
    return canvas;
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-save]");
    if (!button) return;
    draw(button.closest("section"), button.dataset.save === "card").toBlob((image) => {
      const link = Object.assign(document.createElement("a"), {
        href: URL.createObjectURL(image), download: `smoking_${button.dataset.save}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  });
  window.result = { update };
})();
