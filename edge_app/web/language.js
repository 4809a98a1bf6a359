// The language of the page, switched in place: every text node and every name of a control is
// looked up among the sentences of both languages and replaced by the one of the chosen language.
// Gradio's own words are looked up as well. What visitors name is marked translate="no".
(() => {
  const { texts, gradio, languages, megabytes } = JSON.parse("__TEXTS__");
  const url = new URL(location.href);
  const touch = matchMedia("(pointer: coarse)").matches;
  const known = (code) => code && languages[code] && code;
  let language =
    known(url.searchParams.get("lang")) ??
    window.visitorLanguages.map((code) => code.split("-")[0]).find(known) ?? "en";  // english.js

  const exact = new Map();
  const patterns = [];
  const hole = /\{(\w+)\}/g;
  for (const sentences of [gradio, ...Object.values(texts)]) {
    for (const [name, words] of Object.entries(sentences)) {
      const [key, sentence] = sentences === gradio ? [words, name] : [name, words];
      if (!sentence.includes("{")) {
        if (!exact.has(sentence)) exact.set(sentence, key);
        continue;
      }
      const names = [...sentence.matchAll(hole)].map((match) => match[1]);
      const literal = sentence.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^$()|[\]\\/{}]/g, "\\$&"));
      patterns.push({ key, names, weight: sentence.replace(hole, "").length,
        expression: new RegExp(`^${literal.join("(.+?)")}$`, "s") });
    }
  }
  patterns.sort((a, b) => b.weight - a.weight);

  const number = (value) =>
    language === "id" ? value.replace(/^(\d+)\.(\d+\D*)$/, "$1,$2") : value.replace(/^(\d+),(\d+\D*)$/, "$1.$2");
  const touched = { picture_note: "picture_note_touch", g_drop: "g_upload", g_drop_files: "g_click" };

  function translate(value) {
    const words = value.trim();
    if (!words) return value;
    let key = exact.get(words);
    if (key !== undefined) {
      if (touch) key = touched[key] ?? key;
      return value.replace(words, () => texts[language][key]);
    }
    if (/^\d+[.,]\d+(%|\s[KMG]?B|s)?$/.test(words)) return number(words);
    for (const { key, names, expression } of patterns) {
      const found = expression.exec(words);
      if (!found) continue;
      const values = Object.fromEntries(names.map((name, n) => [name, translate(number(found[n + 1]))]));
      return texts[language][key].replace(hole, (_, name) => values[name]);
    }
    return value;
  }

  const NAMES = ["aria-label", "title", "alt", "placeholder", "aria-valuetext", "data-label"];
  const ours = (element) => element && !element.closest("[translate=no], .filename, script, style, textarea, pre");
  function update(node) {
    if (node.nodeType === Node.TEXT_NODE) {
      if (!ours(node.parentElement)) return;
      const value = translate(node.data);
      if (value !== node.data) node.data = value;
    } else if (node.nodeType === Node.ELEMENT_NODE && ours(node)) {
      for (const name of NAMES) {
        const value = node.getAttribute(name);
        if (value && translate(value) !== value) node.setAttribute(name, translate(value));
      }
      for (const child of node.childNodes) update(child);
    }
  }
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes, attributeName } of changes) {
      if (type === "childList") addedNodes.forEach(update);
      else if (type === "characterData") update(target);
      else {
        const value = ours(target) && target.getAttribute(attributeName);
        if (value && translate(value) !== value) target.setAttribute(attributeName, translate(value));
      }
    }
  }).observe(document, { subtree: true, childList: true, characterData: true, attributeFilter: NAMES });

  function mark() {
    for (const button of document.querySelectorAll("#header nav button"))
      button.setAttribute("aria-pressed", button.lang === language);
  }
  function choose(code) {
    language = code;
    document.documentElement.lang = code;
    mark();
    if (document.body) update(document.body);
  }
  const say = (key, values) => texts[language][key].replace(hole, (_, name) => values[name]);
  window.page = { say, choose, mark, number, megabytes };
  document.documentElement.lang = language;
  document.addEventListener("DOMContentLoaded", () => choose(language));
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#header nav button");
    if (!button) return;
    const address = new URL(location.href);
    address.searchParams.set("lang", button.lang);
    history.replaceState(history.state, "", address);
    choose(button.lang);
  });
})();
