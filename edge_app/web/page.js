// What Gradio leaves to the page: its language, answers that are read aloud, and Ctrl+V anywhere.
() => {
  const current = document.querySelector("#header nav [aria-current]");
  if (current) document.documentElement.lang = current.lang;

  for (const id of ["result", "live-state", "batch-gallery"]) {
    const region = document.getElementById(id);
    region?.setAttribute("role", "status");
    region?.setAttribute("aria-live", "polite");
  }

  const upload = (picture, tries = 20) => {
    const input = document.querySelector("#picture-input input[type=file]");
    if (!input) {
      // There is a picture already: it goes first, and then the place to drop one comes back.
      document.querySelector("#picture-input .icon-button-wrapper button:last-child")?.click();
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
