// What Gradio leaves to the page: its language, answers that are read aloud, and Ctrl+V anywhere.
() => {
  const current = document.querySelector("#header nav [aria-current]");
  if (current) document.documentElement.lang = current.lang;

  for (const id of ["result", "live-state", "batch-gallery"]) {
    const region = document.getElementById(id);
    region?.setAttribute("role", "status");
    region?.setAttribute("aria-live", "polite");
  }

  const upload = (picture, tries = 100) => {
    const input = document.querySelector("#picture-input input[type=file]");
    if (!input) {
      // A picture that is there goes first; then the place to drop one has to be chosen again.
      const clear = "#picture-input .icon-button-wrapper button:last-child";
      const choose = "#picture-input [data-testid=source-select] button:first-child";
      (document.querySelector(clear) ?? document.querySelector(choose))?.click();
      if (tries) setTimeout(upload, 50, picture, tries - 1);
      return;
    }
    const files = new DataTransfer();
    files.items.add(picture);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  document.addEventListener("paste", (event) => {
    const picture = [...event.clipboardData.files].find((file) => file.type.startsWith("image/"));
    const tabIsOpen = document.getElementById("picture-input")?.offsetParent;
    if (!picture || !tabIsOpen) return;
    event.preventDefault();
    upload(picture);
  });
}
