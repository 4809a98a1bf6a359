// Runs before Gradio does, which reads the browser's language once: Gradio then speaks English
// throughout, and language.js looks its words up.
window.visitorLanguages = navigator.languages;
Object.defineProperty(navigator, "language", { get: () => "en" });
Object.defineProperty(navigator, "languages", { get: () => ["en"] });
